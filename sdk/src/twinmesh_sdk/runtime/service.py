"""A twin's process: what it opens, serves, runs beside, and closes again."""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats import (
    ConsumptionReporter,
    ContractSnapshot,
    EventConsumer,
    EventFeed,
    EventPublisher,
    KvMirror,
    MeshNats,
    ModelSnapshot,
    OutboxRelay,
    ReplicaHeartbeat,
    ensure_streams,
)
from twinmesh_sdk.adapters.nats.lease import Lease
from twinmesh_sdk.adapters.nats.snapshots import CONTRACTS, MODELS
from twinmesh_sdk.adapters.plant_clock import BUCKET as PLANT_CLOCK
from twinmesh_sdk.adapters.plant_clock import PlantClock
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.consumption import Derivation
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    PreconditionFailedError,
    TwinError,
    UnavailableError,
)
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.ports.events import EventHandler
from twinmesh_sdk.ports.outbox import Inbox, OutboxStore
from twinmesh_sdk.runtime import json_logs
from twinmesh_sdk.runtime.auth import Issuer, TokenSource, TokenVerifier
from twinmesh_sdk.runtime.entry import Entry
from twinmesh_sdk.runtime.loop_lag import watch_loop
from twinmesh_sdk.runtime.probes import Probe, Probes
from twinmesh_sdk.runtime.settings import TwinSettings
from twinmesh_sdk.runtime.workers import Workers

if TYPE_CHECKING:
    import strawberry.federation
    from fastapi import APIRouter
    from grpc.aio import Channel, Server

    from twinmesh_sdk.runtime.grpc_host import GrpcHost
    from twinmesh_sdk.runtime.http_host import HttpHost
    from twinmesh_sdk.runtime.peers import Peers
    from twinmesh_sdk.runtime.twin_api import Explain, States

log = logging.getLogger(__name__)

CANCEL_S: Final = 2.0
FORGET_EVERY_S: Final = 3600.0
FORGET_PAUSE_S: Final = 0.5
ENSURE_RETRY_S: Final = 1.0

_TWIN_API: Final = "add_TwinServiceServicer_to_server"

T = TypeVar("T")


class Opened(Generic[T]):
    """What a resource gives once the service has opened it."""

    def __init__(self, name: str, resource: AbstractAsyncContextManager[T]) -> None:
        self.name = name
        self._resource = resource
        self._value: list[T] = []

    @property
    def value(self) -> T:
        """The opened resource.

        Raises:
            UnavailableError: The service has not opened it yet.
        """
        if not self._value:
            raise UnavailableError(f"{self.name} is not open yet")
        return self._value[0]

    async def open(self, stack: AsyncExitStack) -> None:
        """Open it; `stack` closes it."""
        self._value.append(await stack.enter_async_context(self._resource))


