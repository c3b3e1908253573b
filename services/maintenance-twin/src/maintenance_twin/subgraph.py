"""The GraphQL subgraph: conditions and work items on the assets of the registry."""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Self, TypeVar, cast

import strawberry
from strawberry.dataloader import DataLoader

from maintenance_twin.model.condition import State
from maintenance_twin.model.tuning import MODEL_NAME
from maintenance_twin.model.work_item import (
    CloseReason,
    Direction,
    FailureMode,
    Status,
)
from maintenance_twin.model.work_item import Evidence as EvidenceModel
from maintenance_twin.model.work_item import Probability as ProbabilityModel
from maintenance_twin.ports import ItemFilter
from maintenance_twin.usecases import ConditionAnswer, ItemAnswer, ReadConditions, ReadWorkItems
from maintenance_twin.wire.items import trace_id_of
from maintenance_twin.wire.outputs import output_of_condition, output_of_item
from twinmesh_sdk.core.consumption import note_output
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import MAX_TIME, OPEN_US, from_us, to_us
from twinmesh_sdk.graphql import (
    Connection,
    Reason,
    Trust,
    bounded,
    decode_cursor,
    encode_cursor,
    event_field,
    paged,
    subgraph_schema,
)
from twinmesh_sdk.runtime import current_principal, current_read_time, current_tenant

READ: Final = "read"
MAX_FILTER_ASSETS: Final = 1_000
MAX_PER_ASSET: Final = 50
DEFAULT_PER_ASSET: Final = 10


Method = TypeVar("Method", bound=Callable[..., Any])


def described(description: str, *directives: object) -> Callable[[Method], Method]:
    """Make a method a field: `strawberry.field`, with the method's type kept."""
    made = strawberry.field(description=description, directives=directives)
    return cast("Callable[[Method], Method]", made)


class Calibration(Enum):
    """How far a probability was ever checked against outcomes."""

    NONE = "NONE"
    BACK_TESTED = "BACK_TESTED"


StateEnum = strawberry.enum(
    State, name="ConditionState", description="Condition of an asset (ISO 13374-2)."
)
StatusEnum = strawberry.enum(Status, name="WorkItemStatus", description="Where a work item stands.")
ModeEnum = strawberry.enum(
    FailureMode,
    name="FailureMode",
    description="ISO 14224:2016 failure mode code of a pump, as far as signals can tell it.",
)
CloseEnum = strawberry.enum(
    CloseReason, name="WorkItemCloseReason", description="Why a work item closed."
)
DirectionEnum = strawberry.enum(
    Direction, name="DeviationDirection", description="Where a signal went, seen from healthy."
)
CalibrationEnum = strawberry.enum(
    Calibration, name="Calibration", description="Whether a back-test stands behind a probability."
)


Changes = Callable[[Tenant], AsyncGenerator[tuple[str, AssetId], None]]
"""Tells a tenant's changed work items as they change: item and asset."""


class Context:
    """Per request: loaders, so that N assets cost one store call."""

    def __init__(
        self,
        work_items: ReadWorkItems,
        conditions: ReadConditions,
        changes: Changes,
        is_recalled: Callable[[str], bool],
    ) -> None:
        self.work_items = work_items
        self.changes = changes
        self.conditions = conditions
        self.is_recalled = is_recalled
        self.condition_by_asset: DataLoader[AssetId, ConditionAnswer | None] = DataLoader(
            load_fn=self._conditions
        )
        self.item_by_id: DataLoader[str, ItemAnswer | None] = DataLoader(load_fn=self._items)
        self.items_by_asset: DataLoader[AssetId, list[ItemAnswer]] = DataLoader(
            load_fn=self._asset_items
        )

    async def _conditions(self, ids: Sequence[AssetId]) -> list[ConditionAnswer | None]:
        current_principal().require(READ)
        found = await self.conditions(current_tenant(), ids, current_read_time())
        return [found.get(asset_id) for asset_id in ids]

    async def _items(self, ids: Sequence[str]) -> list[ItemAnswer | None]:
        current_principal().require(READ)
        found = await self.work_items.get(current_tenant(), ids, current_read_time())
        return [found.get(item_id) for item_id in ids]

    async def _asset_items(self, ids: Sequence[AssetId]) -> list[list[ItemAnswer]]:
        current_principal().require(READ)
        found = await self.work_items.by_asset(
            current_tenant(), ids, current_read_time(), per_asset=MAX_PER_ASSET + 1
        )
        return [found.get(asset_id, []) for asset_id in ids]


Info = strawberry.Info[Context, None]


