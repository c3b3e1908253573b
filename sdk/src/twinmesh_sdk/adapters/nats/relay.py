"""From the outbox to the bus: every saved event is published, and forgotten after its PubAck."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Gauge

from twinmesh_sdk.adapters.nats.lease import Lease
from twinmesh_sdk.adapters.nats.publisher import EventPublisher
from twinmesh_sdk.core.errors import PreconditionFailedError, TwinError
from twinmesh_sdk.ports.outbox import OutboxEntry, OutboxStore

log = logging.getLogger(__name__)

BATCH: Final = 100
IDLE_S: Final = 0.2
STANDBY_S: Final = 1.0
FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 15.0

WAITING: Final = Gauge("twin_outbox_waiting", "Events that the last look found in the outbox")
FAILED: Final = Counter("twin_outbox_failures_total", "Looks at the outbox that failed")


class OutboxRelay:
    """Publishes the events of one store, oldest first, while it holds the store's lease.

    An event may be published twice after a crash; its id makes that harmless. One whose schema is
    not registered stays in the outbox and is tried again.
    """

    def __init__(self, outbox: OutboxStore, publisher: EventPublisher, lease: Lease) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._lease = lease

    async def run(self) -> None:
        """Relay until cancelled."""
        pause = FIRST_RETRY_S
        try:
            while True:
                try:
                    delay = await self._step()
                    pause = FIRST_RETRY_S
                except TwinError as error:
                    FAILED.inc()
                    log.warning("outbox cannot be relayed", extra={"error": str(error)})
                    delay, pause = pause, min(pause * 2, LAST_RETRY_S)
                await asyncio.sleep(delay)
        finally:
            await self._lease.release()

    async def _step(self) -> float:
        """Do one round; returns how long to wait before the next, in seconds."""
        if not await self._lease.hold():
            return STANDBY_S
        entries = await self._outbox.pending(BATCH)
        WAITING.set(len(entries))
        if not entries:
            return IDLE_S
        sent, failures = await self._publish(entries)
        if sent:
            await self._outbox.delete(sent)
        if failures:
            raise failures[0]
        return 0.0 if len(entries) == BATCH else IDLE_S

    async def _publish(self, entries: Sequence[OutboxEntry]) -> tuple[list[str], list[TwinError]]:
        outcomes = await asyncio.gather(
            *(self._publisher.publish(e.envelope) for e in entries), return_exceptions=True
        )
        sent: list[str] = []
        failures: list[TwinError] = []
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome is None:
                sent.append(entry.key)
            elif isinstance(outcome, TwinError):
                failures.append(outcome)
                if isinstance(outcome, PreconditionFailedError):
                    log.error(
                        "event is not registered and waits in the outbox",
                        extra={"event_type": entry.envelope.type, "event_id": entry.envelope.id},
                    )
            else:
                raise outcome
        return sent, failures
