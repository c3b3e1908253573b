"""Works the raw stream off: fetch, decode, take into account, acknowledge."""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge, Histogram

from telemetry.model.ingest import Counts, Cursor
from telemetry.model.quarantine import QuarantineRow
from telemetry.model.raw import RawBlock, RawMessage
from telemetry.ports import Ledger, QuarantineStore
from telemetry.usecases.ingest import IngestBlock, IngestReport
from telemetry.wire.raw import BlockDecoder
from telemetry.wire.subjects import NOBODY
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import ConflictError, TwinError

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 3.0
MAX_LINKS: Final = 16
IDLE_LOOK_S: Final = 2.0
BLOCK_BYTES: Final = 4_000_000
"""About 150,000 readings of batches: what is stored in one insert."""

READINGS: Final = Counter("twin_readings_total", "Readings taken into account", ["tenant", "fate"])
BATCH_SECONDS: Final = Histogram("twin_ingest_batch_seconds", "Time to take a block into account")
BATCH_READINGS: Final = Histogram(
    "twin_ingest_batch_readings", "Readings per block", buckets=(1, 10, 100, 1e3, 1e4, 1e5, 1e6)
)
PROCESSED: Final = Gauge("twin_raw_processed_sequence", "Last raw message taken into account")


class Reader(Protocol):
    """The raw stream, in order."""

    async def state(self) -> Any:  # noqa: ANN401 - epoch, first_seq, last_seq
        """Return where the stream stands."""
        ...

    async def fetch(self, after_seq: int) -> list[RawMessage]:
        """Return the messages that follow."""
        ...

    async def acknowledge(self, message: RawMessage) -> None:
        """Tell the bus that everything up to it is done."""
        ...


class PlantTimes(Protocol):
    """Plant clocks as they stand now."""

    async def refresh(self, tenants: set[str]) -> None:
        """Read the clocks of these tenants."""
        ...

    def at(self, tenant: str, wall_us: int) -> int:
        """Return plant time at a wall time."""
        ...

    def speed(self, tenant: str) -> float:
        """Return plant seconds per wall second."""
        ...


class IngestRawMessages:
    """One block in flight, in order, so order per asset holds.

    Twice: the ledger's cursor stands behind what is done, and messages at or before it are not
    fetched. Interrupted: the block is begun again from the same messages, see `IngestBlock`.
    """

    def __init__(
        self,
        *,
        stream: str,
        reader: Reader,
        times: PlantTimes,
        ledger: Ledger,
        quarantine: QuarantineStore,
        ingest: IngestBlock,
    ) -> None:
        self._stream = stream
        self._reader = reader
        self._times = times
        self._ledger = ledger
        self._quarantine = quarantine
        self._ingest = ingest
        self._decoder = BlockDecoder()
        self._looked_at = 0.0

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            TwinError: The stream or the ledger does not answer; begin again.
        """
        state = await self._reader.state()
        cursor = await self._ledger.cursor(self._stream, state.epoch)
        PROCESSED.set(cursor.last_seq)
        log.info("ingest begins", extra={"after_seq": cursor.last_seq, "epoch": state.epoch})
        while True:
            fetched = await self._reader.fetch(cursor.last_seq)
            if not fetched:
                await self._while_idle(cursor)
                continue
            cursor = await self.work_off(fetched, cursor)

    async def _while_idle(self, cursor: Cursor) -> None:
        """Notice, now and then, that the stream was made anew: then begin again from its cursor.

        Raises:
            ConflictError: It was.
        """
        now = time.monotonic()
        if now - self._looked_at < IDLE_LOOK_S:
            return
        self._looked_at = now
        if (await self._reader.state()).epoch != cursor.epoch:
            raise ConflictError(f"stream {self._stream} was made anew")

    async def work_off(self, fetched: list[RawMessage], cursor: Cursor) -> Cursor:
        """Take fetched messages into account, in blocks of bounded size; return the cursor."""
        for block in blocks(fetched):
            cursor = await self._until_done(block, cursor)
            await self._reader.acknowledge(block[-1])
            PROCESSED.set(cursor.last_seq)
        return cursor

    async def _until_done(self, messages: list[RawMessage], cursor: Cursor) -> Cursor:
        """Take messages into account, waiting for whatever is away."""
        pause = RETRY_FIRST_S
        while True:
            try:
                return (await self.take(messages, cursor)).cursor
            except ConflictError:
                raise
            except TwinError as error:
                log.warning(
                    "block waits",
                    extra={"first_seq": messages[0].seq, "error": str(error), "pause_s": pause},
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_LAST_S)

    async def take(self, messages: list[RawMessage], cursor: Cursor) -> IngestReport:
        """Take messages into account once."""
        began = time.perf_counter()
        tenants = {self._decoder.subject(m.subject).tenant for m in messages} - {NOBODY}
        await self._times.refresh(tenants)
        block = self._decoder.decode(
            messages,
            epoch=cursor.epoch,
            arrival=self._times.at,
            replays=await self._waiting(messages),
            speeds={tenant: self._times.speed(tenant) for tenant in tenants},
        )
        report = await self._traced(block, cursor)
        BATCH_SECONDS.observe(time.perf_counter() - began)
        BATCH_READINGS.observe(len(block.readings))
        _count(report.counts)
        return report

    async def _traced(self, block: RawBlock, cursor: Cursor) -> IngestReport:
        """Take a block into account under a span of its own; the senders' traces are linked."""
        with tracing.span(
            "ingest block",
            kind=SpanKind.CONSUMER,
            parent="",
            links=block.traceparents[:MAX_LINKS],
            attributes={
                "messaging.system": "nats",
                "messaging.destination.name": self._stream,
                "messaging.batch.message_count": block.last_seq - block.first_seq + 1,
                "twin.readings": len(block.readings),
                "twin.first_seq": block.first_seq,
                "twin.last_seq": block.last_seq,
            },
        ):
            return await self._ingest(block, cursor)

    async def _waiting(self, messages: list[RawMessage]) -> dict[str, QuarantineRow]:
        waiting: dict[str, QuarantineRow] = {}
        for tenant, ids in self._decoder.replay_ids(messages).items():
            rows = await self._quarantine.waiting(tenant, ids)
            waiting |= {row.quarantine_id: row for row in rows}
        return waiting


def blocks(fetched: list[RawMessage]) -> Iterator[list[RawMessage]]:
    """Yield the messages in runs of at most BLOCK_BYTES, or of one message."""
    block: list[RawMessage] = []
    size = 0
    for message in fetched:
        if block and size + len(message.data) > BLOCK_BYTES:
            yield block
            block, size = [], 0
        block.append(message)
        size += len(message.data)
    if block:
        yield block


def _count(counts: dict[str, Counts]) -> None:
    for tenant, count in counts.items():
        for fate in ("stored", "duplicate", "quarantined"):
            number = getattr(count, fate)
            if number > 0:
                READINGS.labels(tenant, fate).inc(number)
