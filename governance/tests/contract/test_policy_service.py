"""Policies through governance's doors: two persons, tests first, obeyed at once."""

import asyncio
import json

import grpc
import pytest
from click.testing import CliRunner

from governance import app
from governance.adapters.memory import MemoryRegistry
from governance.decide.policies import make, shipped
from governance.settings import GovernanceSettings
from governance.usecases.authority import Authority
from governance.usecases.policies import ChangePolicies, ReadPolicies
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh_cli.main import cli
from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
)
from twinmesh_sdk.testing.clock import SimulatedClock
from twinmesh_sdk.testing.mesh import running, settings_for

DIGEST = "sha256:" + "ab" * 32
NO_MODELS = shipped().cedar.replace('contains("models.submit")', 'contains("models.author")')
TESTS = [
    {"name": "with the new role", "who": {"subject": "x", "roles": ["models.author"]},
     "may": "model.submit", "what": {"type": "Model", "id": "m"}},
    {"name": "not with the old one", "who": {"subject": "x", "roles": ["models.submit"]},
     "may_not": "model.submit", "what": {"type": "Model", "id": "m"}},
]  # fmt: skip


@pytest.fixture
def registry():
    return MemoryRegistry()


@pytest.fixture
def authority(registry):
    return Authority(registry)


@pytest.fixture
def change(registry, authority):
    return ChangePolicies(registry, authority, SimulatedClock())


async def test_a_set_is_put_by_one_person_and_in_force_by_another(registry, authority, change, who):
    put = await change.put(
        who("mara", "policies.write"), cedar=NO_MODELS, tests=TESTS, note="renamed"
    )
    assert (put.version, authority.in_force.version) == (1, 0)
    with pytest.raises(ForbiddenError, match="another person"):
        await change.approve(who("mara", "policies.approve"), 1, note="")
    approved = await change.approve(who("tom", "policies.approve"), 1, note="fine")
    again = await change.approve(who("tom", "policies.approve"), 1, note="fine")

    assert authority.in_force == approved == again
    sets = await ReadPolicies(registry, authority).all(who("x"))
    assert [(s.version, s.author, s.approved_by) for s in sets] == [(1, "mara", "tom"), (0, "", "")]
    audit = await registry.audit("acme", before=None, limit=9)
    assert [(e.action, e.outcome) for e in reversed(audit)] == [
        ("policy.put", "ACCEPTED"),
        ("policy.approve", "REFUSED"),
        ("policy.approve", "ACCEPTED"),
        ("policy.approve", "UNCHANGED"),
    ]


async def test_a_set_that_fails_its_tests_is_not_stored(registry, change, who):
    with pytest.raises(InvalidInputError, match="test failed: not with the old one"):
        await change.put(who("mara", "policies.write"), cedar=shipped().cedar, tests=TESTS, note="")
    async with registry.snapshot() as session:
        assert await session.policy_sets() == []


async def test_an_older_set_does_not_come_back_by_a_late_approval(change, who):
    for note in "ab":
        await change.put(who("mara", "policies.write"), cedar=NO_MODELS, tests=TESTS, note=note)
    await change.approve(who("tom", "policies.approve"), 2, note="")

    with pytest.raises(ConflictError):
        await change.approve(who("tom", "policies.approve"), 1, note="")
    with pytest.raises(NotFoundError):
        await change.approve(who("tom", "policies.approve"), 3, note="")


async def test_a_stored_set_that_cannot_be_read_leaves_the_earlier_one_in_force(
    registry, authority, now
):
    async with registry.exclusive() as session:
        broken = make(1, "permit everything", TESTS, author="a", put_at=now)
        await session.save_policy_set(broken.approve(by="b", at=now))

    assert not await authority.refresh()
    assert authority.in_force.version == 0


@pytest.fixture
def settings(database_url, issuer, private_nats):
    return settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
    )


@pytest.mark.stack
async def test_policies_are_changed_from_the_command_line_and_obeyed(settings, issuer, tmp_path):
    cedar, tests = tmp_path / "own.cedar", tmp_path / "own.tests.json"
    cedar.write_text(NO_MODELS)
    tests.write_text(json.dumps(TESTS))
    async with running(app.build(settings)) as service:
        address = f"127.0.0.1:{service.grpc_port}"

        async def run(who, *arguments):
            environment = {"TWIN_GOVERNANCE_ADDR": address, "TWIN_TOKEN": issuer.token(who)}
            return await asyncio.to_thread(
                CliRunner().invoke, cli, ["policy", *map(str, arguments)], env=environment
            )

        async def submit(version):
            async with grpc.aio.insecure_channel(address) as channel:
                request = pb.SubmitModelRequest(
                    name="pump-condition", version=version, artefact_digest=DIGEST
                )
                await GovernanceServiceStub(channel).SubmitModel(
                    request, metadata=(("authorization", f"Bearer {issuer.token('author')}"),)
                )

        await submit("1.0.0")
        assert (await run("author", "check", cedar, tests)).exit_code == 0
        assert (await run("author", "put", cedar, tests, "--note", "renamed")).exit_code == 0
        assert (await run("author", "approve", "1")).exit_code == 1
        assert (await run("reviewer", "approve", "1")).exit_code == 0
        assert (await run("author", "show")).output.rstrip("\n") == NO_MODELS.rstrip("\n")
        assert "in force by author, approved by reviewer" in (await run("author", "list")).output
        with pytest.raises(grpc.aio.AioRpcError, match=r"it needs the role models\.submit"):
            await submit("1.0.1")

        cedar.write_text("permit everything")
        assert (await run("author", "check", cedar, tests)).exit_code == 1
        assert (await run("author", "check", tests, cedar)).exit_code == 2
