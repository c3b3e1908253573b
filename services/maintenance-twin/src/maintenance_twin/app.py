"""Pick the adapters, open the doors."""

import asyncio
import logging
import sys
from dataclasses import fields
from typing import Any, Final

from maintenance_twin.adapters.models import SnapshotModelRelease
from maintenance_twin.adapters.postgres import PostgresTwinStore
from maintenance_twin.adapters.postgres_reads import PostgresTwinReads
from maintenance_twin.adapters.registry import GrpcAssetDirectory
from maintenance_twin.api_grpc import MaintenanceApi, TwinApi
from maintenance_twin.events import (
    CHANGES,
    OnConfigurationRecorded,
    OnSignalDefined,
    OnVerdictChanged,
    ReadingsConsumer,
    RecallFollower,
    WorkItemChanges,
)
from maintenance_twin.model.tuning import MODEL_NAME, Tuning
from maintenance_twin.ports import TwinStore
from maintenance_twin.settings import Settings
from maintenance_twin.subgraph import Context, schema
from maintenance_twin.usecases import (
    JudgeSilence,
    ReadConditions,
    ReadWorkItems,
    ReviseHistory,
    TakeReadings,
    WithdrawModel,
    Workbench,
)
from maintenance_twin.wire import derivation_of
from twinmesh.maintenance.v1 import maintenance_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_grpc
from twinmesh_sdk.adapters.nats.streams import TELE_PARTITIONS
from twinmesh_sdk.adapters.postgres import (
    Database,
    PostgresOutbox,
    RecordedClock,
    migrate,
)
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.runtime import TwinService

log = logging.getLogger(__name__)

PACKAGE: Final = "maintenance_twin"
DECISION: Final = "trip"
LOOK_S: Final = 1.0
PRUNE_S: Final = 600.0
DAY_US: Final = 86_400_000_000


def budget_of(contract: Contract) -> Budget:
    """Return the budget of the decision that the condition serves, from the charter.

    Raises:
        InvalidInputError: The charter does not declare it.
    """
    for declared in contract.charter.get("freshness", ()):
        if declared.get("decision") == DECISION:
            return Budget(DECISION, float(declared["budget_s"]))
    raise InvalidInputError(f"twin.yaml declares no freshness for {DECISION}")


def overrides_of(settings: Settings) -> dict[str, Any]:
    """Return the model's constants that the operator has set: they win over a version's."""
    told = {field.name for field in fields(Tuning)} & settings.model_fields_set
    if told:
        log.warning(
            "constants of the released model are overridden", extra={"constants": sorted(told)}
        )
    return {name: getattr(settings, name) for name in sorted(told)}


def build(settings: Settings) -> TwinService:
    """Return the service, ready to run."""
    contract = Contract.load(PACKAGE)
    budget = budget_of(contract)
    tuning = Tuning(
        baseline_rows=settings.baseline_rows,
        healthy_close_s=settings.healthy_close_s,
        false_alarm_probability=settings.false_alarm_probability,
        persistence_s=settings.persistence_s,
        lateness_s=settings.lateness_s,
    )
    service = TwinService(settings, contract)
    database = Database(
        settings.database_url.get_secret_value(),
        package=PACKAGE,
        pool=settings.database_pool,
    )
    service.add_resource("database", database)
    service.add_probe("database", database.check)
    outbox = PostgresOutbox(database)
    store = PostgresTwinStore(database, outbox, RecordedClock(database, service.clock), tuning)
    reads = PostgresTwinReads(database)
    release = SnapshotModelRelease(service.models, service.nats, overrides=overrides_of(settings))
    directory = GrpcAssetDirectory(service.peer("assets"))
    bench = Workbench(store)
    take_readings = TakeReadings(
        store=store,
        bench=bench,
        directory=directory,
        release=release,
        clock=service.clock,
        budget=budget,
        tuning=tuning,
    )
    judge_silence = JudgeSilence(store, bench, service.clock, budget)
    work_items = ReadWorkItems(store, reads, service.clock, budget)
    conditions = ReadConditions(store, reads, release, service.clock, budget)
    service.add_grpc(
        pb_grpc.add_MaintenanceServiceServicer_to_server, MaintenanceApi(work_items, conditions)
    )
    service.add_grpc(
        twin_grpc.add_TwinServiceServicer_to_server, TwinApi(contract, work_items, conditions)
    )
    changes = WorkItemChanges(service.event_feed(*CHANGES))
    service.add_subgraph(
        schema, lambda: Context(work_items, conditions, changes, release.is_recalled)
    )
    service.on_event(
        OnConfigurationRecorded(ReviseHistory(store, bench, directory, release, tuning))
    )
    service.on_event(OnSignalDefined(directory))
    service.on_event(OnVerdictChanged(judge_silence))
    service.announces(derivation_of)
    service.add_relay(outbox)
    for partition in range(TELE_PARTITIONS):
        consumer = ReadingsConsumer(service.nats, take_readings, partition=partition)
        service.add_worker(consumer.durable, consumer.run)
    service.add_worker("silence", lambda: watch_silence(store, judge_silence))
    withdraw = WithdrawModel(store, bench)
    service.replica.runs(MODEL_NAME, store.tenants)
    service.add_worker("artefacts", release.keep_loaded)
    service.add_worker("recalls", RecallFollower(service.models, service.replica, withdraw).run)
    service.add_worker("row log", lambda: prune_rows(store, service.clock, settings.rows_kept_days))
    return service


async def watch_silence(store: TwinStore, judge_silence: JudgeSilence) -> None:
    """Look every second whether an asset fell silent: nobody else would tell."""
    while True:
        try:
            for tenant in await store.tenants():
                await judge_silence(tenant)
        except TwinError as error:
            log.warning("silence cannot be judged", extra={"error": str(error)})
        await asyncio.sleep(LOOK_S)


async def prune_rows(store: TwinStore, clock: Clock, kept_days: float) -> None:
    """Forget decided rows that no correction will need."""
    while True:
        try:
            for tenant in await store.tenants():
                before_us = to_us(clock.plant_now(tenant)) - round(kept_days * DAY_US)
                await store.prune(tenant, before_us=before_us)
        except TwinError as error:
            log.warning("row log cannot be pruned", extra={"error": str(error)})
        await asyncio.sleep(PRUNE_S)


def main() -> None:
    """Serve, or with `migrate` prepare the database."""
    settings = Settings()
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(migrate(settings.database_url.get_secret_value(), PACKAGE))
    elif sys.argv[1:]:
        raise SystemExit(f"usage: {sys.argv[0]} [migrate]")
    else:
        build(settings).start()
