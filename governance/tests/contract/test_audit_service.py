"""The audit log through governance's doors, on the real NATS, PostgreSQL and issuer."""

import asyncio
import json
import time

import grpc
import httpx
import pytest
from click.testing import CliRunner

from governance import app
from governance.adapters.memory import MemoryRegistry, MemoryTrail
from governance.decide import audit_heads, merkle
from governance.model.audit import AuditEntry
from governance.settings import GovernanceSettings
from governance.usecases.auditing import AuditQueue
from twinmesh.governance.v1 import audit_service_pb2 as pb
from twinmesh.governance.v1 import governance_service_pb2
from twinmesh.governance.v1.audit_service_pb2_grpc import AuditServiceStub
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh_cli.main import cli
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError
from twinmesh_sdk.testing.mesh import running, settings_for

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def settings(database_url, issuer, private_nats, tmp_path):
    return settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        audit_key=bytes(range(32)).hex(),
        audit_heads_file=tmp_path / "heads.jsonl",
        audit_heads_s=0.1,
    )


@pytest.fixture
async def service(settings):
    async with running(app.build(settings)) as service:
        yield service


@pytest.fixture
async def ask(service, issuer):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        stubs = (AuditServiceStub(channel), GovernanceServiceStub(channel))

        async def call(who, method, request, *, tenant=""):
            stub = next(s for s in stubs if hasattr(s, method))
            metadata = [("authorization", f"Bearer {issuer.token(who)}")]
            if tenant:
                metadata.append(("tm-tenant", tenant))
            return await getattr(stub, method)(request, metadata=tuple(metadata), timeout=20)

        yield call


async def submit(ask, version):
    await ask(
        "author",
        "SubmitModel",
        governance_service_pb2.SubmitModelRequest(
            name="pump-condition", version=version, artefact_digest=DIGEST
        ),
    )


async def until(find, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)
    return found


def command(service, issuer, *arguments, who="author"):
    environment = {
        "TWIN_GOVERNANCE_ADDR": f"127.0.0.1:{service.grpc_port}",
        "TWIN_TOKEN": issuer.token(who),
    }
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)], env=environment)


@pytest.mark.stack
async def test_what_was_asked_is_proven_by_every_door(service, ask, issuer):
    for number in range(3):
        await submit(ask, f"1.0.{number}")
    key = audit_heads.read_public_key(
        (await ask("author", "GetTreeHead", pb.GetTreeHeadRequest())).public_key_pem.encode()
    )

    proof = await ask("author", "GetInclusionProof", pb.GetInclusionProofRequest(sequence=2))
    signed = audit_heads.read_head(proof.head.line)
    assert audit_heads.is_signed_by(signed, key)
    assert signed.head.size == 3
    assert json.loads(proof.leaf)["subject"] == "pump-condition 1.0.1"
    assert merkle.includes(
        merkle.leaf_hash(proof.leaf), index=1, size=3, path=list(proof.path), root=signed.head.root
    )

    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{service.http_port}/v1/audit",
        headers={"authorization": f"Bearer {issuer.token('author')}"},
    ) as http:
        found = (await http.get("/consistency", params={"first": 1})).json()
        head = audit_heads.read_head(found["head"])
        assert merkle.continues(
            first=1, second=3, first_root=bytes.fromhex(found["first_root"]),
            second_root=head.head.root, path=[bytes.fromhex(h) for h in found["path"]],
        )  # fmt: skip
        assert (await http.get("/inclusion", params={"sequence": 2})).json()["leaf"] == (
            proof.leaf.decode()
        )
        assert (await http.get("/head")).json()["size"] == 3
        assert len((await http.get("/export")).text.splitlines()) == 4
        assert (await http.get("/inclusion", params={"sequence": 4})).status_code == 404
        assert (await http.get("/head", params={"mesh": True})).status_code == 403


