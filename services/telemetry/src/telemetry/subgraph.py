"""The subgraph: what telemetry adds to `Signal`, and what it answers about its own work."""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Self, TypeVar, cast

import strawberry
import strawberry.federation
from strawberry.dataloader import DataLoader

from telemetry.model.history import IngestStatus
from telemetry.model.pipeline import PipelineAlert as Alert
from telemetry.model.quality import name_of
from telemetry.model.quarantine import QuarantineRow
from telemetry.model.verdict import ToldVerdict
from telemetry.ports import AlertStore
from telemetry.usecases.quarantine import ListQuarantine
from telemetry.usecases.reads import (
    MAX_SIGNALS,
    HistoryPart,
    HistoryQuery,
    Latest,
    ReadHistory,
    ReadIngestStatus,
    ReadLatest,
)
from twinmesh_sdk.core import trust as core
from twinmesh_sdk.core.errors import LimitExceededError, NotFoundError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import Period, from_us
from twinmesh_sdk.graphql import (
    Connection,
    Int64,
    Trust,
    bounded,
    decode_cursor,
    encode_cursor,
    event_field,
    paged,
    subgraph_schema,
)

READ = "read"
MAX_WATCHED = 1_000
DEFAULT_POINTS = 1_000
MAX_POINTS = 10_000
PAYLOAD_CHARS = 2_000


Verdicts = Callable[[Tenant], AsyncGenerator[ToldVerdict, None]]
"""Tells a tenant's verdicts as they change."""


class Reads:
    """The use cases that the subgraph answers with."""

    def __init__(
        self,
        *,
        latest: ReadLatest,
        history: ReadHistory,
        status: ReadIngestStatus,
        quarantine: ListQuarantine,
        alerts: AlertStore,
        verdicts: Verdicts,
    ) -> None:
        self.latest = latest
        self.history = history
        self.status = status
        self.quarantine = quarantine
        self.alerts = alerts
        self.verdicts = verdicts


class Context:
    """Per request: one loader, so any number of signals costs a constant number of calls."""

    def __init__(self, reads: Reads) -> None:
        self.reads = reads
        self.latest: DataLoader[tuple[str, str], Latest] = DataLoader(load_fn=self._load)

    async def _load(self, keys: Sequence[tuple[str, str]]) -> list[Latest | BaseException]:
        """Load (signal id, decision) pairs, decision by decision."""
        tenant, times = reader(), current_read_time()
        found: dict[tuple[str, str], Latest] = {}
        for decision in dict.fromkeys(decision for _, decision in keys):
            ids = [signal_id for signal_id, wanted in keys if wanted == decision]
            for at in range(0, len(ids), MAX_SIGNALS):
                values = await self.reads.latest(
                    tenant, ids[at : at + MAX_SIGNALS], decision, times
                )
                found |= {(signal_id, decision): one for signal_id, one in values.items()}
        return [
            found.get(key) or NotFoundError(f"signal {key[0][:60]} does not exist") for key in keys
        ]


def reader() -> Tenant:
    """Return the tenant of a caller who may read.

    Raises:
        ForbiddenError: The caller may not.
    """
    principal = current_principal()
    principal.require(READ)
    return principal.tenant


Info = strawberry.Info[Context, None]
R = TypeVar("R", bound=Callable[..., Any])


def resolved(description: str, *directives: object) -> Callable[[R], R]:
    """Make a method a field: `strawberry.field`, with the method's type kept."""
    made = strawberry.field(description=description, directives=directives)
    return cast("Callable[[R], R]", made)


