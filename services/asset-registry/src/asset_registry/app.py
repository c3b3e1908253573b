"""Picks adapters and opens the doors."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator
from typing import Final

from asset_registry.adapters.neo4j_graph import Graph, migrate
from asset_registry.adapters.neo4j_outbox import Neo4jOutbox
from asset_registry.adapters.neo4j_store import Neo4jAssetStore
from asset_registry.adapters.ulid_mint import UlidMint
from asset_registry.api_grpc import AssetRegistryApi, TwinApi, Writers
from asset_registry.http import plant_router
from asset_registry.settings import AssetRegistrySettings
from asset_registry.subgraph import SCHEMA, Context
from twinmesh.assets.v1.asset_registry_service_pb2_grpc import (
    add_AssetRegistryServiceServicer_to_server,
)
from twinmesh.twin.v1.twin_service_pb2_grpc import add_TwinServiceServicer_to_server
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import DeadlineExceededError, UnavailableError
from twinmesh_sdk.runtime import TwinService

log = logging.getLogger(__name__)

MIGRATE_RETRY_S: Final = 0.5


def main() -> None:
    """Serve, or with `migrate` prepare the graph."""
    settings = AssetRegistrySettings()
    if sys.argv[1:] == ["migrate"]:
        asyncio.run(_migrate(settings))
    elif sys.argv[1:]:
        raise SystemExit(f"usage: {sys.argv[0]} [migrate]")
    else:
        build(settings).start()


def build(settings: AssetRegistrySettings) -> TwinService:
    """Return the service, not yet running."""
    contract = Contract.load("asset_registry")
    service = TwinService(settings, contract)
    graph = _graph(settings)
    service.add_resource("graph", _opened(graph, migrating=settings.migrate_on_start))
    service.add_probe("graph", graph.ping)
    store = Neo4jAssetStore(graph, service.clock, tracing.traceparent)
    mint = UlidMint(service.clock)
    writers = Writers(store, mint, service.clock)
    service.add_grpc(
        add_AssetRegistryServiceServicer_to_server, AssetRegistryApi(store, writers, mint)
    )
    service.add_grpc(add_TwinServiceServicer_to_server, TwinApi(store, contract))
    service.add_subgraph(SCHEMA, lambda: Context(store))
    service.add_router(plant_router(writers.import_plant))
    service.add_relay(Neo4jOutbox(graph))
    return service


@contextlib.asynccontextmanager
async def _opened(graph: Graph, *, migrating: bool) -> AsyncIterator[Graph]:
    """Open the graph, waiting for its server as long as it takes: stores start when they start."""
    async with graph:
        while migrating:
            try:
                await migrate(graph)
                break
            except (DeadlineExceededError, UnavailableError) as error:
                log.warning("the asset graph is not ready", extra={"error": str(error)})
                await asyncio.sleep(MIGRATE_RETRY_S)
        yield graph


async def _migrate(settings: AssetRegistrySettings) -> None:
    async with _opened(_graph(settings), migrating=True):
        log.info("the graph has this release's constraints and indexes")


def _graph(settings: AssetRegistrySettings) -> Graph:
    return Graph(
        settings.neo4j_uri,
        settings.neo4j_user,
        settings.neo4j_password.get_secret_value(),
        settings.neo4j_database,
        timeout_s=settings.request_timeout_s,
        connect_s=settings.call_timeout_s,
        pool_size=settings.neo4j_pool,
    )