@pytest.mark.stack
async def test_an_export_is_verified_offline_by_heads_that_governance_cannot_take_back(
    service, ask, issuer, settings, tmp_path
):
    for number in range(4):
        await submit(ask, f"1.0.{number}")
    heads = settings.audit_heads_file
    await until(lambda: heads.exists() and '"size":4' in heads.read_text())
    log, key, streamed = (tmp_path / n for n in ("log.jsonl", "key.pem", "streamed.jsonl"))

    def run(*arguments):
        return command(service, issuer, *arguments)

    def saved():
        return asyncio.to_thread(run, "export", log, "--heads", streamed)

    assert (await asyncio.to_thread(run, "head", "--key-out", key)).exit_code == 0
    assert (await saved()).output == f"4 entries saved to {log}\n"
    assert streamed.read_text().splitlines()[-1] == heads.read_text().splitlines()[-1]
    assert (await asyncio.to_thread(run, "prove", "3", "--key", key)).exit_code == 0
    sound = run("verify", log, "--heads", heads, "--key", key, "--json")
    assert sound.exit_code == 0
    assert json.loads(sound.output)["covered"] == 4

    log.write_text(log.read_text().replace("pump-condition 1.0.2", "pump-condition 1.0.9"))
    bent = run("verify", log, "--heads", heads, "--key", key)
    assert bent.exit_code == 1
    assert "IS NOT" in bent.output
    assert run("verify", key, "--heads", heads, "--key", key).exit_code == 2
    assert run("verify", log, "--heads", log, "--key", key).exit_code == 2


@pytest.mark.stack
async def test_a_person_is_erased_by_whoever_may_and_the_log_stays_provable(
    service, ask, issuer, settings, tmp_path
):
    await submit(ask, "1.0.0")
    log, key = tmp_path / "log.jsonl", tmp_path / "key.pem"

    def run(*arguments, who="author"):
        return command(service, issuer, *arguments, who=who)

    before = await asyncio.to_thread(run, "list", "--json")
    refused = await asyncio.to_thread(run, "erase", "author", "--reason", "asked to")
    erased = await asyncio.to_thread(run, "erase", "author", "--reason", "ok", who="auditor")
    after = await asyncio.to_thread(run, "list", "--json")
    heads = settings.audit_heads_file
    await until(lambda: heads.exists() and '"size":2' in heads.read_text())
    await asyncio.to_thread(run, "head", "--key-out", key)
    await asyncio.to_thread(run, "export", log)

    assert [e["actor"] for e in json.loads(before.output)] == ["author"]
    assert refused.exit_code == 1
    assert "is nobody now" in erased.output
    assert [e["actor"] for e in json.loads(after.output)] == ["auditor", "(erased)"]
    assert '"text":"author"' not in log.read_text()
    assert run("verify", log, "--heads", heads, "--key", key).exit_code == 0


@pytest.mark.stack
async def test_services_record_for_a_tenant_and_persons_do_not(ask):
    request = pb.RecordAuditRequest(
        action="readings.replay", subject="batch 7", outcome="ACCEPTED", actor="mara",
        detail_json='{"rows": 3}',
    )  # fmt: skip
    answers = await asyncio.gather(
        *(ask("svc-telemetry", "RecordAudit", request, tenant="acme") for _ in range(20))
    )
    listed = await ask("author", "ListAudit", governance_service_pb2.ListAuditRequest())

    assert sorted(a.sequence for a in answers) == list(range(1, 21))
    assert (listed.entries[0].actor, listed.entries[0].action) == ("mara", "readings.replay")
    assert json.loads(listed.entries[0].detail_json) == {"recorded_by": "svc-telemetry", "rows": 3}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask("author", "RecordAudit", request)
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


class CountingTrail(MemoryTrail):
    """Counts transactions; refuses while `down`."""

    def __init__(self):
        super().__init__(MemoryRegistry())
        self.groups = []
        self.down = False

    async def append(self, log, entries):
        await asyncio.sleep(0)
        if self.down:
            raise UnavailableError("down")
        self.groups.append(len(entries))
        return await super().append(log, entries)


@pytest.fixture
async def queue():
    trail = CountingTrail()
    queue = AuditQueue(trail)
    task = asyncio.create_task(queue.run())
    yield queue, trail
    task.cancel()


async def test_appends_that_wait_share_a_transaction(queue, now):
    queue, trail = queue
    entry = AuditEntry(now, "mara", "acme", "a", "b", "ACCEPTED")
    logged = await asyncio.gather(*(queue.append(entry) for _ in range(700)))

    assert sorted(e.sequence for e in logged) == list(range(1, 701))
    assert len(trail.groups) <= 3


async def test_an_entry_that_cannot_be_recorded_spoils_nobody_elses(queue, now):
    queue, trail = queue
    entry = AuditEntry(now, "mara", "acme", "a", "b", "ACCEPTED")
    results = await asyncio.gather(
        queue.append(entry),
        queue.append(AuditEntry(now, "mara", "acme", "a", "b", "ACCEPTED", {"n": 2**60})),
        return_exceptions=True,
    )
    trail.down = True

    assert results[0].sequence == 1
    assert isinstance(results[1], InvalidInputError)
    with pytest.raises(UnavailableError):
        await queue.append(entry)
