"""Picks adapters and opens the doors."""

import asyncio
import logging
import sys
from typing import Final

from energy_twin.adapters.postgres import PostgresEnergyStore
from energy_twin.adapters.registry import GrpcAssetDirectory
from energy_twin.api_grpc import EnergyApi, TwinApi
from energy_twin.events import OnConfigurationRecorded, OnSignalDefined, ReadingsConsumer
from energy_twin.settings import EnergySettings
from energy_twin.subgraph import SCHEMA, Context
from energy_twin.usecases import ForgetOldReadings, LearnBaselines, ReadEnergy, TakeReadings
from energy_twin.wire import derivation_of
from twinmesh.energy.v1.energy_service_pb2_grpc import add_EnergyServiceServicer_to_server
from twinmesh.twin.v1.twin_service_pb2_grpc import add_TwinServiceServicer_to_server
from twinmesh_sdk.adapters.nats.streams import TELE_PARTITIONS
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox, RecordedClock, migrate
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.runtime import TwinService

log = logging.getLogger(__name__)

PACKAGE: Final = "energy_twin"
FORGET_S: Final = 6 * 3600.0


def main() -> None:
    """Serve, or with `migrate` prepare the database."""
    settings = EnergySettings()
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(migrate(settings.database_url.get_secret_value(), PACKAGE))
    elif sys.argv[1:]:
        raise SystemExit(f"usage: {sys.argv[0]} [migrate]")
    else:
        build(settings).start()


def build(settings: EnergySettings) -> TwinService:
    """Return the service, not yet running."""
    contract = Contract.load(PACKAGE)
    service = TwinService(settings, contract)
    database = Database(
        settings.database_url.get_secret_value(), package=PACKAGE, pool=settings.database_pool
    )
    service.add_resource("database", database)
    service.add_probe("database", database.check)
    outbox = PostgresOutbox(database)
    store = PostgresEnergyStore(database, outbox, RecordedClock(database, service.clock))
    directory = GrpcAssetDirectory(service.peer("assets"))
    learn_baselines = LearnBaselines(
        store,
        directory,
        readings=settings.baseline_readings,
        search_days=settings.baseline_search_days,
    )
    take_readings = TakeReadings(store, directory, learn_baselines)
    read = ReadEnergy(store, service.clock, budget_of(contract))
    service.add_grpc(add_EnergyServiceServicer_to_server, EnergyApi(read))
    service.add_grpc(add_TwinServiceServicer_to_server, TwinApi(read, contract))
    service.add_subgraph(SCHEMA, lambda: Context(read))
    service.on_event(OnConfigurationRecorded(learn_baselines))
    service.on_event(OnSignalDefined(directory))
    service.announces(derivation_of)
    service.add_relay(outbox)
    forget = ForgetOldReadings(store, service.clock, kept_days=settings.readings_kept_days)
    service.add_worker("old readings", lambda: keep_forgetting(forget))
    for partition in range(TELE_PARTITIONS):
        consumer = ReadingsConsumer(
            service.nats,
            take_readings,
            partition=partition,
            batch_messages=settings.batch_messages,
        )
        service.add_worker(consumer.durable, consumer.run)
    return service


async def keep_forgetting(forget: ForgetOldReadings) -> None:
    """Forget old readings, a few times a day."""
    while True:
        try:
            if gone := await forget():
                log.info("old readings forgotten", extra={"segments": gone})
        except TwinError as error:
            log.warning("old readings cannot be forgotten", extra={"error": str(error)})
        await asyncio.sleep(FORGET_S)


def budget_of(contract: Contract) -> Budget:
    """Return the charter's one budget: how old an input of a period may be at the period's end."""
    (declared,) = contract.charter["freshness"]
    return Budget(str(declared["decision"]), float(declared["budget_s"]))
