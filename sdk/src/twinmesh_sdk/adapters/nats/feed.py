"""Events as they happen, for who listens at the moment: nothing durable, nothing repeated."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Final

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter, Gauge

from twinmesh_sdk.adapters.nats.cloudevents import envelope_of
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.adapters.nats.consumer import STREAM
from twinmesh_sdk.adapters.nats.snapshots import ContractSnapshot
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    LimitExceededError,
    TwinError,
    UnavailableError,
)
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.request import turn_to
from twinmesh_sdk.core.times import ReadTime
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

BATCH: Final = 64
FETCH_S: Final = 5.0
FORGOTTEN_S: Final = 30.0
RETRY_S: Final = 0.5
LISTEN_S: Final = 5.0
MAX_LISTENERS: Final = 2_000
MAX_WAITING: Final = 256

LISTENERS: Final = Gauge("twin_event_listeners", "Listeners to events as they happen")
HEARD: Final = Counter(
    "twin_events_heard_total", "Events taken by feeds, by what became of them", ["outcome"]
)


class _Listener:
    """One who listens to one tenant's events.

    Attributes:
        waiting: Events that it has not taken yet.
        failure: Why there will be no more.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.waiting: deque[Envelope] = deque()
        self.failure: TwinError | None = None
        self.changed = asyncio.Event()

    def give(self, event: Envelope) -> None:
        """Hand over an event; who lags too far behind hears no more."""
        if self.failure is None and len(self.waiting) >= MAX_WAITING:
            self.fail(
                LimitExceededError(
                    f"more than {MAX_WAITING} events wait", hint="read faster, or ask for less"
                )
            )
        if self.failure is None:
            self.waiting.append(event)
            self.changed.set()

    def fail(self, failure: TwinError) -> None:
        """End it, after what waits."""
        self.failure = self.failure or failure
        self.changed.set()


class EventFeed:
    """Hands events of some types to everyone in this process who listens for their tenant.

    One ephemeral consumer per process serves all listeners. It begins with what is published after
    it was made, so an event is heard at most once and those of an interruption are not: listeners
    are told of that, and look up what they missed.
    """

    def __init__(
        self, bus: MeshNats, contracts: ContractSnapshot, clock: Clock, types: Sequence[str]
    ) -> None:
        self._bus = bus
        self._contracts = contracts
        self._clock = clock
        self._types = tuple(types)
        self._listeners: set[_Listener] = set()
        self._live = asyncio.Event()

    async def listen(self, tenant: Tenant) -> AsyncGenerator[Envelope, None]:
        """Yield a tenant's events from now on; `current_read_time` is then the event's moment.

        Raises:
            UnavailableError: The bus cannot be listened to, or was interrupted.
            LimitExceededError: Too many listen, or this one takes its events too slowly.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise LimitExceededError(f"at most {MAX_LISTENERS} listen at once")
        listener = _Listener(tenant)
        self._listeners.add(listener)
        LISTENERS.inc()
        try:
            try:
                async with asyncio.timeout(LISTEN_S):
                    await self._live.wait()
            except TimeoutError as error:
                raise UnavailableError("events cannot be listened to now") from error
            while True:
                while listener.waiting:
                    event = listener.waiting.popleft()
                    now = self._clock.plant_now(tenant)
                    turn_to(ReadTime(now=now, as_of=now))
                    yield event
                if listener.failure is not None:
                    raise listener.failure
                listener.changed.clear()
                await listener.changed.wait()
        finally:
            self._listeners.discard(listener)
            LISTENERS.dec()

    async def wait_live(self) -> None:
        """Wait until events are heard."""
        await self._live.wait()

    async def run(self) -> None:
        """Hear events until cancelled."""
        while True:
            try:
                subscription = await self._subscribe()
                self._live.set()
                await self._hear(subscription)
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning("events cannot be heard", extra={"error": repr(error)})
                self._interrupt()
                await asyncio.sleep(RETRY_S)
            finally:
                self._live.clear()

    def _interrupt(self) -> None:
        for listener in self._listeners:
            listener.fail(
                UnavailableError(
                    "events were interrupted", hint="subscribe again, look up the rest"
                )
            )

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        subjects = [f"tm.*.{kind}" for kind in self._types]
        return await self._bus.js.pull_subscribe(
            subjects[0],
            stream=STREAM,
            config=ConsumerConfig(
                filter_subject=subjects[0] if len(subjects) == 1 else None,
                filter_subjects=subjects if len(subjects) > 1 else None,
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.NEW,
                inactive_threshold=FORGOTTEN_S,
                mem_storage=True,
            ),
        )

    async def _hear(self, subscription: JetStreamContext.PullSubscription) -> None:
        try:
            while True:
                messages: Sequence[Msg] = ()
                with suppress(nats_errors.TimeoutError):
                    messages = await subscription.fetch(BATCH, timeout=FETCH_S)
                for message in messages:
                    self._give(message)
                if not messages:
                    # A server that lost the consumer answers with silence: look for it.
                    await subscription.consumer_info()
        finally:
            with suppress(nats_errors.Error, OSError):
                await subscription.unsubscribe()

    def _give(self, message: Msg) -> None:
        """Hand one event to its tenant's listeners; what is not registered is left out."""
        try:
            event = envelope_of(message.subject, message.headers, message.data)
        except InvalidInputError as error:
            HEARD.labels("refused").inc()
            log.warning("event is no event", extra={"error": str(error)[:300]})
            return
        registered = self._contracts.event_schema(event.type)
        schema, _, digest = event.dataschema.partition("#")
        if registered is None or schema != registered.message or digest not in registered.digests:
            HEARD.labels("unregistered").inc()
            log.warning("event is not of a registered schema", extra={"event_id": event.id})
            return
        HEARD.labels("given").inc()
        for listener in self._listeners:
            if listener.tenant == event.tenant:
                listener.give(event)