@strawberry.type(description="The newest value of a signal by event time.")
class LatestValue:
    """See `telemetry.usecases.reads.Latest`."""

    value: float = strawberry.field(description="In `unit`; kept as measured, even when Bad.")
    unit: str = strawberry.field(description="UCUM code of the SI unit.")
    observed_at: datetime = strawberry.field(description="Plant time at the source.")
    arrived_at: datetime = strawberry.field(description="Plant time at our door.")
    recorded_at: datetime = strawberry.field(description="Wall time of the store.")
    age_s: float = strawberry.field(description="Age at the request's `now`, seconds.")
    budget_s: float | None = strawberry.field(
        description="Budget of the decision, seconds; null when no charter declares one."
    )
    verdict: core.Verdict = strawberry.field(description="Freshness against the budget.")
    quality: core.Quality = strawberry.field(description="OPC UA severity.")
    status: str = strawberry.field(description="OPC UA status, by name where it has one.")
    trust: Trust = strawberry.field(description="How far it can be trusted for the decision.")

    @classmethod
    def of(cls, latest: Latest) -> Self | None:
        """Return the value; None when the signal was never seen."""
        reading, trust = latest.reading, latest.trust
        if reading is None:
            return None
        return cls(
            value=reading.value,
            unit=latest.signal.unit,
            observed_at=from_us(reading.observed_us),
            arrived_at=from_us(reading.arrived_us),
            recorded_at=from_us(reading.recorded_us),
            age_s=trust.age_s or 0.0,
            budget_s=trust.budget_s,
            verdict=trust.verdict,
            quality=trust.quality,
            status=name_of(reading.status),
            trust=Trust.of(trust),
        )


@strawberry.type(description="One reading, or an aggregate over a step.")
class HistoryPoint:
    """See `telemetry.model.history.Point`."""

    at: datetime = strawberry.field(description="Source time, or start of the step; plant time.")
    mean: float = strawberry.field(description="In the history's unit; without Bad readings.")
    minimum: float = strawberry.field(description="In the history's unit.")
    maximum: float = strawberry.field(description="In the history's unit.")
    count: Int64 = strawberry.field(description="Readings, each once in its newest version.")
    good: Int64 = strawberry.field(description="Those of them that are Good.")
    completeness: float | None = strawberry.field(
        description="Share of the readings that the cadence promises, 0 to 1; null for none."
    )
    quality: core.Quality = strawberry.field(description="Worst OPC UA severity among them.")


@strawberry.type(
    description="A part of a signal's history, oldest first. Steps without readings \
are left out: the gap shows."
)
class SignalHistory:
    """See `telemetry.usecases.reads.HistoryPart`."""

    unit: str = strawberry.field(description="UCUM code of the SI unit.")
    step_s: float = strawberry.field(description="Width of a step, seconds; 0 for readings.")
    points: list[HistoryPoint] = strawberry.field(description="At most `first` of them.")
    next_from: datetime | None = strawberry.field(
        description="Pass it as `from` for the next part; null at the end."
    )

    @classmethod
    def of(cls, part: HistoryPart) -> Self:
        """Return the GraphQL value."""
        return cls(
            unit=part.signal.unit,
            step_s=part.step_s,
            points=[
                HistoryPoint(
                    at=from_us(point.at_us),
                    mean=point.mean,
                    minimum=point.minimum,
                    maximum=point.maximum,
                    count=Int64(point.count),
                    good=Int64(point.good),
                    completeness=completeness,
                    quality=core.severity(point.status),
                )
                for point, completeness in zip(part.points, part.completeness, strict=True)
            ],
            next_from=None if part.next_us is None else from_us(part.next_us),
        )


Decision = Annotated[
    str | None,
    strawberry.argument(
        name="for", description='Decision whose budget applies, as "trip"; the tightest if none.'
    ),
]


@strawberry.federation.type(
    keys=["id"], description="A signal of an asset; asset-registry defines it."
)
class Signal:
    """Owned by asset-registry; telemetry adds what was measured."""

    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Self:
        """Stand in for the signal. Touches no store: the fields below do, in one batch."""
        return cls(id=id)

    @resolved("Newest value by event time; null when never seen.")
    async def latest(self, info: Info, decision: Decision = None) -> LatestValue | None:
        """Null when nothing was ever stored; an outage is an error."""
        found = await info.context.latest.load((str(self.id), decision or ""))
        return LatestValue.of(found)

    @resolved("Trust in the newest value; ABSENT when never seen.")
    async def trust(self, info: Info, decision: Decision = None) -> Trust | None:
        """Shares its batch with `latest`."""
        found = await info.context.latest.load((str(self.id), decision or ""))
        return Trust.of(found.trust)

    @resolved(
        "Readings, or aggregates of `step` seconds, in [from, to).",
        paged(DEFAULT_POINTS, lists=["points"]),
    )
    async def history(
        self,
        info: Info,
        *,
        start: Annotated[datetime, strawberry.argument(name="from", description="Included.")],
        end: Annotated[
            datetime | None,
            strawberry.argument(name="to", description="Excluded; by default the request's as-of."),
        ] = None,
        step: Annotated[
            float, strawberry.argument(description="Seconds; 0 for single readings.")
        ] = 0.0,
        known_at: Annotated[
            datetime | None, strawberry.argument(description="Wall time of the knowledge.")
        ] = None,
        first: Annotated[int | None, strawberry.argument(description="1 to 10,000.")] = None,
    ) -> SignalHistory | None:
        """Read one signal's history."""
        query = HistoryQuery(
            signal_id=str(self.id),
            period=Period(start, end),
            step_s=step,
            limit=bounded(first, default=DEFAULT_POINTS, maximum=MAX_POINTS),
        )
        times = current_read_time().at(known_at=known_at)
        return SignalHistory.of(await info.context.reads.history(reader(), query, times))


