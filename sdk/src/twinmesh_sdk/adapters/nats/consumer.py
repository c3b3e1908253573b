"""Events in: durable, checked against their registered schema, retried or quarantined."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from opentelemetry.trace import SpanKind
from prometheus_client import Counter

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats.cloudevents import envelope_of
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.adapters.nats.consumption import ConsumptionReporter
from twinmesh_sdk.adapters.nats.quarantine import (
    REPLAY,
    GivenUp,
    event_subject,
    kept_headers,
    kept_payload,
    quarantine_subject,
)
from twinmesh_sdk.adapters.nats.snapshots import ContractSnapshot
from twinmesh_sdk.core.consumption import Door, Use, UseKind
from twinmesh_sdk.core.disposition import DISPOSITION, Disposition
from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    InvalidInputError,
    PreconditionFailedError,
    TwinError,
)
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import derived_id
from twinmesh_sdk.core.request import Deadline, acting_for, until
from twinmesh_sdk.core.times import ReadTime, format_time
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.ports.events import EventHandler
from twinmesh_sdk.ports.outbox import Inbox

log = logging.getLogger(__name__)

STREAM: Final = "EVENTS"
BATCH: Final = 16
FETCH_S: Final = 5.0
HANDLE_S: Final = 20.0
ACK_WAIT_S: Final = 10.0
MAX_IN_FLIGHT: Final = 64
BUG_ATTEMPTS: Final = 5
UNREGISTERED_ATTEMPTS: Final = 4
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 30.0

HANDLED: Final = Counter(
    "twin_events_handled_total", "Events by what became of them", ["event_type", "outcome"]
)


@dataclass(frozen=True, slots=True)
class _Source:
    """A stream, and the durable consumer by which a service reads an event type from it."""

    stream: str
    subject: str
    durable: str


class EventConsumer:
    """Feeds one event type to one handler, as the durable consumer `<service>-<type>`.

    A second one, `<service>-<type>-replay`, brings back what this consumer had put aside.

    The inbox, where given, remembers the event in the transaction of the handler's state, so a
    repetition changes nothing even where the handler could not tell. The reporter, where given,
    learns which event types are used and which derived outputs were consumed.
    """

    def __init__(
        self,
        *,
        bus: MeshNats,
        contracts: ContractSnapshot,
        clock: Clock,
        service: str,
        event_type: str,
        handler: EventHandler,
        inbox: Inbox | None,
        consumption: ConsumptionReporter | None = None,
    ) -> None:
        self._bus = bus
        self._contracts = contracts
        self._clock = clock
        self._service = service
        self._type = event_type
        self._handler = handler
        self._inbox = inbox
        self._consumption = consumption

    @property
    def durable(self) -> str:
        """Name of the consumer; NATS allows no dots in it."""
        return f"{self._service}-{self._type.replace('.', '_')}"

    async def run(self) -> None:
        """Consume until cancelled."""
        again = f"replay.{self._service}.*.{self._type}"
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(_Source(STREAM, f"tm.*.{self._type}", self.durable)))
            group.create_task(self._follow(_Source(REPLAY, again, f"{self.durable}-replay")))

    async def _follow(self, source: _Source) -> None:
        pause = FIRST_RETRY_S
        while True:
            try:
                subscription = await self._subscribe(source)
                pause = FIRST_RETRY_S
                await self._consume(subscription, source)
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning(
                    "events cannot be fetched",
                    extra={"consumer": source.durable, "error": repr(error)},
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_S / 6)

    async def _subscribe(self, source: _Source) -> JetStreamContext.PullSubscription:
        return await self._bus.js.pull_subscribe(
            source.subject,
            durable=source.durable,
            stream=source.stream,
            config=ConsumerConfig(
                filter_subject=source.subject,
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=MAX_IN_FLIGHT,
                max_deliver=-1,
            ),
        )

    async def _consume(
        self, subscription: JetStreamContext.PullSubscription, source: _Source
    ) -> None:
        while True:
            messages: Sequence[Msg] = ()
            with suppress(TimeoutError):  # the client's own, and the bare one that it raises too
                messages = await subscription.fetch(BATCH, timeout=FETCH_S)
            if messages:
                await self._work_through(messages)
            elif self._bus.connected:
                # A server that lost the consumer answers with silence: look for it.
                await self._bus.js.consumer_info(source.stream, source.durable)

    async def _work_through(self, messages: Sequence[Msg]) -> None:
        """Handle a batch, and keep what waits from being delivered again meanwhile.

        What is left when this ends early is given back at once, to be delivered elsewhere.
        """
        waiting = deque(messages)
        keeping = asyncio.create_task(_keep(waiting))
        try:
            while waiting:
                await self._receive(waiting[0])
                waiting.popleft()
        finally:
            keeping.cancel()
            for message in waiting:
                with suppress(nats_errors.Error, OSError):
                    await message.nak()

    async def _receive(self, message: Msg) -> None:
        """Handle one message; its failure is settled here, the loop goes on."""
        try:
            envelope = envelope_of(event_subject(message.subject), message.headers, message.data)
        except InvalidInputError as error:
            await self._quarantine(message, code=error.code.value, reason=str(error))
            return
        with tracing.span(
            f"handle {self._type}",
            kind=SpanKind.CONSUMER,
            parent=envelope.traceparent,
            attributes={
                "messaging.system": "nats",
                "messaging.message.id": envelope.id,
                "messaging.consumer.group.name": self.durable,
                "twin.tenant": envelope.tenant,
                "twin.subject": envelope.subject,
            },
        ):
            try:
                self._check_schema(envelope)
                outcome = await self._handle(envelope)
            except (TwinError, DecodeError) as error:
                await self._settle(message, envelope, error)
                return
            except Exception as error:
                log.exception("event handler failed", extra={"event_id": envelope.id})
                await self._settle(message, envelope, error)
                return
        await message.ack()
        HANDLED.labels(self._type, outcome).inc()

    async def _handle(self, envelope: Envelope) -> str:
        now = self._clock.plant_now(envelope.tenant)
        with (
            acting_for(envelope.tenant, ReadTime(now=now, as_of=now)),
            until(Deadline.after(HANDLE_S)),
        ):
            try:
                async with asyncio.timeout(HANDLE_S), self._once(envelope) as first:
                    if not first:
                        return "repeated"
                    await self._handler(envelope)
                    self._report(envelope)
                    return "handled"
            except TimeoutError as error:
                raise DeadlineExceededError(f"event not handled in {HANDLE_S:.0f} s") from error

    def _report(self, envelope: Envelope) -> None:
        if self._consumption is None:
            return
        registered = self._contracts.event_schema(self._type)
        use = Use(UseKind.EVENT, self._type, registered.service if registered else "")
        self._consumption.uses(envelope.tenant, self._service, use)
        if envelope.derivation is not None:
            self._consumption.receipts(
                envelope.tenant,
                self._service,
                Door.EVENT,
                (envelope.derivation.output,),
                operation=self.durable,
            )

    def _once(self, envelope: Envelope) -> AbstractAsyncContextManager[bool]:
        if self._inbox is None:
            return nullcontext(True)
        return self._inbox.once(envelope.source, envelope.id)

    def _check_schema(self, envelope: Envelope) -> None:
        """Refuse an event whose schema governance has not registered."""
        registered = self._contracts.event_schema(self._type)
        message, _, digest = envelope.dataschema.partition("#")
        if registered is None:
            raise PreconditionFailedError(f"event {self._type} is not registered")
        if message != registered.message or digest not in registered.digests:
            raise PreconditionFailedError(
                f"event {self._type} carries the unregistered schema {envelope.dataschema[:200]}"
            )

    async def _settle(self, message: Msg, envelope: Envelope, error: Exception) -> None:
        """Retry or quarantine, as the table says."""
        attempt = message.metadata.num_delivered or 1
        code, retry = _verdict(error, attempt)
        extra = {
            "event_type": self._type,
            "event_id": envelope.id,
            "code": code,
            "attempt": attempt,
            "error": str(error)[:500],
        }
        if not retry:
            log.error("event is quarantined", extra=extra)
            await self._quarantine(message, code=code, reason=str(error))
            return
        log.warning("event is retried", extra=extra)
        HANDLED.labels(self._type, "retried").inc()
        await message.nak(delay=min(FIRST_RETRY_S * 2 ** min(attempt - 1, 10), LAST_RETRY_S))

    async def _quarantine(self, message: Msg, *, code: str, reason: str) -> None:
        """Put the message aside with the reason, and only then give it up."""
        sequence = message.metadata.sequence.stream
        given_up = GivenUp(
            code=code,
            reason=reason,
            sequence=sequence,
            deliveries=message.metadata.num_delivered or 1,
            at=format_time(self._clock.wall_now()),
        )
        await self._bus.publish(
            quarantine_subject(self._service, message.subject),
            kept_payload(message.data),
            headers=kept_headers(message.headers, message.subject, message.data, given_up),
            message_id=derived_id("qua", self._service, message.subject, sequence),
        )
        await message.term()
        HANDLED.labels(self._type, "quarantined").inc()


async def _keep(waiting: Collection[Msg]) -> None:
    """Tell the server, again and again, that these messages are being worked on."""
    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        for message in list(waiting):
            with suppress(nats_errors.Error, OSError):
                await message.in_progress()


def _verdict(error: Exception, attempt: int) -> tuple[str, bool]:
    """Return the code of a failure, and whether the event is tried again."""
    match error:
        case DecodeError():
            return "INVALID_INPUT", False
        case PreconditionFailedError():
            # Our snapshot may lag behind the publisher's by a moment.
            return error.code.value, attempt < UNREGISTERED_ATTEMPTS
        case TwinError():
            return error.code.value, DISPOSITION[error.code] is Disposition.RETRY
        case _:
            return "INTERNAL", attempt < BUG_ATTEMPTS
