"""What this process saw being used, told to governance now and then."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter

from twinmesh.governance.v1 import consumption_pb2 as pb
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.core.consumption import MAX_NAME_CHARS, Door, Output, Tally, Use, UseKind
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.ids import Tenant, derived_id
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.wire import timestamp

log = logging.getLogger(__name__)

FLUSH_S: Final = 2.0
LAST_FLUSH_S: Final = 2.0
MAX_RECEIPTS: Final = 50_000
MAX_USES: Final = 20_000
MAX_PER_REPORT: Final = 2_000
MAX_WAITING: Final = 64
UNNAMED: Final = "(unnamed)"
"""A client whose token names none."""

MAX_REPORT_BYTES: Final = 500_000
"""Half of what a message may hold."""


DROPPED: Final = Counter(
    "twin_consumption_dropped_total", "Receipts and uses that were not reported", ["what"]
)
REPORTS: Final = Counter("twin_consumption_reports_total", "Reports stored by the bus")

_DOOR: Final = {
    Door.GATEWAY: pb.DOOR_GATEWAY,
    Door.EVENT: pb.DOOR_EVENT,
    Door.RPC: pb.DOOR_RPC,
    Door.EXPORT: pb.DOOR_EXPORT,
}
_KIND: Final = {
    UseKind.FIELD: pb.USE_KIND_FIELD,
    UseKind.ARGUMENT: pb.USE_KIND_ARGUMENT,
    UseKind.ENUM_VALUE: pb.USE_KIND_ENUM_VALUE,
    UseKind.RPC_METHOD: pb.USE_KIND_RPC_METHOD,
    UseKind.EVENT: pb.USE_KIND_EVENT,
}


@dataclass(frozen=True, slots=True, eq=False)
class UsedTogether:
    """Uses that always occur together, such as those of one cached operation.

    Counted as one, told apart only when they are reported: make one, keep it, hand it in again.
    """

    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    tenant: Tenant
    sequence: int
    data: bytes
    entries: int


class ConsumptionReporter:
    """Adds up receipts and uses in memory, and publishes them every FLUSH_S and at the end.

    Recording never waits and never fails: what would exceed a limit is dropped and counted. A
    report that the bus does not take is kept and sent again under its number, so governance counts
    it once; at most MAX_WAITING are kept. What a process had not reported when it was killed is
    lost.
    """

    def __init__(self, bus: MeshNats, clock: Clock, *, reporter: str) -> None:
        self._bus = bus
        self._clock = clock
        self._reporter = reporter
        self._instance = uuid.uuid4().hex[:16]
        self._sequence = 0
        self._receipts: dict[tuple[Tenant, str, Door, Output], Tally] = {}
        self._uses: dict[tuple[Tenant, str, UsedTogether | Use], Tally] = {}
        self._waiting: deque[_Waiting] = deque()

    def receipts(
        self,
        tenant: Tenant,
        client: str,
        door: Door,
        outputs: Collection[Output],
        *,
        operation: str = "",
    ) -> None:
        """Record that a client consumed these outputs just now."""
        if not outputs:
            return
        now = self._clock.wall_now()
        for output in outputs:
            key = (tenant, client or UNNAMED, door, output)
            if (tally := self._receipts.get(key)) is None:
                if len(self._receipts) >= MAX_RECEIPTS:
                    DROPPED.labels("receipt").inc()
                    continue
                tally = self._receipts[key] = Tally(now, now)
            tally.add(now, operation)

    def uses(self, tenant: Tenant, client: str, used: UsedTogether | Use) -> None:
        """Record that a client used this just now."""
        key = (tenant, client or UNNAMED, used)
        now = self._clock.wall_now()
        if (tally := self._uses.get(key)) is None:
            if len(self._uses) >= MAX_USES:
                DROPPED.labels("use").inc()
                return
            tally = self._uses[key] = Tally(now, now)
        tally.add(now)

    def omitted(self, count: int) -> None:
        """Count receipts that a door could not name."""
        if count:
            DROPPED.labels("receipt").inc(count)

    async def run(self) -> None:
        """Report now and then, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Report what was recorded; what the bus does not take now is kept for the next time."""
        self._close_reports()
        while self._waiting:
            report = self._waiting[0]
            try:
                await self._bus.publish(
                    f"use.{report.tenant}.{self._reporter}",
                    report.data,
                    message_id=derived_id("use", self._reporter, self._instance, report.sequence),
                )
            except TwinError as error:
                log.warning(
                    "consumption cannot be reported",
                    extra={"error": str(error), "waiting": len(self._waiting)},
                )
                if error.retryable:
                    return
                DROPPED.labels("report").inc(report.entries)
            self._waiting.popleft()
            REPORTS.inc()

    async def last_flush(self) -> None:
        """Report what is left, within LAST_FLUSH_S; the rest is counted as dropped."""
        try:
            async with asyncio.timeout(LAST_FLUSH_S):
                await self.flush()
        except TimeoutError:
            log.warning("consumption was not reported in time")
        DROPPED.labels("at end").inc(sum(report.entries for report in self._waiting))

    def _close_reports(self) -> None:
        """Turn what was recorded into numbered reports, and begin anew."""
        receipts, self._receipts = self._receipts, {}
        uses, self._uses = self._uses, {}
        told: dict[Tenant, tuple[list[pb.Receipt], list[pb.ContractUse]]] = {}
        for (tenant, client, door, output), tally in receipts.items():
            told.setdefault(tenant, ([], []))[0].append(_receipt(client, door, output, tally))
        for tenant, client, use, tally in _expanded(uses):
            told.setdefault(tenant, ([], []))[1].append(_use(client, use, tally))
        for tenant, (some, others) in told.items():
            for n in range(0, max(len(some), len(others)), MAX_PER_REPORT):
                chunk = slice(n, n + MAX_PER_REPORT)
                self._wait(tenant, some[chunk], others[chunk])

    def _wait(
        self, tenant: Tenant, receipts: Sequence[pb.Receipt], uses: Sequence[pb.ContractUse]
    ) -> None:
        """Let a report wait to be sent; one that the bus would not take is halved."""
        entries = len(receipts) + len(uses)
        size = sum(entry.ByteSize() for entry in (*receipts, *uses))
        if size > MAX_REPORT_BYTES and entries > 1:
            half, other = (len(receipts) + 1) // 2, (len(uses) + 1) // 2
            self._wait(tenant, receipts[:half], uses[:other])
            self._wait(tenant, receipts[half:], uses[other:])
            return
        if not entries:
            return
        self._sequence += 1
        report = pb.ConsumptionReport(
            reporter=self._reporter,
            instance=self._instance,
            sequence=self._sequence,
            receipts=receipts,
            uses=uses,
        )
        self._waiting.append(_Waiting(tenant, self._sequence, report.SerializeToString(), entries))
        if len(self._waiting) > MAX_WAITING:
            DROPPED.labels("report").inc(self._waiting.popleft().entries)


def _expanded(
    uses: dict[tuple[Tenant, str, UsedTogether | Use], Tally],
) -> Iterable[tuple[Tenant, str, Use, Tally]]:
    """Yield each use once per client, whatever it occurred together with."""
    apart: dict[tuple[Tenant, str, Use], Tally] = {}
    for (tenant, client, used), tally in uses.items():
        for use in used.uses if isinstance(used, UsedTogether) else (used,):
            key = (tenant, client, use)
            if (known := apart.get(key)) is None:
                apart[key] = Tally(tally.first, tally.last, tally.count)
                continue
            known.first, known.last = min(known.first, tally.first), max(known.last, tally.last)
            known.count += tally.count
    for (tenant, client, use), tally in apart.items():
        yield tenant, client, use, tally


def _receipt(client: str, door: Door, output: Output, tally: Tally) -> pb.Receipt:
    return pb.Receipt(
        client=client[:MAX_NAME_CHARS],
        door=_DOOR[door],
        output_type=output.type,
        output_id=output.id,
        output_version=output.version,
        model=output.model,
        model_version=output.model_version,
        operation=tally.operation[:MAX_NAME_CHARS],
        first_at=timestamp(tally.first),
        last_at=timestamp(tally.last),
        count=tally.count,
    )


def _use(client: str, use: Use, tally: Tally) -> pb.ContractUse:
    return pb.ContractUse(
        client=client[:MAX_NAME_CHARS],
        kind=_KIND[use.kind],
        coordinate=use.coordinate,
        service=use.service,
        first_at=timestamp(tally.first),
        last_at=timestamp(tally.last),
        count=tally.count,
    )