@strawberry.federation.type(
    keys=["assetId from to"],
    description="A window of one asset's life, on which any domain hangs facts.",
)
class AssetPeriod:
    """The key only: registry and energy twin add their fields."""

    asset_id: strawberry.ID = strawberry.field(description="The asset.")
    from_: datetime = strawberry.field(name="from", description="Plant time, included.")
    to: datetime = strawberry.field(description="Plant time, excluded.")


@strawberry.type(description="A stated probability.")
class Probability:
    """See `maintenance_twin.model.work_item.Probability`."""

    value: float = strawberry.field(description="0 to 1.")
    event: str = strawberry.field(
        description="Of what: OUTSIDE_ACCEPTANCE is a signal outside its acceptance tolerance."
    )
    horizon_s: float = strawberry.field(description="By when: seconds after the opening.")
    calibration: Calibration = strawberry.field(description="NONE until back-tested.")

    @classmethod
    def of(cls, probability: ProbabilityModel) -> Self:
        """Return the GraphQL value."""
        return cls(
            value=probability.value,
            event=probability.event,
            horizon_s=probability.horizon_s,
            calibration=Calibration(probability.calibration),
        )


@strawberry.type(description="What one signal contributes to a work item.")
class Evidence:
    """See `maintenance_twin.model.work_item.Evidence`."""

    signal: str = strawberry.field(description="The signal's name on its asset.")
    unit: str = strawberry.field(description="UCUM code of the unit of the values here.")
    expected: float = strawberry.field(description="Healthy level, in `unit`.")
    observed: float = strawberry.field(description="Level when the item opened, in `unit`.")
    limit: float = strawberry.field(description="Smallest difference that matters, in `unit`.")
    direction: Direction = strawberry.field(description="Where it went.")
    since: datetime = strawberry.field(description="When the deviation began, plant time.")
    share: float = strawberry.field(
        description="Share of the evidence, 0 to 1; those of an item add up to 1."
    )

    @classmethod
    def of(cls, evidence: EvidenceModel) -> Self:
        """Return the GraphQL value."""
        return cls(
            signal=evidence.signal,
            unit=evidence.unit,
            expected=evidence.expected,
            observed=evidence.observed,
            limit=evidence.limit,
            direction=evidence.direction,
            since=from_us(evidence.since_us),
            share=evidence.share,
        )


