"""Readings, as telemetry publishes them, and its verdicts."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter

from maintenance_twin import wire
from maintenance_twin.ports import Change
from maintenance_twin.usecases import AssetReadings, JudgeSilence, TakeReadings
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.events import Envelope

log = logging.getLogger(__name__)

STREAM: Final = "TELE"
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 6.0
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 5.0

TAKEN: Final = Counter(
    "maintenance_readings_taken_total", "Readings taken into account, repeats included"
)
REFUSED: Final = Counter(
    "maintenance_batches_refused_total", "Telemetry messages that could not be read"
)


class ReadingsConsumer:
    """Takes one partition of readings, in order, one message in flight.

    Twice: rows up to the watermark are decided, and a repeat of the rest puts the same values in
    the same places. A message that fails is tried again until it is taken: its readings wait in
    the stream, and those behind them too, so none is overtaken or lost. As only one message is in
    flight, that holds after a crash, and over several replicas, too.
    """

    def __init__(self, bus: MeshNats, take_readings: TakeReadings, *, partition: int) -> None:
        self._bus = bus
        self._take_readings = take_readings
        self._partition = partition

    @property
    def durable(self) -> str:
        """Name of the consumer."""
        return f"maintenance-twin-tele-{self._partition}"

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            try:
                await self._consume(await self._subscribe())
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning(
                    "readings cannot be fetched",
                    extra={"consumer": self.durable, "error": repr(error)},
                )
                await asyncio.sleep(FIRST_RETRY_S)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        subject = f"tele.*.{self._partition}"
        return await self._bus.js.pull_subscribe(
            subject,
            durable=self.durable,
            stream=STREAM,
            config=ConsumerConfig(
                filter_subject=subject,
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=1,
                max_deliver=-1,
            ),
        )

    async def _consume(self, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            messages: Sequence[Msg] = ()
            with suppress(nats_errors.TimeoutError):
                messages = await subscription.fetch(1, timeout=FETCH_S)
            if not messages and self._bus.connected:
                # A server that lost the consumer answers with silence: look for it.
                await self._bus.js.consumer_info(STREAM, self.durable)
            for message in messages:
                await self._until_taken(message)
                await message.ack_sync(timeout=FETCH_S)

    async def _until_taken(self, message: Msg) -> None:
        """Take a message, however often it needs: an outage keeps it waiting, nothing drops it."""
        holding = asyncio.create_task(_hold(message))
        try:
            readings = _read(message)
            pause = FIRST_RETRY_S
            while not await self._taken(message, readings):
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_S)
        finally:
            holding.cancel()

    async def _taken(self, message: Msg, readings: Sequence[AssetReadings]) -> bool:
        try:
            with tracing.span("take readings", parent=_trace(message)):
                changes = await self._take_readings(readings)
        except TwinError as error:
            log.warning(
                "readings wait",
                extra={
                    "consumer": self.durable,
                    "code": error.code.value,
                    "error": str(error)[:300],
                },
            )
            return False
        TAKEN.inc(sum(len(part.readings) for part in readings))
        for change in changes:
            _tell(change)
        return True


async def _hold(message: Msg) -> None:
    """Keep the server from sending a message again while it is worked on."""
    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        with suppress(nats_errors.Error, OSError):
            await message.in_progress()


def _tell(change: Change) -> None:
    """Log what a change says about work items, in the trace of what tipped it."""
    for item in change.items:
        named = {
            "work_item": item.work_item_id,
            "asset": str(item.asset_id),
            "status": item.status.value,
            "failure_mode": item.failure_mode.value,
        }
        with tracing.span(
            f"work item {item.status.value.lower()}",
            parent=item.trace_id or change.traceparent,
            attributes={f"twin.{name}": value for name, value in named.items()},
        ):
            log.info("work item", extra=named)


def _trace(message: Msg) -> str:
    return (message.headers or {}).get(tracing.TRACEPARENT, "")[:64]


def _read(message: Msg) -> list[AssetReadings]:
    """Return a message's readings; one that cannot be read is counted, logged and passed over.

    Telemetry wrote it, so it is a bug there; waiting for ever would stop every asset behind it.
    """
    parts = message.subject.split(".")
    try:
        if len(parts) != 3:
            raise InvalidInputError("not a subject of readings")
        return wire.readings_of(message.data, tenant=parts[1], trace=_trace(message))
    except InvalidInputError as error:
        REFUSED.inc()
        log.error(
            "telemetry message is unreadable",
            extra={
                "subject": message.subject,
                "sequence": message.metadata.sequence.stream,
                "error": str(error),
            },
        )
        return []


class OnVerdictChanged:
    """Looks at once whether an asset fell silent, instead of with the clock's next look.

    Twice, or out of order: the event only says when to look; the newest readings decide.
    """

    event_types: Sequence[str] = ("telemetry.verdict.changed.v1",)

    def __init__(self, judge_silence: JudgeSilence) -> None:
        self._judge_silence = judge_silence

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        await self._judge_silence(event.tenant)
