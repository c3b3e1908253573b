"""What the twin holds about one asset over a period of plant time."""

from dataclasses import dataclass
from enum import StrEnum

from twinmesh_sdk.core.trust import Reason


class State(StrEnum):
    """The condition of an asset.

    Source: ISO 13374-2 (state detection), with the two ways of not knowing kept apart.
    """

    BASELINING = "BASELINING"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"


class Axis(StrEnum):
    """What decided a state: the readings (event time), or their absence (the clock)."""

    CONDITION = "CONDITION"
    FRESHNESS = "FRESHNESS"


@dataclass(frozen=True, slots=True)
class Condition:
    """A state from a time on, and what it rests on."""

    state: State
    from_us: int
    reasons: tuple[Reason, ...] = ()
    configuration_id: str = ""
    model_version: str = ""
    work_item_id: str = ""
    inputs_digest: str = ""


def effective(condition: Condition | None, *, stale: tuple[Reason, ...]) -> Condition | None:
    """Return what may be said when readings are missing: nothing but UNKNOWN, and why."""
    if condition is None or not stale:
        return condition
    return Condition(
        state=State.UNKNOWN,
        from_us=condition.from_us,
        reasons=(*condition.reasons, *stale),
        configuration_id=condition.configuration_id,
        model_version=condition.model_version,
        work_item_id=condition.work_item_id,
        inputs_digest=condition.inputs_digest,
    )