@strawberry.federation.type(keys=["id"], description="What a planner is asked to look at, and why.")
class WorkItem:
    """One work item as of, and as known at, the times of the request."""

    id: strawberry.ID
    answer: strawberry.Private[ItemAnswer]
    now: strawberry.Private[datetime]

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Self | None:
        """Load by key, all keys of a request in one call; null when there is none."""
        answer = await info.context.item_by_id.load(str(id))
        return None if answer is None else cls.of(answer)

    @classmethod
    def of(cls, answer: ItemAnswer) -> Self:
        """Return the GraphQL value, and note that it leaves."""
        note_output(output_of_item(answer.item))
        return cls(
            id=strawberry.ID(answer.item.work_item_id),
            answer=answer,
            now=current_read_time().as_of,
        )

    @described("The asset it is about.")
    def asset(self) -> Annotated["Asset", strawberry.lazy("maintenance_twin.subgraph")]:
        """Return the key; the registry resolves the rest."""
        return Asset(id=strawberry.ID(self.answer.item.asset_id))

    @described(
        "The window in which the asset was degraded; while that lasts, it ends at the "
        "asset's last reading, or at the request's asOf where that is earlier."
    )
    def degradation(self) -> AssetPeriod:
        """Return the key of the window."""
        item = self.answer.item
        end_us = item.degraded_to_us
        if end_us is None:
            now_us, seen_us = to_us(self.now), self.answer.seen_us
            last_us = now_us if seen_us is None else min(now_us, seen_us + 1)
            end_us = max(last_us, item.opened_us + 1)
        return AssetPeriod(
            asset_id=strawberry.ID(item.asset_id),
            from_=from_us(item.onset_us),
            to=from_us(end_us),
        )

    @described("Where it stands.")
    def status(self) -> Status:
        """Return the status."""
        return self.answer.item.status

    @described("ISO 14224 failure mode; UNK where it cannot be told.")
    def failure_mode(self) -> FailureMode:
        """Return the failure mode."""
        return self.answer.item.failure_mode

    @described("Probability, of which event and by when.")
    def probability(self) -> Probability:
        """Return the probability."""
        return Probability.of(self.answer.item.probability)

    @described("Deviating signals, the most telling first; at most 8.")
    def evidence(self) -> list[Evidence]:
        """Return the evidence."""
        return [Evidence.of(e) for e in self.answer.item.evidence]

    @described("How far it can be trusted at the request's `now`.")
    def trust(self) -> Trust:
        """Return the trust."""
        return Trust.of(self.answer.trust)

    @described("Configuration version active when it opened.")
    def configuration_version(self) -> str:
        """Return the configuration version's id."""
        return self.answer.item.configuration_id

    @described("Version of the model that decided.")
    def model_version(self) -> str:
        """Return the model version."""
        return self.answer.item.model_version

    @described("Digest of the rows that it was decided from; empty before digests were kept.")
    def inputs_digest(self) -> str:
        """Return the digest."""
        return self.answer.item.inputs_digest

    @described("Whether its model version was recalled: then it is no ground for a decision.")
    def withdrawn(self, info: Info) -> bool:
        """Tell, also of items that had closed before the recall."""
        return info.context.is_recalled(self.answer.item.model_version)

    @described("Plant time of the reading that tipped the decision.")
    def opened_at(self) -> datetime:
        """Return the opening."""
        return from_us(self.answer.item.opened_us)

    @described("Plant time of the close; null while open.")
    def closed_at(self) -> datetime | None:
        """Return the close."""
        closed_us = self.answer.item.closed_us
        return None if closed_us is None else from_us(closed_us)

    @described("Plant time at which the tipping readings were at the door.")
    def detected_at(self) -> datetime:
        """Return the detection."""
        return from_us(self.answer.item.detected_us)

    @described("Why it closed; null while open.")
    def close_reason(self) -> CloseReason | None:
        """Return the reason."""
        return self.answer.item.close_reason

    @described("Why it was superseded or withdrawn, one sentence; empty where it was not.")
    def correction(self) -> str:
        """Return the correction."""
        return self.answer.item.correction

    @described("Id of the item that a correction put in its place.")
    def superseded_by(self) -> strawberry.ID | None:
        """Return the successor's id."""
        by = self.answer.item.superseded_by
        return strawberry.ID(by) if by else None

    @described("Seconds until the deviation leaves acceptance, where it grows steadily.")
    def lead_time_s(self) -> float | None:
        """Return the lead time."""
        return self.answer.item.lead_time_s

    @described("Operating mode in which it was found; empty for none.")
    def operating_mode(self) -> str:
        """Return the mode."""
        return self.answer.item.mode

    @described("Counts the changes of this item, from 1.")
    def version(self) -> int:
        """Return the version."""
        return self.answer.item.version

    @described("Wall time at which this version was recorded.")
    def recorded_at(self) -> datetime:
        """Return the recorded time."""
        return from_us(self.answer.held.recorded_from_us)

    @described("Wall time from which another version is held; null while this one is.")
    def recorded_until(self) -> datetime | None:
        """Return the end of the recorded time."""
        until_us = self.answer.held.recorded_to_us
        return None if until_us >= OPEN_US else from_us(until_us)

    @described("Trace of the message that tipped the decision.")
    def trace_id(self) -> str:
        """Return the trace id."""
        return trace_id_of(self.answer.item.trace_id)


def _item_cursor(item: WorkItem) -> str:
    return encode_cursor(item.answer.item.opened_us, item.answer.item.work_item_id)


def _after(cursor: str | None) -> tuple[int, str] | None:
    parts = decode_cursor(cursor, int, str)
    return None if parts is None else (parts[0], parts[1])


