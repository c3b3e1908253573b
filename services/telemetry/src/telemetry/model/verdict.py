"""Freshness verdicts of signals, kept so that a change is told once."""

from dataclasses import dataclass
from datetime import datetime

from telemetry.model.signal import Signal
from twinmesh_sdk.core.trust import Verdict


@dataclass(frozen=True, slots=True)
class VerdictState:
    """The verdict on one signal for one decision, as last announced.

    Attributes:
        observed_at: Plant time that freshness counted from; None when never seen.
        effective_at: Plant time at which the verdict became true.
        version: Number of changes so far: the aggregate version of the event.
    """

    tenant: str
    signal_id: str
    decision: str
    verdict: Verdict
    budget_s: float
    observed_at: datetime | None
    effective_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """Fact: the verdict on a signal for a decision is another one now."""

    signal: Signal
    before: VerdictState | None
    now: VerdictState


@dataclass(frozen=True, slots=True)
class ToldVerdict:
    """What an announcement of a changed verdict says.

    Attributes:
        observed_at: Plant time of the newest reading; None when never seen.
    """

    asset_id: str
    signal_id: str
    decision: str
    budget_s: float
    previous: Verdict
    current: Verdict
    observed_at: datetime | None
    effective_at: datetime
