"""How versions did on live events, as twins announce it."""

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

from governance.model.shadow import MeasuredWindow
from governance.usecases.shadows import RecordMeasured
from governance.wire.shadows import window_from_bytes
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.cloudevents import envelope_of
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

log = logging.getLogger(__name__)

STREAM: Final = "EVENTS"
SUBJECT: Final = "tm.*.*.model.measured.v1"
DURABLE: Final = "governance-measured"
BATCH: Final = 100
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 30.0
RETRY_S: Final = 1.0

TAKEN: Final = Counter(
    "twin_model_windows_taken_total", "Windows measured by twins, by outcome", ["outcome"]
)


class MeasurementConsumer:
    """Feeds the store with windows of every domain's twins.

    In any order and again: a window is kept once. What cannot be read is passed over with a log
    line; nobody decides by it.
    """

    def __init__(self, bus: MeshNats, record: RecordMeasured, changed: asyncio.Event) -> None:
        self._bus = bus
        self._record = record
        self._changed = changed

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            try:
                await self._consume(await self._subscribe())
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning("measured windows cannot be fetched", extra={"error": repr(error)})
                await asyncio.sleep(RETRY_S)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        return await self._bus.js.pull_subscribe(
            SUBJECT,
            durable=DURABLE,
            stream=STREAM,
            config=ConsumerConfig(
                filter_subject=SUBJECT,
                ack_policy=AckPolicy.ALL,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=10 * BATCH,
                max_deliver=-1,
            ),
        )

    async def _consume(self, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            try:
                messages = await subscription.fetch(BATCH, timeout=FETCH_S)
            except nats_errors.TimeoutError:
                if self._bus.connected:
                    # A server that lost the consumer answers with silence: look for it.
                    await self._bus.js.consumer_info(STREAM, DURABLE)
                continue
            if windows := _windows(messages):
                await self._record(windows)
                self._changed.set()
            await messages[-1].ack()


def _windows(messages: Sequence[Msg]) -> list[MeasuredWindow]:
    found = []
    for message in messages:
        try:
            event = envelope_of(message.subject, message.headers, message.data)
            found.append(window_from_bytes(event.tenant, event.type.split(".", 1)[0], event.data))
        except InvalidInputError as error:
            TAKEN.labels("unreadable").inc()
            log.warning(
                "a measured window cannot be read",
                extra={"subject": message.subject[:200], "error": str(error)},
            )
    TAKEN.labels("taken").inc(len(found))
    return found
