"""Picks adapters and opens the doors."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator

from telemetry.adapters.clickhouse import ClickHouseReadingStore
from telemetry.adapters.clickhouse_client import ClickHouse
from telemetry.adapters.clickhouse_rollups import ClickHouseRollupStore
from telemetry.adapters.nats import RAW, NatsRawStream, NatsTruthStream, PlantTimes, RawReader
from telemetry.adapters.postgres_ledger import PostgresLedger
from telemetry.adapters.postgres_lock import only_one
from telemetry.adapters.postgres_quarantine import PostgresQuarantineStore
from telemetry.adapters.postgres_watch import PostgresAlertStore, PostgresVerdictStore
from telemetry.adapters.registry import RegistrySignalDirectory
from telemetry.api_grpc import TelemetryApi, TwinApi
from telemetry.events.assets import OnSignalDefined
from telemetry.events.clock import FreshnessTicks, HousekeepingTicks, PipelineTicks
from telemetry.events.raw import IngestRawMessages
from telemetry.events.verdicts import VerdictChanges
from telemetry.http import readings_router
from telemetry.settings import Settings
from telemetry.subgraph import SCHEMA, Context, Reads
from telemetry.usecases.accept import AcceptReadings
from telemetry.usecases.board import SignalBoard
from telemetry.usecases.freshness import JudgeFreshness
from telemetry.usecases.ingest import IngestBlock, StampLimits
from telemetry.usecases.pipeline import WatchPipeline
from telemetry.usecases.quarantine import ListQuarantine, ReplayQuarantine
from telemetry.usecases.reads import ReadAssets, ReadHistory, ReadIngestStatus, ReadLatest
from telemetry.usecases.retention import ObeyRetention
from telemetry.usecases.rollups import RefreshRollups
from telemetry.wire.batch import encode_raw_batch
from telemetry.wire.events import VERDICT_CHANGED
from twinmesh.telemetry.v1.telemetry_service_pb2_grpc import add_TelemetryServiceServicer_to_server
from twinmesh.twin.v1.twin_service_pb2_grpc import add_TwinServiceServicer_to_server
from twinmesh_sdk.adapters.postgres import Database, PostgresInbox, PostgresOutbox
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.runtime import TwinService

log = logging.getLogger(__name__)

PACKAGE = "telemetry"
DAY_S = 86_400.0


def main() -> None:
    """Serve, or with `migrate` prepare the databases."""
    settings = Settings()
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(_migrate(settings))
    elif sys.argv[1:]:
        raise SystemExit("usage: python -m telemetry [migrate]")
    else:
        build(settings).start()


def build(settings: Settings) -> TwinService:
    """Return the service, not yet running."""
    contract = Contract.load(PACKAGE)
    service = TwinService(settings, contract)
    database, clickhouse = _database(settings), _clickhouse(settings)
    service.add_resource("database", database)
    service.add_resource("readings", _opened(clickhouse, migrating=settings.migrate_on_start))
    service.add_probe("database", database.check)
    service.add_probe("readings", clickhouse.ping)

    clock, bus = service.clock, service.nats
    store, rollups = ClickHouseReadingStore(clickhouse), ClickHouseRollupStore(clickhouse)
    ledger, outbox = PostgresLedger(database), PostgresOutbox(database)
    quarantine = PostgresQuarantineStore(database, clock)
    alerts = PostgresAlertStore(database, outbox)
    raw, board = NatsRawStream(bus), SignalBoard()
    registry = RegistrySignalDirectory(service.peer("assets"), clock)

    latest = ReadLatest(
        store=store, directory=registry, budgets=service.contracts.budgets, clock=clock
    )
    history = ReadHistory(store=store, rollups=rollups, ledger=ledger, directory=registry)
    status = ReadIngestStatus(stream=RAW, ledger=ledger, raw=raw)
    listing = ListQuarantine(quarantine)
    replay = ReplayQuarantine(store=quarantine, stream=raw, directory=registry, clock=clock)

    service.add_grpc(
        add_TelemetryServiceServicer_to_server,
        TelemetryApi(
            latest=latest, history=history, status=status, quarantine=listing, replay=replay
        ),
    )
    assets = ReadAssets(latest=latest, directory=registry)
    service.add_grpc(add_TwinServiceServicer_to_server, TwinApi(assets=assets, contract=contract))
    reads = Reads(
        latest=latest,
        history=history,
        status=status,
        quarantine=listing,
        alerts=alerts,
        verdicts=VerdictChanges(service.event_feed(VERDICT_CHANGED)),
    )
    service.add_subgraph(SCHEMA, lambda: Context(reads))
    service.add_router(readings_router(AcceptReadings(raw, encode_raw_batch), clock))
    service.on_event(OnSignalDefined(registry, replay), PostgresInbox(database))
    service.add_relay(outbox)

    ingest = IngestRawMessages(
        stream=RAW,
        reader=RawReader(bus),
        times=PlantTimes(bus),
        ledger=ledger,
        quarantine=quarantine,
        ingest=IngestBlock(
            stream=RAW,
            store=store,
            directory=registry,
            truth=NatsTruthStream(bus),
            ledger=ledger,
            board=board,
            clock=clock,
            limits=StampLimits(
                future_plant_s=settings.future_tolerance_s,
                max_age_s=settings.max_age_days * DAY_S,
            ),
        ),
    )
    freshness = FreshnessTicks(
        judge=JudgeFreshness(
            board=board,
            verdicts=PostgresVerdictStore(database, outbox),
            budgets=service.contracts.budgets,
            clock=clock,
        ),
        board=board,
        store=store,
        ledger=ledger,
    )
    pipeline = PipelineTicks(
        watch=WatchPipeline(board=board, ledger=ledger, alerts=alerts, clock=clock),
        ledger=ledger,
        stream=raw,
        name=RAW,
        clock=clock,
    )
    housekeeping = HousekeepingTicks(
        rollups=RefreshRollups(stream=RAW, ledger=ledger, rollups=rollups),
        replay=replay,
        retention=ObeyRetention(
            {"readings": store, "readings-hourly": rollups},
            service.contracts.retention_days,
            clock,
        ),
    )
    lock = only_one(database.engine, "telemetry-ingest")
    service.add_worker("ingest", lock.holding(ingest.run))
    service.add_worker("freshness", lock.beside(freshness.run))
    service.add_worker("pipeline", lock.beside(pipeline.run))
    service.add_worker("roll-ups", lock.beside(housekeeping.roll_up))
    service.add_worker("quarantine", lock.beside(housekeeping.sweep))
    service.add_worker("retention", lock.beside(housekeeping.forget))
    return service


@contextlib.asynccontextmanager
async def _opened(clickhouse: ClickHouse, *, migrating: bool) -> AsyncIterator[ClickHouse]:
    async with clickhouse:
        if migrating:
            await clickhouse.migrate()
        yield clickhouse


def _database(settings: Settings) -> Database:
    return Database(
        settings.database_url.get_secret_value(),
        package=PACKAGE if settings.migrate_on_start else "",
        pool=settings.database_pool,
    )


def _clickhouse(settings: Settings) -> ClickHouse:
    return ClickHouse(
        settings.clickhouse_url.get_secret_value(),
        settings.clickhouse_database,
        timeout_s=settings.clickhouse_timeout_s,
    )


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database_url.get_secret_value(), package=PACKAGE)
    async with database, _opened(_clickhouse(settings), migrating=True):
        log.info("both databases have this release's schema")