@strawberry.type(description="What the maintenance twin holds about an asset.")
class Maintenance:
    """The condition of one asset, and its work items."""

    answer: strawberry.Private[ConditionAnswer]

    @described("The condition; UNKNOWN where the twin abstains.")
    def state(self) -> State:
        """Return the state."""
        return self.answer.condition.state

    @described("Why the state is what it is.")
    def reasons(self) -> list[Reason]:
        """Return the reasons."""
        return [
            Reason(code=r.code, subject=r.subject, detail=r.detail)
            for r in self.answer.condition.reasons
        ]

    @described("Plant time from which the condition holds.")
    def since(self) -> datetime:
        """Return the start."""
        return from_us(self.answer.held.valid_from_us)

    @described("How far it can be trusted for the decision `trip`.")
    def trust(self) -> Trust:
        """Return the trust."""
        return Trust.of(self.answer.trust)

    @described("Name of the model that decides.")
    def model(self) -> str:
        """Return the model's name."""
        return MODEL_NAME

    @described("Version of the model that decided.")
    def model_version(self) -> str:
        """Return the model version."""
        return self.answer.condition.model_version

    @described("Digest of the rows that it was decided from; empty where the clock decided.")
    def inputs_digest(self) -> str:
        """Return the digest."""
        return self.answer.condition.inputs_digest

    @described("Configuration version that it holds for.")
    def configuration_version(self) -> str:
        """Return the configuration version's id."""
        return self.answer.condition.configuration_id

    @described("The asset's work items, the last opened first.", paged(DEFAULT_PER_ASSET))
    async def work_items(
        self,
        info: Info,
        first: Annotated[
            int | None, strawberry.argument(description="At most 50; 10 by default.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="`endCursor` of the page before.")
        ] = None,
    ) -> Connection[WorkItem]:
        """Return a page; first pages of all assets of a request cost one store call."""
        size = bounded(first, default=DEFAULT_PER_ASSET, maximum=MAX_PER_ASSET)
        asset_id, position = self.answer.asset_id, _after(after)
        if position is None:
            found = (await info.context.items_by_asset.load(asset_id))[: size + 1]
        else:
            found = await info.context.work_items.page(
                current_tenant(),
                ItemFilter(asset_ids=(asset_id,)),
                current_read_time(),
                after=position,
                limit=size + 1,
            )
        return Connection[WorkItem].page(
            [WorkItem.of(answer) for answer in found], _item_cursor, first=size
        )


@strawberry.federation.type(keys=["id"])
class Asset:
    """Owned by asset-registry; this service adds `maintenance`."""

    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Self:
        """Stand in for the asset. Touches no store: the field below does, in one batch."""
        return cls(id=id)

    @described("Condition and work items; null where the asset has no maintenance twin.")
    async def maintenance(self, info: Info) -> Maintenance | None:
        """Return what is held; an outage is an error, never a null."""
        answer = await info.context.condition_by_asset.load(AssetId(str(self.id)))
        if answer is None:
            return None
        if (output := output_of_condition(answer)) is not None:
            note_output(output)
        return Maintenance(answer=answer)


@strawberry.input(description="Which work items; criteria left out do not restrict.")
class WorkItemFilter:
    """See `maintenance_twin.ports.ItemFilter`."""

    asset_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Of these assets; at most 1,000."
    )
    statuses: list[Status] | None = strawberry.field(
        default=None, description="With these statuses at the request's asOf."
    )
    opened_from: datetime | None = strawberry.field(
        default=None, description="Opened at or after, plant time."
    )
    opened_to: datetime | None = strawberry.field(
        default=None, description="Opened before, plant time."
    )


def _wanted(filter: WorkItemFilter | None) -> ItemFilter:
    if filter is None:
        return ItemFilter()
    ids = filter.asset_ids or []
    if len(ids) > MAX_FILTER_ASSETS:
        raise LimitExceededError(f"at most {MAX_FILTER_ASSETS} assets, got {len(ids)}")
    if filter.opened_to is not None and filter.opened_to >= MAX_TIME:
        raise InvalidInputError("openedTo is out of range")
    return ItemFilter(
        asset_ids=tuple(AssetId(str(i)) for i in ids),
        statuses=frozenset(filter.statuses or ()),
        opened_from_us=None if filter.opened_from is None else to_us(filter.opened_from),
        opened_to_us=None if filter.opened_to is None else to_us(filter.opened_to),
    )


@strawberry.type
class Query:
    """Root fields of the maintenance twin."""

    @described("Work items, the last opened first.", paged())
    async def work_items(
        self,
        info: Info,
        filter: Annotated[
            WorkItemFilter | None, strawberry.argument(description="All when left out.")
        ] = None,
        first: Annotated[
            int | None, strawberry.argument(description="At most 200; 50 by default.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="`endCursor` of the page before.")
        ] = None,
    ) -> Connection[WorkItem]:
        """Return a page of the tenant's work items."""
        current_principal().require(READ)
        size = bounded(first)
        found = await info.context.work_items.page(
            current_tenant(),
            _wanted(filter),
            current_read_time(),
            after=_after(after),
            limit=size + 1,
        )
        return Connection[WorkItem].page(
            [WorkItem.of(answer) for answer in found], _item_cursor, first=size
        )


@strawberry.type
class Subscription:
    """What the maintenance twin tells as it happens."""

    @event_field("Each change of a work item, from now on, once it is recorded.")
    async def work_item_changed(
        self,
        info: Info,
        asset_ids: Annotated[
            list[strawberry.ID] | None,
            strawberry.argument(description="Of these assets; at most 1,000. All when left out."),
        ] = None,
    ) -> AsyncGenerator[WorkItem, None]:
        """Yield the item of each event, as it is held at that moment."""
        current_principal().require(READ)
        wanted = _wanted(WorkItemFilter(asset_ids=asset_ids)).asset_ids
        tenant = current_tenant()
        async for item_id, asset_id in info.context.changes(tenant):
            if wanted and asset_id not in wanted:
                continue
            found = await info.context.work_items.get(tenant, [item_id], current_read_time())
            if item_id in found:
                yield WorkItem.of(found[item_id])


schema: Final = subgraph_schema(Query, types=[Asset, WorkItem], subscription=Subscription)