@strawberry.type(
    description="What became of every reading received: received = stored + \
duplicate + quarantined."
)
class IngestCounts:
    """See `telemetry.model.history.IngestStatus`."""

    received: Int64 = strawberry.field(description="Readings taken into account.")
    stored: Int64 = strawberry.field(description="Readings that are in the store.")
    duplicate: Int64 = strawberry.field(description="Readings that were stored before.")
    quarantined: Int64 = strawberry.field(description="Readings set aside, with the reason.")
    processed_sequence: Int64 = strawberry.field(
        description="Last message of the raw stream that is taken into account."
    )
    received_sequence: Int64 = strawberry.field(description="Last message that it holds.")

    @classmethod
    def of(cls, status: IngestStatus) -> Self:
        """Return the GraphQL value."""
        return cls(
            received=Int64(status.counts.received),
            stored=Int64(status.counts.stored),
            duplicate=Int64(status.counts.duplicate),
            quarantined=Int64(status.counts.quarantined),
            processed_sequence=Int64(status.processed_sequence),
            received_sequence=Int64(status.received_sequence),
        )


@strawberry.type(description="Readings set aside until the cause is removed.")
class QuarantinedReading:
    """See `telemetry.model.quarantine.QuarantineRow`."""

    id: strawberry.ID
    source: str = strawberry.field(description="The source that sent it.")
    name: str = strawberry.field(description="device/signal, or the subject where it has none.")
    reason: str = strawberry.field(description="For example UNKNOWN_DEVICE, NOT_A_NUMBER, FUTURE.")
    detail: str = strawberry.field(description="One sentence for a person.")
    payload: str = strawberry.field(description="As it came; the first 2,000 characters.")
    status: str = strawberry.field(description="QUARANTINED, or REPLAYING on its way back.")
    readings: Int64 = strawberry.field(description="How many readings the payload holds.")
    arrived_at: datetime | None = strawberry.field(description="Plant time at our door.")

    @classmethod
    def of(cls, row: QuarantineRow) -> Self:
        """Return the GraphQL value."""
        return cls(
            id=strawberry.ID(row.quarantine_id),
            source=row.source,
            name=row.name,
            reason=row.reason.value,
            detail=row.detail,
            payload=row.payload[:PAYLOAD_CHARS].decode(errors="replace"),
            status=row.status.value,
            readings=Int64(row.readings),
            arrived_at=row.arrived_at,
        )


@strawberry.type(description="A source with a declared cadence stopped delivering.")
class PipelineAlert:
    """See `telemetry.model.pipeline.PipelineAlert`."""

    id: strawberry.ID
    source: str = strawberry.field(description="The silent source.")
    last_moving_hop: str = strawberry.field(
        description="Last hop that moved its data: SOURCE, DOOR, STREAM, RESOLVE, STORE or PUBLISH."
    )
    last_moved_at: datetime = strawberry.field(description="Plant time when data last came out.")
    detected_at: datetime = strawberry.field(description="Plant time of the alert.")
    recovered_at: datetime | None = strawberry.field(
        description="Plant time when data came out again; null while it is silent."
    )
    signal_ids: list[strawberry.ID] = strawberry.field(
        description="Signals of the source, at most 100."
    )

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """Return the GraphQL value."""
        return cls(
            id=strawberry.ID(alert.alert_id),
            source=alert.source,
            last_moving_hop=alert.last_moving_hop.value,
            last_moved_at=alert.last_moved_at,
            detected_at=alert.detected_at,
            recovered_at=alert.recovered_at,
            signal_ids=[strawberry.ID(one) for one in alert.signal_ids],
        )


