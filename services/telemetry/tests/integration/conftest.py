import json
from dataclasses import dataclass, field

import grpc
import pytest

from telemetry.adapters.clickhouse import ClickHouseReadingStore
from telemetry.adapters.clickhouse_client import ClickHouse
from telemetry.adapters.nats import RAW, NatsRawStream, NatsTruthStream, PlantTimes, RawReader
from telemetry.adapters.postgres_ledger import PostgresLedger
from telemetry.adapters.postgres_quarantine import PostgresQuarantineStore
from telemetry.adapters.registry import RegistrySignalDirectory
from telemetry.events.raw import IngestRawMessages, blocks
from telemetry.usecases.board import SignalBoard
from telemetry.usecases.ingest import IngestBlock, StampLimits
from telemetry.usecases.quarantine import ReplayQuarantine
from twinmesh.assets.v1 import asset_registry_service_pb2 as assets_pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as assets_grpc
from twinmesh.assets.v1 import model_pb2
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.adapters.plant_clock import WallClock
from twinmesh_sdk.adapters.postgres import Database
from twinmesh_sdk.core.times import to_us

SIGNALS = ("flow", "pressure", "power")


def definition(tenant, device, name, number, **more):
    return model_pb2.SignalDefinition(
        signal_id=f"sig_{number:026d}",
        asset_id=f"ast_{number // 10:026d}",
        name=name,
        source_unit=more.pop("source_unit", "m3/s"),
        unit=more.pop("unit", "m3/s"),
        cadence_s=more.pop("cadence_s", 1.0),
        source=more.pop("source", "skid"),
        device=device,
        source_signal=name,
        kind="gauge",
        **more,
    )


@dataclass
class Registry(assets_grpc.AssetRegistryServiceServicer):
    """A registry whose definitions a test writes; it speaks the registry's gRPC."""

    by_tenant: dict = field(default_factory=dict)
    calls: int = 0
    address: str = ""

    def define(self, tenant, signal):
        self.by_tenant.setdefault(tenant, {})[signal.signal_id] = signal

    async def ListSignals(self, request, context):
        self.calls += 1
        tenant = dict(context.invocation_metadata()).get("tm-tenant", self.only)
        found = [
            s
            for s in self.by_tenant.get(tenant, {}).values()
            if (not request.source or s.source == request.source)
            and (not request.signal_ids or s.signal_id in request.signal_ids)
            and (not request.asset_ids or s.asset_id in request.asset_ids)
        ]
        return assets_pb.ListSignalsResponse(signals=found)

    only: str = ""


@pytest.fixture
async def registry():
    servicer = Registry()
    server = grpc.aio.server()
    assets_grpc.add_AssetRegistryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    servicer.address = f"127.0.0.1:{port}"
    await server.start()
    yield servicer
    await server.stop(0)


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as mesh:
        await ensure_streams(mesh)
        yield mesh


class Killed(BaseException):
    """What a killed process does: nothing more."""


@dataclass
class Rig:
    """The ingest of one process, on real servers; `restart` makes it anew, as after a crash."""

    bus: MeshNats
    database: Database
    clickhouse: ClickHouse
    registry: Registry
    tenant: str
    channel: object = None
    hooks: dict = field(default_factory=dict)
    Killed = Killed

    def restart(self):
        clock = WallClock()
        self.clock = clock
        self.channel = grpc.aio.insecure_channel(self.registry.address)
        self.registry.only = self.tenant
        self.store = ClickHouseReadingStore(self.clickhouse)
        self.ledger = PostgresLedger(self.database)
        self.quarantine = PostgresQuarantineStore(self.database, clock)
        self.directory = RegistrySignalDirectory(self.channel, clock)
        self.raw = NatsRawStream(self.bus)
        self.replay = ReplayQuarantine(
            store=self.quarantine, stream=self.raw, directory=self.directory, clock=clock
        )
        self.board = SignalBoard()
        self.reader = RawReader(self.bus)
        self.ingest = IngestRawMessages(
            stream=RAW,
            reader=self.reader,
            times=PlantTimes(self.bus),
            ledger=_Hooked(self.ledger, "commit", self.hooks),
            quarantine=self.quarantine,
            ingest=IngestBlock(
                stream=RAW,
                store=_Hooked(self.store, "insert", self.hooks),
                directory=self.directory,
                truth=_Hooked(NatsTruthStream(self.bus), "publish", self.hooks),
                ledger=_Hooked(self.ledger, "commit", self.hooks),
                board=self.board,
                clock=clock,
                limits=StampLimits(),
            ),
        )
        return self

    async def drain(self, limit=200):
        """Work until nothing waits, block by block."""
        state = await self.reader.state()
        cursor = await self.ledger.cursor(RAW, state.epoch)
        for _ in range(limit):
            if cursor.last_seq >= (await self.reader.state()).last_seq:
                return cursor
            fetched = await self.reader.fetch(cursor.last_seq)
            if not fetched:
                continue
            for block in blocks(fetched):
                cursor = (await self.ingest.take(block, cursor)).cursor
                await self.reader.acknowledge(block[-1])
        raise AssertionError("the stream was not drained")

    def define(self, device, name, number, **more):
        self.registry.define(self.tenant, definition(self.tenant, device, name, number, **more))

    async def send(self, device, name, document, *, source="skid", tenant=None):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        subject = f"raw.{tenant or self.tenant}.{source}.{device}.{name}"
        await self.bus.js.publish(subject, data)

    async def counts(self, tenant=None):
        return await self.ledger.counts(tenant or self.tenant)

    async def rows(self):
        table = await self.clickhouse.read("SELECT count() AS n FROM readings")
        return int(table.column("n")[0].as_py())

    def now_us(self):
        return to_us(self.clock.wall_now())


class _Hooked:
    """An adapter that dies before or after one of its calls, when a test asks for it."""

    def __init__(self, inner, method, hooks):
        self._inner = inner
        self._method = method
        self._hooks = hooks

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        async def hooked(*args, **kwargs):
            if self._hooks.pop(f"before {name}", False):
                raise Killed
            result = await found(*args, **kwargs)
            if self._hooks.pop(f"after {name}", False):
                raise Killed
            return result

        return hooked


@pytest.fixture
async def rig(bus, database_url, tsdb_server, tsdb_database, registry):
    async with (
        Database(database_url, package="telemetry") as database,
        ClickHouse(tsdb_server.url, tsdb_database) as clickhouse,
    ):
        made = Rig(bus, database, clickhouse, registry, "acme").restart()
        for number, name in enumerate(SIGNALS):
            registry.define("acme", definition("acme", "p101", name, 10 + number))
        yield made
        await made.channel.close()
