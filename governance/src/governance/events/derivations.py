"""What twins announce to have derived: read off the headers of every event."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from nats import errors as nats_errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from governance.model.lineage import Derived
from governance.usecases.lineage import RecordDerived
from twinmesh_sdk.adapters.nats import ContractSnapshot, MeshNats
from twinmesh_sdk.adapters.nats.cloudevents import envelope_of
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

log = logging.getLogger(__name__)

STREAM: Final = "EVENTS"
SUBJECT: Final = "tm.>"
DURABLE: Final = "governance-lineage"
BATCH: Final = 200
FETCH_S: Final = 5.0
ACK_WAIT_S: Final = 30.0
RETRY_S: Final = 1.0


class DerivationConsumer:
    """Feeds lineage from the bus, headers only: payloads of other teams are none of its business.

    An event that announces nothing derived is passed over, and so is one whose headers cannot be
    read: its consumers quarantine it. Repetition is harmless: the newest version of an output
    stays. Who derived it is who owns the event's type, which credentials are bound to; an event of
    a type that nobody has registered says nothing.
    """

    def __init__(self, bus: MeshNats, contracts: ContractSnapshot, record: RecordDerived) -> None:
        self._bus = bus
        self._contracts = contracts
        self._record = record

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            try:
                await self._consume(await self._subscribe())
            except (TwinError, nats_errors.Error, js_errors.Error, OSError, TimeoutError) as error:
                log.warning("derivations cannot be fetched", extra={"error": repr(error)})
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
                headers_only=True,
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
            if found := self._derived(messages):
                await self._record(found)
            await messages[-1].ack()

    def _derived(self, messages: Sequence[Msg]) -> list[Derived]:
        found = []
        for message in messages:
            try:
                event = envelope_of(message.subject, message.headers, b"")
            except InvalidInputError as error:
                log.warning("event is unreadable", extra={"error": str(error)})
                continue
            if event.derivation is None:
                continue
            if (registered := self._contracts.event_schema(event.type)) is None:
                log.warning("event is of no registered type", extra={"event_type": event.type})
                continue
            found.append(
                Derived(
                    tenant=event.tenant,
                    service=registered.service,
                    subject=event.subject,
                    derivation=event.derivation,
                    at=event.time,
                )
            )
        return found
