"""Retention: set by one who may, audited, spread, and obeyed by the bus."""

import asyncio
import json
import time

import grpc
import pytest
from click.testing import CliRunner

from governance import app
from governance.adapters.memory import MemoryNoticeboard, MemoryRegistry
from governance.model.retention import DataClass, Retention
from governance.settings import GovernanceSettings
from governance.usecases import Publish
from governance.usecases.authority import Authority
from governance.usecases.retention import ReadRetention, SetRetention
from twinmesh.governance.v1 import audit_service_pb2 as pb
from twinmesh.governance.v1.audit_service_pb2_grpc import AuditServiceStub
from twinmesh_cli.main import cli
from twinmesh_sdk.adapters.nats import ContractSnapshot, KvMirror, MeshNats
from twinmesh_sdk.core.errors import ForbiddenError, InvalidInputError
from twinmesh_sdk.testing.clock import SimulatedClock
from twinmesh_sdk.testing.mesh import running, settings_for


@pytest.fixture
def registry():
    return MemoryRegistry()


@pytest.fixture
def board():
    return MemoryNoticeboard()


@pytest.fixture
def change(registry, board):
    clock = SimulatedClock()
    return SetRetention(registry, Publish(registry, board, clock), Authority(registry), clock)


async def test_a_policy_is_set_audited_and_spread(registry, board, change, who):
    auditor = who("auditor", "retention.write")
    await change(auditor, DataClass.READINGS, 400, reason="a year and a bit")
    await change(auditor, DataClass.READINGS, 90, reason="disk")
    with pytest.raises(ForbiddenError):
        await change(who("mara"), DataClass.EVENTS, 10, reason="no")

    found = await ReadRetention(registry, Authority(registry))(who("x"))
    assert [(r.data_class, r.keep_days) for r in found] == [(DataClass.READINGS, 90)]
    assert json.loads(board.contracts["retention"]) == {"readings": {"keep_days": 90}}
    audit = await registry.audit("acme", before=None, limit=9)
    assert [(e.outcome, e.detail.get("before_days"), e.detail["keep_days"]) for e in audit] == [
        ("REFUSED", None, "10"), ("ACCEPTED", 400, "90"), ("ACCEPTED", None, "400"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data_class", "days", "reason"),
    [
        (DataClass.EVENTS, 45, "longer than consumers remember"),
        (DataClass.EVENTS, 0.5, "too short"),
        (DataClass.READINGS, float("nan"), "no number"),
        (DataClass.READINGS, float("inf"), "no number"),
        (DataClass.QUARANTINE, 10, "  "),
    ],
)
async def test_what_would_lose_data_by_a_slip_is_refused_and_audited(
    registry, change, who, data_class, days, reason
):
    with pytest.raises(InvalidInputError):
        await change(who("auditor", "retention.write"), data_class, days, reason=reason)
    assert [e.outcome for e in await registry.audit("acme", before=None, limit=9)] == ["REFUSED"]


async def test_nothing_is_spread_where_nobody_has_said(registry, board):
    await Publish(registry, board, SimulatedClock())()

    assert "retention" not in board.contracts


def test_bounds_hold_however_a_policy_is_made(now):
    with pytest.raises(InvalidInputError):
        Retention(DataClass.EVENTS, 100, "r", "x", now)


@pytest.mark.stack
async def test_the_bus_and_every_service_obey_what_is_set_from_the_command_line(
    database_url, issuer, private_nats
):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        republish_s=0.1,
    )
    async with (
        running(app.build(settings)) as service,
        MeshNats(private_nats.url, user=private_nats.user, password=private_nats.password) as bus,
    ):
        address = f"127.0.0.1:{service.grpc_port}"

        async def run(*arguments, who="auditor"):
            environment = {"TWIN_GOVERNANCE_ADDR": address, "TWIN_TOKEN": issuer.token(who)}
            return await asyncio.to_thread(
                CliRunner().invoke, cli, ["retention", *arguments], env=environment
            )

        mirror = KvMirror(bus, "contracts")
        following = asyncio.create_task(mirror.run())
        before = (await bus.js.stream_info("EVENTS")).config
        assert (await run("set", "events", "7", "--reason", "disk")).exit_code == 0
        assert (await run("set", "readings", "30", "--reason", "disk")).exit_code == 0
        assert (await run("set", "events", "3", "--reason", "x", who="author")).exit_code == 1
        assert (await run("set", "events", "99", "--reason", "x")).exit_code == 2
        assert len(json.loads((await run("list", "--json")).output)) == 2

        snapshot, deadline = ContractSnapshot(mirror), time.monotonic() + 15
        while True:
            after = (await bus.js.stream_info("EVENTS")).config
            if after.max_age == 7 * 86_400 and snapshot.retention_days("readings") == 30:
                break
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (after.max_bytes, after.subjects) == (before.max_bytes, before.subjects)
        assert snapshot.retention_days("quarantine") is None
        following.cancel()

        async with grpc.aio.insecure_channel(address) as channel:
            exported = await AuditServiceStub(channel).ExportAudit(
                pb.ExportAuditRequest(mesh=True),
                metadata=(("authorization", f"Bearer {issuer.token('auditor')}"),),
            )
        assert [json.loads(json.loads(line)["leaf"])["action"] for line in exported.lines] == [
            "retention.apply"
        ]
