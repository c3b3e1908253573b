"""What comes in from the bus: readings, and events of the asset registry."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from prometheus_client import Counter

from energy_twin import wire
from energy_twin.ports import AssetDirectory
from energy_twin.usecases import Arrived, LearnBaselines, TakeReadings
from twinmesh.assets.v1 import events_pb2
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import AssetId

log = logging.getLogger(__name__)

STREAM: Final = "TELE"
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 60.0
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 5.0

TAKEN: Final = Counter("energy_readings_taken_total", "Readings kept, repeats included")
REFUSED: Final = Counter("energy_batches_refused_total", "Telemetry messages that were unreadable")


class ReadingsConsumer:
    """Takes one partition of readings, in order, one batch in flight.

    Twice: a segment is kept once. Out of order: what is learned depends on the readings that are
    there. A batch that fails is tried again until it is taken; its readings wait in the stream.
    """

    def __init__(
        self,
        bus: MeshNats,
        take_readings: TakeReadings,
        *,
        partition: int,
        batch_messages: int,
    ) -> None:
        self._bus = bus
        self._take_readings = take_readings
        self._partition = partition
        self._batch = batch_messages

    @property
    def durable(self) -> str:
        """Name of the consumer."""
        return f"energy-twin-tele-{self._partition}"

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
                ack_policy=AckPolicy.ALL,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=self._batch,
                max_deliver=-1,
            ),
        )

    async def _consume(self, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            try:
                messages = await subscription.fetch(self._batch, timeout=FETCH_S)
            except nats_errors.TimeoutError:
                if self._bus.connected:
                    # A server that lost the consumer answers with silence: look for it.
                    await self._bus.js.consumer_info(STREAM, self.durable)
                continue
            if not messages:  # an answer of the server that carried none
                continue
            messages.sort(key=lambda message: message.metadata.sequence.stream)
            await self._until_taken(messages)
            await messages[-1].ack_sync(timeout=FETCH_S)

    async def _until_taken(self, messages: Sequence[Msg]) -> None:
        """Take a batch, however often it needs: an outage keeps it waiting, nothing drops it."""
        arrived = [part for message in messages for part in _read(message)]
        causes = [trace for message in messages if (trace := _trace(message))]
        pause = FIRST_RETRY_S
        while True:
            try:
                with tracing.span(
                    "take readings", parent=causes[-1] if causes else "", links=causes[:-1]
                ):
                    TAKEN.inc(await self._take_readings(arrived))
                return
            except TwinError as error:
                log.warning(
                    "readings wait",
                    extra={
                        "consumer": self.durable,
                        "code": error.code.value,
                        "error": str(error)[:300],
                    },
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_RETRY_S)
            for message in messages:
                await message.in_progress()


def _trace(message: Msg) -> str:
    return (message.headers or {}).get(tracing.TRACEPARENT, "")[:64]


def _read(message: Msg) -> list[Arrived]:
    """Return a message's readings; one that cannot be read is counted, logged and passed over.

    Telemetry wrote it, so it is a bug there; waiting for ever would stop every asset behind it.
    """
    parts = message.subject.split(".")
    try:
        if len(parts) != 3:
            raise InvalidInputError("not a subject of readings")
        return wire.arrived_of(message.data, tenant=parts[1])
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


class OnConfigurationRecorded:
    """Holds an asset's baselines against its configurations when one was recorded.

    Twice, or out of order: each time the registry is asked for the whole history, and only a
    difference to what is held changes anything.
    """

    event_types: Sequence[str] = ("assets.configuration.recorded.v1",)

    def __init__(self, learn_baselines: LearnBaselines) -> None:
        self._learn = learn_baselines

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        message = events_pb2.ConfigurationRecorded.FromString(event.data)
        await self._learn.anew(event.tenant, AssetId(message.configuration.asset_id))


class OnSignalDefined:
    """Forgets the signals of an asset, so that they are asked for again.

    Twice, or out of order: forgetting is harmless.
    """

    event_types: Sequence[str] = ("assets.signal.defined.v1",)

    def __init__(self, directory: AssetDirectory) -> None:
        self._directory = directory

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        message = events_pb2.SignalDefined.FromString(event.data)
        self._directory.forget(event.tenant, AssetId(message.signal.asset_id))
