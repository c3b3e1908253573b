"""`twinmesh contract` and `twinmesh model` against governance on the real servers."""

import asyncio
import json
import os
import sys

import pytest
from click.testing import CliRunner

from governance import app
from governance.settings import GovernanceSettings
from twinmesh_cli.contract import contract
from twinmesh_cli.deploying import can_i_deploy, deployment
from twinmesh_cli.model import model
from twinmesh_sdk.testing.mesh import running, settings_for

pytestmark = pytest.mark.stack

CHARTER = """
name: hello
version: {version}
kind: domain
decision: Greet, or not?
fidelity: Exact.
sources: {{mandatory: [asset-registry]}}
freshness: [{{decision: greeting, budget_s: 3600}}]
on_bad_data: Silence.
authority: asset-registry for identity
inference: None.
governance: None needed, it has no model.
workflow: The reader smiles.
scale: By asset.
owner: {{team: hello, contact: a@b.example, on_call: c@b.example}}
value: {{metric: smiles, baseline: 0, target: 1}}
contract: {{subgraph: schema.graphql}}
"""
SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query {{ greeting: String }}
type Asset @key(fields: "id") {{ id: ID! hello: {type} }}
"""


@pytest.fixture
async def service(private_nats, database_url, issuer):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        model_key=bytes(range(32)).hex(),
    )
    async with running(app.build(settings)) as service:
        yield service


@pytest.fixture
def twinmesh(service, issuer):
    """Run a command as somebody, in a thread beside the service."""

    async def run(group, *arguments, who="twinmesh-ci"):
        options = ["--governance", f"127.0.0.1:{service.grpc_port}", "--token", issuer.token(who)]
        done = await asyncio.to_thread(CliRunner().invoke, group, [*arguments, *options])
        return done.exit_code, done.output

    return run


@pytest.fixture
def project(tmp_path):
    """Return a factory of project folders with a contract."""

    def make(version="1.0.0", type="String"):
        folder = tmp_path / "src" / "hello" / "contract"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "twin.yaml").write_text(CHARTER.format(version=version))
        (folder / "schema.graphql").write_text(SDL.format(type=type))
        return str(tmp_path)

    return make


async def test_a_project_is_pushed_by_its_folder_and_a_repeat_changes_nothing(twinmesh, project):
    push = ("push", project(), "--url", "http://127.0.0.1:1/graphql", "--json")
    code, said = await twinmesh(contract, *push)
    again, repeated = await twinmesh(contract, *push)

    assert (code, again) == (0, 0)
    assert json.loads(said)["outcomes"][0]["state"] == "ACTIVE"
    assert json.loads(said)["outcomes"][0]["changed"]
    assert not json.loads(repeated)["outcomes"][0]["changed"]


async def test_a_refusal_is_1_and_names_rule_field_and_remedy(twinmesh, project):
    url = ("--url", "http://127.0.0.1:1/graphql")
    await twinmesh(contract, "push", project(), *url)
    code, said = await twinmesh(contract, "diff", project("1.1.0", "Int"), *url)
    other, words = await twinmesh(contract, "push", project("1.1.0", "String!"), *url)

    assert (code, other) == (1, 1)
    assert "FIELD_CHANGED_KIND Asset.hello" in said
    assert "NON_NULL_DOMAIN_FIELD Asset.hello" in words
    assert "make the field nullable" in words


async def test_a_package_is_pushed_by_its_name(twinmesh):
    code, said = await twinmesh(contract, "push", "governance", "--url", "http://127.0.0.1:1/g")
    listed, names = await twinmesh(contract, "list", who="erp-app")

    assert (code, listed) == (0, 0)
    assert "ACTIVE" in said
    assert names.startswith("governance")


async def test_in_a_cluster_the_whole_release_is_pushed_with_client_credentials(service, issuer):
    variables = {
        "TWIN_GOVERNANCE_ADDR": f"127.0.0.1:{service.grpc_port}",
        "TWIN_OIDC_ISSUER": issuer.url,
        "TWIN_CLIENT_ID": "twinmesh-ci",
        "TWIN_CLIENT_SECRET": issuer.secrets["twinmesh-ci"],
        "PATH": os.environ["PATH"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twinmesh_cli", "contract", "push", "--json",
        env=variables, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    states = {o["service"]: o["state"] for o in json.loads(said)["outcomes"]}

    assert process.returncode == 0
    assert set(states.values()) == {"ACTIVE"}
    assert {"governance", "gateway", "asset-registry", "energy-twin"} <= set(states)


async def test_consumers_are_listed_with_whom_to_ask(twinmesh):
    urls = ("--url", "http://127.0.0.1:1/{service}")
    services = ("asset_registry", "telemetry", "maintenance_twin", "energy_twin", "gateway")
    pushed, _ = await twinmesh(contract, "push", *services, *urls)
    code, said = await twinmesh(contract, "consumers", "asset-registry", "--json", who="erp-app")
    nobody, _ = await twinmesh(contract, "consumers", "no-such-service")
    rows = json.loads(said)

    assert (pushed, code, nobody) == (0, 0, 1)
    assert {row["event_type"].split(".")[0] for row in rows} == {"assets"}
    assert all(row["consumer"] and row["team"] and row["contact"] for row in rows)


async def test_what_cannot_be_tried_is_2(twinmesh, tmp_path):
    nowhere, _ = await twinmesh(contract, "push", "no-such-thing")
    empty, _ = await twinmesh(contract, "push", str(tmp_path))

    assert (nowhere, empty) == (2, 2)


async def test_without_the_role_nothing_is_pushed(twinmesh, project):
    code, said = await twinmesh(
        contract, "push", project(), "--url", "http://127.0.0.1:1/g", who="erp-app"
    )

    assert code == 1
    assert "PERMISSION_DENIED" in said


async def test_a_model_goes_from_submission_to_retirement(twinmesh, tmp_path):
    artefact = tmp_path / "model.bin"
    artefact.write_bytes(b"weights")
    named = ("pump-condition", "1.0.0")
    submitted, said = await twinmesh(
        model, "submit", *named, "--artefact", str(artefact), "--back-test", "bt-1",
        "--metric", "F1", "--achieved", "0.8", "--threshold", "0.7", "--baseline", "age only",
        "--baseline-achieved", "0.5", "--training-data", "none: a test",
        "--asset-class", "pump", "--json", who="author",
    )  # fmt: skip
    own, words = await twinmesh(model, "approve", *named, who="author")
    approved, _ = await twinmesh(model, "approve", *named, who="reviewer")
    active, shown = await twinmesh(
        model, "activate", *named, "--from", "2020-03-09T06:00:00Z", who="reviewer"
    )
    at, deciding = await twinmesh(
        model, "at", "pump-condition", "2020-03-09T06:00:00Z", "--asset-class", "pump", "--json"
    )
    before, _ = await twinmesh(model, "at", "pump-condition", "2020-03-09T05:59:59Z")
    retired, _ = await twinmesh(model, "retire", *named, who="reviewer")
    _, listed = await twinmesh(model, "list", who="erp-app")

    assert (submitted, own, approved, active, retired) == (0, 1, 0, 0, 0)
    assert (at, before) == (0, 1)
    assert json.loads(deciding)["version"] == "1.0.0"
    assert json.loads(said)["model"]["artefact_digest"].startswith("sha256:")
    assert "PERMISSION_DENIED" in words
    assert "ACTIVE from 2020-03-09T06:00:00Z" in shown
    assert "RETIRED" in listed


async def test_a_refusal_is_overridden_by_two_persons(twinmesh, project):
    url = ("--url", "http://127.0.0.1:1/graphql")
    await twinmesh(contract, "push", project(), *url)
    broken = project("1.1.0", "Int")
    nothing, why = await twinmesh(
        contract, "override", "request", broken, "--reason", " ", *url, who="author"
    )
    code, said = await twinmesh(
        contract, "override", "request", broken, "--reason", "agreed", "--json", *url, who="author"
    )
    asked = json.loads(said)["id"]
    own, _ = await twinmesh(contract, "override", "approve", asked, who="author")
    approved, words = await twinmesh(contract, "override", "approve", asked, who="reviewer")
    pushed, _ = await twinmesh(contract, "push", broken, *url)
    listed, line = await twinmesh(contract, "override", "list", who="erp-app")

    assert (nothing, code, own, approved, pushed, listed) == (2, 0, 1, 0, 0, 0)
    assert "reason" in why
    assert "approved by" in words
    assert "takes back FIELD_CHANGED_KIND Asset.hello" in line


async def test_can_i_deploy_answers_by_exit_code_with_reasons(twinmesh, project):
    url = ("--url", "http://127.0.0.1:1/graphql")
    await twinmesh(contract, "push", project(), *url)
    await twinmesh(contract, "push", project("2.0.0", "Int"), *url)

    async def ask(version, environment, *more):
        return await twinmesh(can_i_deploy, "hello", version, "--to", environment, *more)

    nowhere, _ = await ask("1.0.0", "prod")
    missing, why = await ask("9.0.0", "local")
    recorded, _ = await twinmesh(deployment, "record", "hello", "1.0.0", "--to", "prod")
    same, yes = await ask("1.0.0", "prod")
    broken, said = await ask("2.0.0", "prod", "--json")
    malformed, _ = await ask("two", "prod")
    _, listed = await twinmesh(deployment, "list", "--in", "prod")
    forbidden, _ = await twinmesh(
        deployment, "record", "hello", "1.0.0", "--to", "prod", who="erp-app"
    )

    assert (nowhere, missing, recorded, same, broken, malformed) == (3, 1, 0, 0, 3, 2)
    assert "NOT_REGISTERED" in why
    assert yes.splitlines() == ["yes"]
    assert json.loads(said)["verdict"] == "unknown"
    assert [r["code"] for r in json.loads(said)["reasons"]] == ["FIELD_CHANGED_KIND"]
    assert listed.split()[:4] == ["prod", "hello", "1.0.0", "READY"]
    assert forbidden == 1


async def test_a_client_gets_an_owner_and_deprecations_are_listed(twinmesh, project):
    url = ("--url", "http://127.0.0.1:1/graphql")
    await twinmesh(contract, "push", project(type="String @deprecated"), *url)
    named, _ = await twinmesh(contract, "client", "erp-app", "--team", "F", "--contact", "f@x.org")
    code, said = await twinmesh(contract, "deprecations", "hello")
    _, nobody = await twinmesh(contract, "consumers", "hello")

    assert (named, code) == (0, 0)
    assert said.startswith("hello Asset.hello: since ")
    assert "no use of any contract was reported yet" in nobody


async def test_a_model_of_mlflow_enters_as_a_draft(twinmesh, tmp_path):
    folder = tmp_path / "condition"
    folder.mkdir()
    (folder / "MLmodel").write_text(
        "artifact_path: condition\nflavors: {sklearn: {}}\nrun_id: 0f3c9a7a\n"
        """signature: {inputs: '[{"type": "double", "name": "flow"}]'}\n"""
    )
    named = (str(folder), "--version", "1.0.0")
    imported, said = await twinmesh(model, "import-mlflow", *named, who="author")
    again, _ = await twinmesh(model, "import-mlflow", *named, who="author")
    approved, words = await twinmesh(model, "approve", "condition", "1.0.0", who="reviewer")
    _, listed = await twinmesh(model, "list", "condition", "--json", who="author")

    assert (imported, again, approved) == (0, 0, 1)
    assert said.startswith("condition 1.0.0 DRAFT sha256:")
    assert "is DRAFT" in words
    (known,) = json.loads(listed)
    assert known["artefact_digest"] in said
