"""Assembles the gateway: the federation engine, served with the mesh's times, trust and tokens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway import caching, observing
from gateway.answering import (
    EXPLAIN,
    Answering,
    client_of,
    client_of_socket,
    note_masked,
)
from gateway.consumption import Consumption
from gateway.forwarding import MeshHooks
from gateway.query_page import QueryPage, read_samples
from gateway.settings import GatewaySettings, listed
from gateway.supergraph_source import SupergraphSource
from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.client import SubgraphClient
from twinmesh_federation.execution.entity_cache import EntityCache, EntityCachingClient
from twinmesh_federation.execution.executor import ExecutorOptions
from twinmesh_federation.execution.http_client import HttpSubgraphClient
from twinmesh_federation.execution.limits import Limits
from twinmesh_federation.execution.resilience import ResilientClient
from twinmesh_federation.execution.run import Deadlines
from twinmesh_federation.http import GraphQLHandler, WebSocketEndpoint
from twinmesh_federation.serving import (
    AutomaticDocuments,
    CsrfPolicy,
    DocumentPolicy,
    ErrorMasking,
    RateLimit,
    RateLimiter,
    read_manifest,
)
from twinmesh_federation.serving.cors import cors
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.subscriptions import (
    AiohttpSubscriptionClient,
    SubscriptionLimits,
    Subscriptions,
)
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import ErrorCode
from twinmesh_sdk.runtime import TwinService
from twinmesh_sdk.runtime.auth import Issuer, TokenSource
from twinmesh_sdk.runtime.failures import INTERNAL


def options_of(settings: GatewaySettings) -> ExecutorOptions:
    """Return how the engine executes."""
    return ExecutorOptions(
        deadlines=Deadlines(
            request_s=settings.answer_timeout_s, subgraph_s=settings.subgraph_timeout_s
        ),
        limits=Limits(
            depth=settings.max_depth,
            aliases=settings.max_aliases,
            tokens=settings.max_tokens,
            field_cost=settings.max_field_cost,
            type_cost=settings.max_type_cost,
            list_size=settings.assumed_list_size,
        ),
        introspection=settings.introspection,
    )


def client_for(settings: GatewaySettings) -> SubgraphClient:
    """Return the client that asks subgraphs."""
    client: SubgraphClient = ResilientClient(HttpSubgraphClient())
    if ttl_s := settings.entity_ttls():
        cache = EntityCache(max_bytes=settings.entity_cache_mb * 1_000_000)
        client = EntityCachingClient(
            client,
            cache,
            ttl_s=ttl_s,
            vary=caching.vary,
            keeps=caching.keeps,
            on_look_up=caching.count,
        )
    return observing.TracingClient(client)


def documents_of(settings: GatewaySettings) -> DocumentPolicy:
    """Return how documents are found that requests only name.

    Raises:
        ManifestError: The manifest cannot be read.
    """
    path = settings.persisted_documents
    count = settings.automatic_documents
    return DocumentPolicy(
        persisted=read_manifest(Path(path)) if path else {},
        safelist=settings.safelist,
        automatic=AutomaticDocuments(count=count) if count else None,
    )


def build(settings: GatewaySettings) -> TwinService:
    """Return the gateway, ready to run."""
    service = TwinService(settings, Contract.load("gateway"))
    options, rules = options_of(settings), settings.header_rules_read()
    hooks = MeshHooks(subgraph_timeout_s=settings.subgraph_timeout_s, rules=rules)
    engine = Engine(client_for(settings), hooks=hooks, options=options)
    source = SupergraphSource(engine, service.contracts, service.nats, options)
    limiter = (
        RateLimiter(
            RateLimit(settings.rate_per_s, settings.rate_burst), clients=settings.rate_clients
        )
        if settings.rate_per_s
        else None
    )
    answering = Answering(
        service.clock,
        service.verifier,
        Consumption(service.consumption, lambda: engine.supergraph),
        answer_timeout_s=settings.answer_timeout_s,
        limiter=limiter,
        rules=rules,
    )
    subscriptions = Subscriptions(
        engine,
        AiohttpSubscriptionClient(),
        renew=answering.renew,
        limits=SubscriptionLimits(
            per_client=settings.max_subscriptions_per_client,
            total=settings.max_subscriptions,
            buffer=settings.subscription_buffer,
            longest_s=settings.subscription_max_s,
            keep_alive_s=settings.keep_alive_s,
        ),
    )
    observing.SUBSCRIPTIONS.set_function(lambda: subscriptions.count)
    shown = {code.value for code in ErrorCode} | {INTERNAL} | listed(settings.shown_error_codes)
    pipeline = Pipeline(
        engine,
        context=answering.admit,
        finish=answering.finish,
        documents=documents_of(settings),
        masking=ErrorMasking(shown) if settings.mask_errors else None,
        on_masked=note_masked,
        subscriptions=subscriptions,
        client_of=client_of,
        observe=observing.observed,
    )
    service.add_resource("subgraph client", _closed_last(engine))
    if settings.query_page:
        _open_page(service, settings)
    _open_doors(service, settings, pipeline, answering)
    service.add_worker("supergraph", source.run)
    service.add_worker("subscriptions", lambda: _until_stopped(subscriptions))
    service.add_probe("supergraph", source.ready)
    return service


def _open_doors(
    service: TwinService, settings: GatewaySettings, pipeline: Pipeline, answering: Answering
) -> None:
    origins = listed(settings.cors_origins)
    csrf = CsrfPolicy(origins, strict=settings.strict_csrf)
    handler = GraphQLHandler(pipeline, max_body_bytes=settings.max_body_bytes, csrf=csrf)
    # A raw route: the engine speaks GraphQL over HTTP itself, without a framework's validation.
    service.http.app.add_route("/graphql", handler.__call__, methods=["GET", "POST"])
    service.http.add_websocket(
        "/graphql",
        WebSocketEndpoint(
            pipeline, connect=answering.connect, client_of=client_of_socket, csrf=csrf
        ),
        max_bytes=settings.max_body_bytes,
    )
    if origins:
        service.http.wrap(cors(origins, headers=(EXPLAIN,), exposed=("retry-after", "tm-trace-id")))


@asynccontextmanager
async def _closed_last(engine: Engine) -> AsyncIterator[None]:
    """Keep the connections to subgraphs until no request runs any more."""
    yield
    await engine.close()


def _open_page(service: TwinService, settings: GatewaySettings) -> None:
    """Show the page at `/`, signed in as the client that the settings name."""
    issuer = Issuer(
        settings.oidc_issuer, jwks_url=settings.oidc_jwks_url, token_url=settings.oidc_token_url
    )
    tokens = TokenSource(
        issuer,
        client_id=settings.query_page_client_id,
        client_secret=settings.query_page_client_secret.get_secret_value(),
    )
    folder = settings.query_page_samples
    page = QueryPage(read_samples(Path(folder)) if folder else [], tokens.token)
    service.http.app.add_route("/", page.page, methods=["GET"])
    service.http.app.add_route("/query-page/{name}", page.file, methods=["GET"])
    service.add_resource("query page", _issuer_closed_last(issuer))


@asynccontextmanager
async def _issuer_closed_last(issuer: Issuer) -> AsyncIterator[None]:
    yield
    await issuer.close()


async def _until_stopped(subscriptions: Subscriptions) -> None:
    """Wait for the end of the service, and then end every subscription with a reason."""
    try:
        await asyncio.Event().wait()
    finally:
        subscriptions.stop()
        await subscriptions.close()


def main() -> None:
    """Run the gateway until stopped."""
    build(GatewaySettings()).start()