class TwinService:
    """Assembles a twin: `app.py` makes one, adds what it serves, and runs it.

    Nothing is opened before `run`. The doors answer health at once, requests when everything is
    open, and report ready when the contract's digest is active and every probe passes.

    Attributes:
        clock: Wall time, and plant time per tenant.
        nats: The connection to the bus.
        publisher: Events out; prefer an outbox and `add_relay`.
        contracts: What governance has published: budgets, event schemas, supergraph.
        models: Active model versions.
        replica: Tells governance which model versions this process runs.
        consumption: What this process saw being used, for receipts and contract uses.
        verifier: Turns tokens into principals.
        tokens: This service's own token.
    """

    def __init__(self, settings: TwinSettings, contract: Contract) -> None:
        self.settings = settings
        self.contract = contract
        self.name = contract.service
        self.nats = MeshNats(
            settings.nats_url,
            user=settings.nats_user,
            password=settings.nats_password.get_secret_value(),
            name=self.name,
        )
        self._mirrors = {b: KvMirror(self.nats, b) for b in (PLANT_CLOCK, CONTRACTS, MODELS)}
        self.clock: Clock = PlantClock(self._mirrors[PLANT_CLOCK])
        self.contracts = ContractSnapshot(self._mirrors[CONTRACTS])
        self.models = ModelSnapshot(self._mirrors[MODELS])
        self.publisher = EventPublisher(self.nats, self.contracts, contract.event_schemas)
        self.consumption = ConsumptionReporter(self.nats, self.clock, reporter=self.name)
        self.replica = ReplicaHeartbeat(self.nats, self.models, self.clock, service=self.name)
        self._issuer = Issuer(
            settings.oidc_issuer,
            jwks_url=settings.oidc_jwks_url,
            token_url=settings.oidc_token_url,
        )
        self.verifier = TokenVerifier(
            self._issuer, audience=settings.oidc_audience, clock=self.clock
        )
        self.tokens = TokenSource(
            self._issuer,
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value(),
        )
        self.entry = Entry(self.verifier, self.clock, timeout_s=settings.request_timeout_s)
        self.probes = Probes()
        self._stopping, self._active = asyncio.Event(), asyncio.Event()
        self.contracts.on_change(self._notice_activation)
        self._workers = Workers(self.stop)
        self._resources: list[Opened[Any]] = []
        self._consumers: list[EventConsumer] = []
        self._inboxes: list[Inbox] = []
        self._relays: list[OutboxRelay] = []
        self._feeds = 0
        self._describes = False
        self._http: HttpHost | None = None
        self._grpc: GrpcHost | None = None
        self._peers: Peers | None = None
        self.probes.add("bus", self._bus_answers)
        self.probes.add("contract", self._contract_is_active)

    # -- what it serves ------------------------------------------------------------------------

    @property
    def http(self) -> "HttpHost":
        """The HTTP host; made on first use."""
        if self._http is None:
            from twinmesh_sdk.runtime.http_host import HttpHost  # noqa: PLC0415 - slow to import

            self._http = HttpHost(self.name, self.entry, self.probes)
        return self._http

    @property
    def grpc(self) -> "GrpcHost":
        """The gRPC host; made on first use."""
        if self._grpc is None:
            from twinmesh_sdk.runtime.grpc_host import GrpcHost  # noqa: PLC0415 - slow to import

            self._grpc = GrpcHost(self.name, self.entry, self.probes, self.consumption)
        return self._grpc

    def add_grpc(self, register: "Callable[[Any, Server], None]", servicer: object) -> None:
        """Serve a gRPC service.

        Args:
            register: The generated `add_…Servicer_to_server`.
        """
        self._describes = self._describes or register.__name__ == _TWIN_API
        self.grpc.add(register, servicer)

    def add_twin_api(
        self, *, states: "States | None" = None, explain: "Explain | None" = None
    ) -> None:
        """Serve `twinmesh.twin.v1.TwinService`: Describe by itself, the rest by these functions.

        A domain twin that does not call this is described all the same.
        """
        from twinmesh.twin.v1 import twin_service_pb2_grpc  # noqa: PLC0415 - slow to import
        from twinmesh_sdk.runtime.twin_api import TwinApi  # noqa: PLC0415

        self.add_grpc(
            twin_service_pb2_grpc.add_TwinServiceServicer_to_server,
            TwinApi(self.contract, states=states, explain=explain),
        )

    def add_subgraph(
        self, schema: "strawberry.federation.Schema", context: Callable[[], object]
    ) -> None:
        """Serve a subgraph at `POST /graphql`; callers need a token.

        Args:
            context: Called once per request; its result is `info.context`. Keep data loaders in it.

        Raises:
            InvalidInputError: The contract's schema.graphql is not what `schema` serves.
        """
        from twinmesh_sdk.graphql import sdl_of  # noqa: PLC0415 - only subgraphs need it

        if sdl_of(schema).strip() != self.contract.sdl.strip():
            raise InvalidInputError(
                f"contract/schema.graphql of {self.name} is not what the code serves",
                hint="write it anew: `python -m twinmesh_sdk.export_sdl <module>:<schema>`",
            )
        self.http.add_subgraph(schema, context)

    def add_router(self, router: "APIRouter", *, public: bool = False) -> None:
        """Serve HTTP routes. Unless `public`, every route needs a token."""
        self.http.add_router(router, public=public)

    # -- what it does beside -------------------------------------------------------------------

    def on_event(self, handler: EventHandler, inbox: Inbox | None = None) -> None:
        """Handle events of the types that the handler names.

        Raises:
            InvalidInputError: The charter's `contract.consumes` does not list one of them.
        """
        for event_type in handler.event_types:
            if event_type not in self.contract.consumes:
                raise InvalidInputError(f"twin.yaml does not list {event_type} under consumes")
            if inbox is not None and inbox not in self._inboxes:
                self._inboxes.append(inbox)
                self.add_worker(f"inbox {len(self._inboxes)}", lambda: _keep_small(inbox))
            self._consumers.append(
                EventConsumer(
                    bus=self.nats,
                    contracts=self.contracts,
                    clock=self.clock,
                    service=self.name,
                    event_type=event_type,
                    handler=handler,
                    inbox=inbox,
                    consumption=self.consumption,
                )
            )

    def event_feed(self, *event_types: str) -> EventFeed:
        """Return what hands events to who listens at the moment: for GraphQL subscriptions.

        Raises:
            InvalidInputError: The charter lists one of the types neither under events nor consumes.
        """
        for event_type in event_types:
            if event_type not in {*self.contract.event_schemas, *self.contract.consumes}:
                raise InvalidInputError(f"twin.yaml does not list {event_type}")
        feed = EventFeed(self.nats, self.contracts, self.clock, event_types)
        self._feeds += 1
        self.add_worker(f"feed {self._feeds}", feed.run)
        return feed

    def announces(self, derivation_of: Callable[[Envelope], Derivation | None]) -> None:
        """Name the derived output in each event that announces one, for receipts and lineage.

        Args:
            derivation_of: None for an event that announces no derived output.
        """
        self.publisher.derivation_of = derivation_of

    def add_relay(self, outbox: OutboxStore) -> None:
        """Publish what an outbox holds; one process of several does, by a lease."""
        suffix = f"-{len(self._relays)}" if self._relays else ""
        lease = Lease(self.nats, f"relay.{self.name}{suffix}")
        self._relays.append(OutboxRelay(outbox, self.publisher, lease))

    def add_worker(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a background loop from when everything is open.

        One that crashes is logged and started again with growing pauses; one that keeps crashing
        stops the service.
        """
        self._workers.add(name, run)

    def add_resource(self, name: str, resource: AbstractAsyncContextManager[T]) -> Opened[T]:
        """Open a resource before the doors, in the order added, and close it after, in reverse."""
        opened = Opened(name, resource)
        self._resources.append(opened)
        return opened

    def add_probe(self, name: str, check: Probe) -> None:
        """Make readiness depend on `check`, which raises a `TwinError` when it is not."""
        self.probes.add(name, check)

    # -- whom it calls -------------------------------------------------------------------------

    def peer(self, role: str) -> "Channel":
        """Return the channel to a peer, for example `assets`: its address is `TWIN_<ROLE>_ADDR`.

        Calls forward the caller's token (or carry this service's own, for the tenant of
        `acting_for`), the read times, the trace and the deadline; failures are `TwinError`s.

        Raises:
            InvalidInputError: There is no such setting, or it is empty.
        """
        address = getattr(self.settings, f"{role}_addr", "")
        if not address:
            raise InvalidInputError(
                f"peer {role!r} has no address", hint=f"TWIN_{role.upper()}_ADDR"
            )
        if self._peers is None:
            from twinmesh_sdk.runtime.peers import Peers  # noqa: PLC0415 - slow to import

            self._peers = Peers(
                self.tokens, service=self.name, timeout_s=self.settings.call_timeout_s
            )
        return self._peers.channel(address)

    # -- its life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Run on a fast event loop until stopped by a signal: what `python -m` calls."""
        import uvloop  # noqa: PLC0415 - tests bring their own loop

        gc.freeze()  # what was imported lives as long as the process
        uvloop.run(self.run())

    def stop(self) -> None:
        """Begin to stop; `run` returns within about five seconds."""
        self._stopping.set()

    @property
    def http_port(self) -> int:
        """Where the HTTP doors listen; known once `run` has begun."""
        return self.http.port

    @property
    def grpc_port(self) -> int:
        """Where the gRPC door listens; known once `run` has begun."""
        return self.grpc.port

    async def run(self) -> None:
        """Open everything, serve until SIGTERM or SIGINT, drain and close.

        Raises:
            TwinError: A resource does not open, or a worker crashed too often.
        """
        json_logs.configure(self.name, self.settings.log_level)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.stop)
        end_tracing = tracing.configure(
            service=self.name,
            version=self.contract.version,
            trace_dir=self.settings.trace_dir,
            otlp_endpoint=self.settings.otlp_endpoint,
        )
        try:
            async with AsyncExitStack() as stack:
                await self._serve(stack)
        finally:
            end_tracing()
        if self._workers.failure is not None:
            raise self._workers.failure

    async def _serve(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        if not self._describes and (self._grpc is not None or self.contract.kind == "domain"):
            self.add_twin_api()
        await self.http.start(settings.http_host, settings.http_port)
        stack.push_async_callback(self.http.stop)
        stack.push_async_callback(_cancel, [asyncio.create_task(watch_loop())])
        if not await self._unless_stopped(self._open(stack)):
            return
        if self._grpc is not None:
            await self._grpc.start(settings.grpc_host, settings.grpc_port)
        self.http.open()
        self._add_event_workers()
        self._workers.add("consumption", self.consumption.run)
        stack.push_async_callback(self.consumption.last_flush)
        if self.replica.busy:
            self._workers.add("heartbeat", self.replica.run)
            stack.push_async_callback(self.replica.close)
        workers = asyncio.create_task(self._workers.run())
        stack.push_async_callback(self._drain, workers)
        log.info("doors are open", extra={"http_port": self.http.port})
        await self._stopping.wait()
        log.info("stopping")
        self.probes.stopping = True

    async def _open(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._issuer.close)
        await stack.enter_async_context(self.nats)
        await self._ensure_streams()
        followers = [asyncio.create_task(m.run()) for m in self._mirrors.values()]
        stack.push_async_callback(_cancel, followers)
        for mirror in self._mirrors.values():
            await mirror.wait_synced()
        if self._peers is not None:
            stack.push_async_callback(self._peers.close)
        for resource in self._resources:
            await resource.open(stack)

    async def _drain(self, workers: "asyncio.Task[None]") -> None:
        """Let requests in hand finish, while everything that they need is still open."""
        grpc_stops = self._grpc.stop() if self._grpc is not None else asyncio.sleep(0)
        await asyncio.gather(_cancel([workers]), self.http.stop(), grpc_stops)

    async def _ensure_streams(self) -> None:
        while True:
            try:
                await ensure_streams(self.nats)
                return
            except TwinError as error:
                log.warning("streams are not there yet", extra={"error": str(error)})
                await asyncio.sleep(ENSURE_RETRY_S)

    def _add_event_workers(self) -> None:
        """Consume and relay, once the contract is active."""
        for consumer in self._consumers:
            self._workers.add(f"consume {consumer.durable}", self._when_active(consumer.run))
        for number, relay in enumerate(self._relays):
            self._workers.add(f"relay {number}", self._when_active(relay.run))

    def _when_active(self, run: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def wait_and_run() -> None:
            await self._active.wait()
            await run()

        return wait_and_run

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Await `work`; False when the service was asked to stop meanwhile."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                return True
            await _cancel([task])
            return False
        finally:
            await _cancel([stop])

    async def _bus_answers(self) -> None:
        if not self.nats.connected:
            raise UnavailableError("the bus is not connected")

    def _notice_activation(self) -> None:
        if self.contracts.is_active(self.name, self.contract.digest):
            self._active.set()

    async def _contract_is_active(self) -> None:
        if self.contracts.is_active(self.name, self.contract.digest):
            return
        found = self.contracts.active(self.name)
        state = "not registered" if found is None else f"{found.state} as {found.digest[:12]}"
        raise PreconditionFailedError(
            f"contract {self.contract.version} ({self.contract.digest[:12]}) is {state}",
            hint="push it: `twinmesh contract push`",
        )


async def _keep_small(inbox: Inbox) -> None:
    """Let an inbox forget what the bus has forgotten."""
    while True:
        more = await inbox.forget_old()
        await asyncio.sleep(FORGET_PAUSE_S if more else FORGET_EVERY_S)


async def _cancel(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and wait for their end, a while."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CANCEL_S)
