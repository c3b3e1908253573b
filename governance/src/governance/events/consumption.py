"""Reports of consumption from the stream USE."""

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

from governance import wire
from governance.model.lineage import ReportId
from governance.usecases import RecordConsumption, RecordReceipts
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.ids import Tenant

log = logging.getLogger(__name__)

STREAM: Final = "USE"
DURABLE: Final = "governance-use"
SUBJECT_PARTS: Final = 3
BATCH: Final = 32
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 30.0
MAX_IN_FLIGHT: Final = 256
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 15.0

COUNTED: Final = Counter(
    "twin_consumption_counted_total", "Reports of consumption by outcome", ["outcome"]
)


class ConsumptionReports:
    """Hands every report to the use case, at least once and in any order.

    Harmless: both use cases count a report once by its name. One that cannot be read is dropped
    with a log line: it never will be, and nothing depends on it.
    """

    def __init__(self, bus: MeshNats, record: RecordConsumption, receipts: RecordReceipts) -> None:
        self._bus = bus
        self._record = record
        self._receipts = receipts

    async def run(self) -> None:
        """Consume until cancelled."""
        pause = FIRST_RETRY_S
        while True:
            try:
                subscription = await self._subscribe()
                pause = FIRST_RETRY_S
                await self._consume(subscription)
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning("reports cannot be fetched", extra={"error": repr(error)})
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_S)

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        return await self._bus.js.pull_subscribe(
            "use.>",
            durable=DURABLE,
            stream=STREAM,
            config=ConsumerConfig(
                filter_subject="use.>",
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=MAX_IN_FLIGHT,
            ),
        )

    async def _consume(self, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            messages: Sequence[Msg] = ()
            with suppress(nats_errors.TimeoutError):
                messages = await subscription.fetch(BATCH, timeout=FETCH_S)
            for message in messages:
                await self._receive(message)
            if not messages and self._bus.connected:
                # A server that lost the consumer answers with silence: look for it.
                await self._bus.js.consumer_info(STREAM, DURABLE)

    async def _receive(self, message: Msg) -> None:
        try:
            tenant, reporter = _named(message.subject)
            report = wire.report_from_bytes(tenant, reporter, message.data)
            receipts = wire.receipts_from_bytes(message.data)
            named = ReportId(reporter, report.instance, report.sequence)
        except InvalidInputError as error:
            log.warning(
                "a report cannot be read",
                extra={"subject": message.subject[:200], "error": str(error)},
            )
            await message.term()
            COUNTED.labels("unreadable").inc()
            return
        await self._receipts(Tenant(tenant), named, receipts)
        first = await self._record(report)
        await message.ack()
        COUNTED.labels("counted" if first else "repeated").inc()


def _named(subject: str) -> tuple[str, str]:
    """Return tenant and reporter of `use.<tenant>.<reporter>`, which permissions vouch for."""
    parts = subject.split(".")
    if len(parts) != SUBJECT_PARTS:
        raise InvalidInputError("the subject is not use.<tenant>.<reporter>")
    return str(Tenant(parts[1])), parts[2]
