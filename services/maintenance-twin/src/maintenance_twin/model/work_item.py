"""The work item: what the twin asks a maintenance planner to look at, and why."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant, derived_id
from twinmesh_sdk.core.trust import Trust


class FailureMode(StrEnum):
    """ISO 14224:2016 failure mode codes for pumps, as far as these signals can tell them.

    Source: ISO 14224:2016, table B.6 (rotating equipment).
    """

    LOO = "LOO"  # low output
    HIO = "HIO"  # high output
    PLU = "PLU"  # plugged, choked
    INL = "INL"  # internal leakage
    ELP = "ELP"  # external leakage of the process medium
    VIB = "VIB"  # vibration
    OHE = "OHE"  # overheating
    AIR = "AIR"  # abnormal instrument reading
    PDE = "PDE"  # parameter deviation
    UNK = "UNK"  # unknown


class Status(StrEnum):
    """Where a work item stands."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    SUPERSEDED = "SUPERSEDED"
    WITHDRAWN = "WITHDRAWN"


class CloseReason(StrEnum):
    """Why a work item closed."""

    RECOVERED = "RECOVERED"
    CONFIGURATION_CHANGED = "CONFIGURATION_CHANGED"


class Direction(StrEnum):
    """Where a signal went, seen from its healthy level."""

    ABOVE = "ABOVE"
    BELOW = "BELOW"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one signal contributes.

    Attributes:
        expected: Healthy level, in `unit`.
        observed: Level when the item opened, in `unit`.
        limit: Smallest difference that matters, in `unit`, positive.
        since_us: When the deviation began.
        share: Share of the evidence, 0 to 1; the shares of an item add up to 1.
    """

    signal: str
    unit: str
    expected: float
    observed: float
    limit: float
    direction: Direction
    since_us: int
    share: float

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not -1e-9 <= self.share <= 1.0 + 1e-9:
            raise InvalidInputError(f"share must lie in 0..1, got {self.share}")


@dataclass(frozen=True, slots=True)
class Probability:
    """A stated probability: of what, by when, and how far it was ever checked.

    Attributes:
        event: What it is the probability of.
        horizon_s: Counted from the opening.
        calibration: NONE until a back-test stands behind it.
    """

    value: float
    event: str
    horizon_s: float
    calibration: str = "NONE"

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        if not 0.0 <= self.value <= 1.0:
            raise InvalidInputError(f"a probability lies in 0..1, got {self.value}")


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One version of a work item.

    Attributes:
        mode: Operating mode in which it was found; empty where the asset has none.
        onset_us: When the degradation began.
        opened_us: Event time of the row that tipped the decision.
        closed_us: Event time of its close; None while open.
        degraded_to_us: End of the degradation; None while it lasts.
        detected_us: Plant time at which the tipping readings were at our door.
        lead_time_s: Time until the slow deviation leaves acceptance, where it grows steadily.
        superseded_by: The item that a correction put in its place; empty where nothing did.
        version: Counts the changes of this item.
        inputs_digest: Of the rows that it was decided from; empty before digests were kept.
    """

    work_item_id: str
    tenant: Tenant
    asset_id: AssetId
    configuration_id: str
    mode: str
    status: Status
    onset_us: int
    opened_us: int
    detected_us: int
    failure_mode: FailureMode
    probability: Probability
    evidence: tuple[Evidence, ...]
    trust: Trust
    model_version: str
    trace_id: str
    closed_us: int | None = None
    degraded_to_us: int | None = None
    close_reason: CloseReason | None = None
    correction: str = ""
    superseded_by: str = ""
    lead_time_s: float | None = None
    version: int = 1
    inputs_digest: str = ""

    def closed(self, at_us: int, reason: CloseReason, *, degraded_to_us: int) -> Self:
        """Return the item as closed."""
        return replace(
            self,
            status=Status.CLOSED,
            closed_us=at_us,
            degraded_to_us=degraded_to_us,
            close_reason=reason,
            version=self.version + 1,
        )

    def superseded(self, correction: str, by: str = "") -> Self:
        """Return the item as withdrawn by a correction of what it was based on."""
        return replace(
            self,
            status=Status.SUPERSEDED,
            correction=correction,
            superseded_by=by,
            version=self.version + 1,
        )

    def withdrawn(self, reason: str) -> Self:
        """Return the item as withdrawn: the model that opened it was recalled."""
        return replace(self, status=Status.WITHDRAWN, correction=reason, version=self.version + 1)


def work_item_id(
    tenant: Tenant, asset_id: AssetId, configuration_id: str, mode: str, onset_us: int
) -> str:
    """Return the id of the item that a degradation deserves: one degradation, one id, for ever."""
    return derived_id("wki", tenant, asset_id, configuration_id, mode, onset_us)
