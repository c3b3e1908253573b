"""What the maintenance twin needs from outside, in its own words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.measured import Measured
from maintenance_twin.model.release import Releases
from maintenance_twin.model.row import Row
from maintenance_twin.model.signal import Profile
from maintenance_twin.model.work_item import Status, WorkItem
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import OPEN_US, ReadTime
from twinmesh_sdk.core.trust import Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StateAnnouncement:
    """What may be said about an asset changed; to be told to others."""

    previous: State | None
    current: State
    at_us: int
    reasons: tuple[Reason, ...] = ()
    configuration_id: str = ""
    model_version: str = ""
    work_item_id: str = ""
    inputs_digest: str = ""

    def heard(self, at_us: int) -> "StateAnnouncement":
        """Return it as the end of a silence."""
        return replace(self, previous=State.UNKNOWN, at_us=at_us)


@dataclass(frozen=True, slots=True)
class ConditionRewrite:
    """Conditions of one axis from a time on: what was held from there is replaced.

    An empty `conditions` ends what was held.
    """

    axis: Axis
    from_us: int
    conditions: tuple[Condition, ...]


@dataclass(slots=True)
class Change:
    """All that one batch, or one correction, changes about one asset: saved whole or not at all.

    Attributes:
        twin: The twin as it stands now; its version is the one it was loaded with.
        items: Work item versions, in order; each is announced by its status.
        models: Model versions that may have decided; one that was recalled since refuses the save.
        completed: Logged rows that a late context completed; they replace those of their time.
        measured: What windows of plant time have shown about model versions; to be told.
        traceparent: Trace context of the cause, for the announcements.
    """

    twin: AssetTwin
    rewrites: list[ConditionRewrite] = field(default_factory=list)
    items: list[WorkItem] = field(default_factory=list)
    announcements: list[StateAnnouncement] = field(default_factory=list)
    completed: list[Row] = field(default_factory=list)
    models: frozenset[str] = frozenset()
    measured: list[Measured] = field(default_factory=list)
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """Something held true, with its four bounds in UTC microseconds."""

    value: T
    valid_from_us: int
    recorded_from_us: int
    valid_to_us: int = OPEN_US
    recorded_to_us: int = OPEN_US


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which work items are asked for; empty collections leave a criterion out."""

    asset_ids: tuple[AssetId, ...] = ()
    statuses: frozenset[Status] = frozenset()
    opened_from_us: int | None = None
    opened_to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A model version was recalled.

    Attributes:
        recalled_at_us: Wall time of the recall.
    """

    version: str
    reason: str
    recalled_at_us: int


@dataclass(frozen=True, slots=True)
class Silent:
    """An asset whose silence begins or ends by the clock."""

    tenant: Tenant
    asset_id: AssetId


class TwinStore(Protocol):
    """Keeps twins, conditions, work items and what is yet to be announced."""

    async def load(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, AssetTwin]:
        """Return the twins that exist. Each call returns objects of the caller's own."""
        ...

    async def save(self, changes: Sequence[Change]) -> None:
        """Save changes of different assets in one transaction, announcements included.

        Raises:
            ConflictError: A twin was saved by another since it was loaded, or a model that may have
                decided was withdrawn; nothing is saved.
            UnavailableError: The store does not answer.
        """
        ...

    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Let a model version decide nothing more; repeating it changes nothing.

        When it returns, no save is under way that the version may have decided, and none will be.
        """
        ...

    async def withdrawn(self) -> set[str]:
        """Return the model versions that may decide nothing more."""
        ...

    async def decided_by(self, version: str, *, limit: int) -> list[tuple[Tenant, AssetId]]:
        """Return assets whose condition, or open work item, a model version decided."""
        ...

    async def rows(self, tenant: Tenant, asset_id: AssetId, from_us: int) -> list[Row] | None:
        """Return the logged rows from a time on, in order; None if they were pruned since."""
        ...

    async def items_from(self, tenant: Tenant, asset_id: AssetId, from_us: int) -> list[WorkItem]:
        """Return the items now held that opened, or were still open, at or after a time."""
        ...

    async def silence_candidates(
        self, tenant: Tenant, *, before_us: int, limit: int
    ) -> list[AssetId]:
        """Return assets that are not marked silent, with inputs older than `before_us`."""
        ...

    async def tenants(self) -> list[Tenant]:
        """Return the tenants that have twins here."""
        ...

    async def prune(self, tenant: Tenant, *, before_us: int) -> int:
        """Forget logged rows from before a time; returns how many blocks."""
        ...


class TwinReads(Protocol):
    """Answers questions as of, and as known at, the times of a request."""

    async def items(
        self, tenant: Tenant, item_ids: Collection[str], at: ReadTime
    ) -> dict[str, Held[WorkItem]]:
        """Return work items by id, found ones only."""
        ...

    async def list_items(
        self,
        tenant: Tenant,
        wanted: ItemFilter,
        at: ReadTime,
        *,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[Held[WorkItem]]:
        """Return work items, the last opened first, behind the position `after`."""
        ...

    async def items_by_asset(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime, *, per_asset: int
    ) -> dict[AssetId, list[Held[WorkItem]]]:
        """Return each asset's last work items, at most `per_asset`, in one call to the store."""
        ...

    async def conditions(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime
    ) -> dict[AssetId, dict[Axis, Held[Condition]]]:
        """Return what was held on each axis, for assets that have a twin."""
        ...


class AssetDirectory(Protocol):
    """The registry, as far as this twin needs it."""

    async def profiles(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> Mapping[AssetId, Profile]:
        """Return the signals of each asset that the model understands.

        Raises:
            UnavailableError: The registry does not answer.
        """
        ...

    async def configurations(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> Mapping[AssetId, Configurations]:
        """Return every configuration version of each asset, as known now.

        Raises:
            UnavailableError: The registry does not answer.
        """
        ...

    def forget(self, tenant: Tenant, asset_id: AssetId) -> None:
        """Ask the registry again about this asset's signals when they are next needed."""
        ...


class ModelRelease(Protocol):
    """What governance has released."""

    def releases_for(self, asset_class: str) -> Releases | None:
        """Return the condition model's releases for an asset class; empty where there is none.

        None as long as that cannot be said: nothing was ever released, or what is released is not
        loaded yet. Then readings wait; where there is no release, the twin abstains.
        """
        ...

    def shadows_for(self, asset_class: str) -> Releases:
        """Return the versions that run beside, without deciding; empty where there is none."""
        ...

    def is_recalled(self, version: str) -> bool:
        """Tell whether a version was recalled."""
        ...