@strawberry.type
class Query:
    """Root fields."""

    @resolved("What became of every reading received.")
    async def ingest(self, info: Info) -> IngestCounts | None:
        """Counts of the caller's tenant."""
        return IngestCounts.of(await info.context.reads.status(reader()))

    @resolved("Readings that could not be trusted, oldest first.", paged())
    async def quarantine(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        reason: Annotated[str | None, strawberry.argument(description="Only this reason.")] = None,
    ) -> Connection[QuarantinedReading] | None:
        """One page of the caller's tenant."""
        limit = bounded(first)
        place = decode_cursor(after, str)
        page = await info.context.reads.quarantine(
            reader(), reason=reason or "", after=place[0] if place else "", limit=limit + 1
        )
        cursors = {row.quarantine_id: row.ordinal for row in page.rows}
        return Connection[QuarantinedReading].page(
            [QuarantinedReading.of(row) for row in page.rows],
            lambda row: encode_cursor(str(cursors[str(row.id)])),
            first=limit,
        )

    @resolved("Silent sources, newest alert first, recovered ones included.", paged())
    async def pipeline_alerts(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[PipelineAlert] | None:
        """One page of the caller's tenant."""
        limit = bounded(first)
        place = decode_cursor(after, str)
        alerts = await info.context.reads.alerts.page(
            reader(), after=place[0] if place else "", limit=limit + 1
        )
        cursors = {alert.alert_id: alert.cursor for alert in alerts}
        return Connection[PipelineAlert].page(
            [PipelineAlert.of(alert) for alert in alerts],
            lambda alert: encode_cursor(cursors[str(alert.id)]),
            first=limit,
        )


@strawberry.type(description="A signal's freshness for one decision changed, by data or silence.")
class VerdictChange:
    """See `telemetry.model.verdict.VerdictChange`."""

    signal: Signal = strawberry.field(description="The signal.")
    decision: str = strawberry.field(description="Whose budget was applied.")
    budget_s: float = strawberry.field(description="The budget, seconds.")
    previous: core.Verdict = strawberry.field(description="ABSENT when it was never judged.")
    current: core.Verdict = strawberry.field(description="Freshness from `effectiveAt` on.")
    observed_at: datetime | None = strawberry.field(
        description="Plant time of the newest reading; null when never seen."
    )
    effective_at: datetime = strawberry.field(
        description="Plant time at which the verdict became true."
    )

    @classmethod
    def of(cls, told: ToldVerdict) -> Self:
        """Return the GraphQL value."""
        return cls(
            signal=Signal(id=strawberry.ID(told.signal_id)),
            decision=told.decision,
            budget_s=told.budget_s,
            previous=told.previous,
            current=told.current,
            observed_at=told.observed_at,
            effective_at=told.effective_at,
        )


@strawberry.type
class Subscription:
    """What telemetry tells as it happens."""

    @event_field("Each change of a freshness verdict, from now on.")
    async def verdict_changed(
        self,
        info: Info,
        asset_ids: Annotated[
            list[strawberry.ID] | None,
            strawberry.argument(description="Of these assets; at most 1,000. All when left out."),
        ] = None,
        decision: Decision = None,
    ) -> AsyncGenerator[VerdictChange, None]:
        """Yield the caller's tenant's changes."""
        if len(asset_ids or ()) > MAX_WATCHED:
            raise LimitExceededError(f"at most {MAX_WATCHED} assets, got {len(asset_ids or ())}")
        wanted = frozenset(map(str, asset_ids or ()))
        async for told in info.context.reads.verdicts(reader()):
            if wanted and told.asset_id not in wanted:
                continue
            if decision is None or told.decision == decision:
                yield VerdictChange.of(told)


SCHEMA = subgraph_schema(Query, types=[Signal], subscription=Subscription)
