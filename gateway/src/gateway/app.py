"""Assembles the gateway: the federation engine, served with the mesh's times, trust and tokens."""

from gateway.answering import Answering
from gateway.consumption import Consumption
from gateway.forwarding import MeshHooks
from gateway.settings import GatewaySettings
from gateway.supergraph_source import SupergraphSource
from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.aiohttp_client import AiohttpSubgraphClient
from twinmesh_federation.execution.executor import ExecutorOptions
from twinmesh_federation.execution.limits import Limits
from twinmesh_federation.execution.run import Deadlines
from twinmesh_federation.http import GraphQLHandler
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.runtime import TwinService


def options_of(settings: GatewaySettings) -> ExecutorOptions:
    """Return how the engine executes."""
    return ExecutorOptions(
        deadlines=Deadlines(
            request_s=settings.answer_timeout_s, subgraph_s=settings.subgraph_timeout_s
        ),
        limits=Limits(depth=settings.max_depth, aliases=settings.max_aliases),
        introspection=settings.introspection,
    )


def build(settings: GatewaySettings) -> TwinService:
    """Return the gateway, ready to run."""
    service = TwinService(settings, Contract.load("gateway"))
    options = options_of(settings)
    hooks = MeshHooks(subgraph_timeout_s=settings.subgraph_timeout_s)
    engine = Engine(AiohttpSubgraphClient(), hooks=hooks, options=options)
    source = SupergraphSource(engine, service.contracts, service.nats, options)
    consumption = Consumption(service.consumption, lambda: engine.supergraph)
    answering = Answering(service.clock, consumption, answer_timeout_s=settings.answer_timeout_s)
    handler = GraphQLHandler(
        engine,
        context=answering.admit,
        finish=answering.finish,
        max_body_bytes=settings.max_body_bytes,
    )

    # A raw route: the engine speaks GraphQL over HTTP itself, without a framework's validation.
    service.http.app.add_route("/graphql", handler.__call__, methods=["GET", "POST"])
    service.add_worker("supergraph", source.run)
    service.add_probe("supergraph", source.ready)
    return service


def main() -> None:
    """Run the gateway until stopped."""
    build(GatewaySettings()).start()
