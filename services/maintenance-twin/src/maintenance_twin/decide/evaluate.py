"""Take an asset's rows into account, one after the other: facts in, facts out."""

import hashlib
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from maintenance_twin.decide.chart import Chart, ChartState
from maintenance_twin.decide.diagnose import diagnose
from maintenance_twin.decide.learn import NotYet, learn_baseline
from maintenance_twin.model.baseline import Baseline
from maintenance_twin.model.condition import Condition, State
from maintenance_twin.model.configuration import NO_CONFIGURATION, Configurations, Span
from maintenance_twin.model.release import Release, Releases
from maintenance_twin.model.row import IDLE_MODES, NO_MODE, Row, mode_name
from maintenance_twin.model.signal import Profile, Role, Signal
from maintenance_twin.model.tuning import US, Tuning
from maintenance_twin.model.work_item import CloseReason, Status, WorkItem, work_item_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.core.trust import (
    FRESH_CADENCES,
    Quality,
    Reason,
    Trust,
    Verdict,
    combine,
)

MAX_MODES = 16
"""Operating modes learned per asset and configuration; rows of further ones are not judged."""


@dataclass(frozen=True, slots=True)
class ConditionChanged:
    """Fact: the condition is another one from a time on, or another model version says so."""

    condition: Condition
    previous: State | None
    model_changed: bool = False


@dataclass(frozen=True, slots=True)
class WorkItemOpened:
    """Fact: persistent deviation became one work item."""

    item: WorkItem


@dataclass(frozen=True, slots=True)
class WorkItemClosed:
    """Fact: an open work item closed."""

    item: WorkItem


Fact = ConditionChanged | WorkItemOpened | WorkItemClosed


class Judged(NamedTuple):
    """What a row was expected to say under health, and what was made of it.

    A tuple, for there is one per row.

    Attributes:
        expected: Healthy level of each track of the baseline, before the row.
        healthy: Whether it does not deviate, and no item is open.
        degraded: Whether an item is open.
        version: The version of the model that says so.
    """

    baseline: Baseline
    expected: tuple[float, ...]
    healthy: bool
    degraded: bool
    version: str
    configuration_id: str


@dataclass(frozen=True, slots=True)
class Context:
    """What an evaluation is told and does not decide.

    Attributes:
        shadows: Versions that run beside, and decide nothing.
    """

    tenant: Tenant
    models: Releases
    tuning: Tuning
    decision: str = "trip"
    budget_s: float = 60.0
    shadows: Releases = field(default_factory=Releases)


@dataclass(slots=True)
class Evaluation:
    """Everything remembered between the rows of one asset; saved with each batch.

    Attributes:
        profile: The signals, fixed from the start of a configuration version to its end.
        span: The configuration version in force.
        mode, mode_us: The last operating mode and when it was said.
        mode_since_us: First row of the mode in force.
        learning: Rows that will teach a baseline, per mode.
        charts: Baseline and chart state, per mode.
        unjudged_us: Since when rows could not be judged; None while they can.
        inputs: Digest of the rows since the configuration version began, in a chain.
        last_us: Time of the last row.
    """

    profile: Profile
    configurations: Configurations = field(default_factory=Configurations)
    span: Span | None = None
    mode: str = NO_MODE
    mode_us: int = 0
    mode_since_us: int = 0
    learning: dict[str, list[Row]] = field(default_factory=dict)
    charts: dict[str, tuple[Baseline, ChartState]] = field(default_factory=dict)
    item: WorkItem | None = None
    condition: Condition | None = None
    unjudged_us: int | None = None
    last_us: int = 0
    inputs: bytes = b""

    @property
    def inputs_digest(self) -> str:
        """The rows of this configuration version so far, as one name."""
        return f"sha256:{self.inputs.hex()}" if self.inputs else ""


class Evaluator:
    """Moves one asset's evaluation forward.

    Rows must come in time order. Decisions depend on the rows, the configuration versions and the
    tuning, and on nothing else: the same rows in other batches give the same facts.
    """

    def __init__(self, evaluation: Evaluation, context: Context) -> None:
        self._at = evaluation
        self._context = context
        self._tuning = context.tuning
        self._version = ""
        self._charts: dict[str, Chart] = {}
        self._facts: list[Fact] = []
        self._judged: Judged | None = None
        self._index = {s.name: i for i, s in enumerate(evaluation.profile.signals)}

    def advance(
        self, rows: Iterable[Row], judged: list[Judged | None] | None = None
    ) -> tuple[Fact, ...]:
        """Take rows into account; return what became true.

        Args:
            rows: In time order.
            judged: Gets one entry per row, None where it was not judged.
        """
        for row in rows:
            self._judged = None
            self._row(row)
            if judged is not None:
                judged.append(self._judged)
        facts, self._facts = tuple(self._facts), []
        return facts

    def reconfigure(self, until_us: int) -> tuple[Fact, ...]:
        """Follow a configuration version that began by `until_us`, without waiting for a row."""
        span = self._at.configurations.at(until_us)
        if self._at.span is not None and self._other(span):
            self._enter(span)
        facts, self._facts = tuple(self._facts), []
        return facts

    def _other(self, span: Span) -> bool:
        now = self._at.span
        return (
            now is None
            or now.configuration_id != span.configuration_id
            or now.from_us != span.from_us
        )

    def _row(self, row: Row) -> None:
        at = self._at
        span = at.configurations.at(row.t_us)
        if self._other(span):
            self._enter(span)
        at.inputs = chained(at.inputs, row)
        release = self._context.models.at(row.t_us, span.configuration_id)
        self._follow(release)
        mode = self._mode(row)
        if at.last_us and row.t_us - at.last_us > self._tuning.gap_s * US:
            self._pause(row.t_us)
        at.last_us = row.t_us
        if release is None:
            at.unjudged_us = at.unjudged_us or row.t_us
            why = self._context.models.abstention(row.t_us, span.configuration_id)
            self._become(State.UNKNOWN, row.t_us, why)
        elif (beyond := self._beyond(row, release)) is not None:
            self._cannot_judge(row.t_us, Reason("OUTSIDE_ENVELOPE", beyond))
        elif mode is None:
            self._cannot_judge(row.t_us, Reason("MISSING_CONTEXT", "operating_mode"))
        elif mode in IDLE_MODES:
            self._cannot_judge(row.t_us, Reason("NOT_RUNNING", "operating_mode", mode))
        elif row.t_us - at.mode_since_us < self._tuning.settle_s * US and mode != NO_MODE:
            return
        elif mode in at.charts:
            self._judge(row, mode)
        elif mode in at.learning or len(at.charts) + len(at.learning) < MAX_MODES:
            self._learn(row, mode)
        else:
            self._cannot_judge(row.t_us, Reason("UNKNOWN_REGIME", "operating_mode", mode))

    def _follow(self, release: Release | None) -> None:
        """Decide by another version from this row on; what was learned stays."""
        version = release.version if release else ""
        if version == self._version:
            return
        self._version = version
        tuning = (release.tuning if release else None) or self._context.tuning
        if tuning is not self._tuning:
            self._tuning, self._charts = tuning, {}

    def _beyond(self, row: Row, release: Release) -> str | None:
        """Return a signal that says what the release does not hold for; None where none does."""
        for bound in release.envelope:
            place = self._index.get(bound.signal)
            value = math.nan if place is None else row.values[place]
            if value < bound.low or value > bound.high:
                return bound.signal
        return None

    def _enter(self, span: Span) -> None:
        """Begin a configuration version: what was learned about another one does not hold."""
        at = self._at
        if at.item is not None:
            closed = at.item.closed(
                max(span.from_us, at.item.opened_us),
                CloseReason.CONFIGURATION_CHANGED,
                degraded_to_us=max(span.from_us, at.item.opened_us),
            )
            at.item = None
            self._facts.append(WorkItemClosed(closed))
        at.span = span
        at.learning, at.charts, self._charts = {}, {}, {}
        at.unjudged_us = None
        at.mode_since_us = 0
        at.inputs = b""

    def _mode(self, row: Row) -> str | None:
        """Return the operating mode in force; None where it should be known and is not."""
        at, signal = self._at, self._at.profile.mode
        if signal is None:
            return NO_MODE
        value = row.values[self._index[signal.name]]
        if not math.isnan(value):
            said = mode_name(value)
            if said != at.mode or not at.mode_since_us:
                at.mode, at.mode_since_us = said, row.t_us
                if said in at.charts:
                    self._chart(said).state.resume(row.t_us)
            at.mode_us = row.t_us
        hold_s = max(self._tuning.mode_hold_s, FRESH_CADENCES * signal.cadence_s)
        if not at.mode_us or row.t_us - at.mode_us > hold_s * US:
            return None
        return at.mode

    def _pause(self, t_us: int) -> None:
        """Forget what was building up before a gap."""
        for mode in self._at.charts:
            self._chart(mode).state.resume(t_us)

    def _cannot_judge(self, t_us: int, *reasons: Reason) -> None:
        """Abstain, by name, once it has lasted longer than a change of mode takes."""
        at = self._at
        if at.unjudged_us is None:
            at.unjudged_us = t_us
        if t_us - at.unjudged_us >= self._tuning.settle_s * US or at.condition is None:
            self._become(State.UNKNOWN, at.unjudged_us, *reasons)

    def _learn(self, row: Row, mode: str) -> None:
        at = self._at
        rows = at.learning.setdefault(mode, [])
        rows.append(row)
        at.unjudged_us = None
        self._become(State.BASELINING, row.t_us)
        if len(rows) < self._tuning.baseline_rows:
            return
        outcome = learn_baseline(
            np.array([r.t_us for r in rows], dtype=np.int64),
            {name: np.array([r.values[i] for r in rows]) for name, i in self._index.items()},
            at.profile.signals,
            at.profile.row_us,
            self._tuning,
        )
        if isinstance(outcome, NotYet):
            del rows[: len(rows) // 4]
            reasons = (Reason("MISSING_INPUT", name) for name in outcome.missing)
            self._become(State.BASELINING, row.t_us, *reasons)
            return
        at.charts[mode] = (outcome, ChartState.at(outcome))
        del at.learning[mode]
        self._become(State.DEGRADED if at.item else State.HEALTHY, row.t_us)

    def _chart(self, mode: str) -> Chart:
        chart = self._charts.get(mode)
        if chart is None:
            baseline, state = self._at.charts[mode]
            chart = self._charts[mode] = Chart(
                baseline, state, row_us=self._at.profile.row_us, tuning=self._tuning
            )
        return chart

    def _judge(self, row: Row, mode: str) -> None:
        at, chart = self._at, self._chart(mode)
        if not chart.speed_is_known(self._speed(row)):
            self._cannot_judge(row.t_us, Reason("UNKNOWN_REGIME", "speed"))
            return
        if at.unjudged_us is not None:
            chart.state.resume(row.t_us - 1)
            at.unjudged_us = None
        values = [row.values[self._index[track.name]] for track in chart.baseline.tracks]
        expected = tuple(chart.state.reference)
        deviates = chart.step(row.t_us, values, frozen=at.item is not None)
        if at.item is None:
            if chart.tipped:
                self._open(row, mode, chart)
            self._become(State.DEGRADED if at.item else State.HEALTHY, row.t_us)
        elif at.item.mode == mode and chart.state.healthy_s >= self._tuning.healthy_close_s:
            self._recover(row, chart)
        else:
            self._become(State.DEGRADED, row.t_us)
        degraded = at.item is not None
        self._judged = Judged(
            chart.baseline,
            expected,
            not (deviates or degraded),
            degraded,
            self._version,
            at.span.configuration_id if at.span else NO_CONFIGURATION,
        )

    def _open(self, row: Row, mode: str, chart: Chart) -> None:
        at, context = self._at, self._context
        diagnosis = diagnose(chart, self._tuning)
        configuration_id = at.span.configuration_id if at.span else NO_CONFIGURATION
        asset_id = at.profile.asset_id
        at.item = WorkItem(
            work_item_id=work_item_id(
                context.tenant, asset_id, configuration_id, mode, chart.onset_us
            ),
            tenant=context.tenant,
            asset_id=asset_id,
            configuration_id=configuration_id,
            mode=mode,
            status=Status.OPEN,
            onset_us=chart.onset_us,
            opened_us=row.t_us,
            detected_us=max(row.arrived_us, row.t_us),
            failure_mode=diagnosis.failure_mode,
            probability=diagnosis.probability,
            evidence=diagnosis.evidence,
            trust=self._trust(row, configuration_id),
            model_version=self._version,
            trace_id=row.trace,
            lead_time_s=diagnosis.lead_time_s,
            inputs_digest=at.inputs_digest,
        )
        chart.state.healthy_s = 0.0
        self._facts.append(WorkItemOpened(at.item))

    def _recover(self, row: Row, chart: Chart) -> None:
        at = self._at
        assert at.item is not None
        healthy_from_us = row.t_us - round(chart.state.healthy_s * US)
        closed = at.item.closed(
            row.t_us,
            CloseReason.RECOVERED,
            degraded_to_us=max(healthy_from_us, at.item.onset_us),
        )
        at.item = None
        chart.state.flagged = []
        self._facts.append(WorkItemClosed(closed))
        self._become(State.HEALTHY, row.t_us)

    def _trust(self, row: Row, configuration_id: str) -> Trust:
        """Return the trust at event time: the worst over the mandatory inputs of the row."""
        observed, arrived = from_us(row.t_us), from_us(max(row.arrived_us, row.t_us))
        value = Trust(
            verdict=Verdict.FRESH,
            quality=Quality(row.severity),
            status_code=row.severity << 30,
            observed_at=observed,
            arrived_at=arrived,
            decision=self._context.decision,
            budget_s=self._context.budget_s,
            age_s=max(0.0, (arrived - observed).total_seconds()),
            configuration_version=configuration_id,
            model_version=self._version,
        )
        if configuration_id == NO_CONFIGURATION:
            value = value.degraded(Quality.UNCERTAIN, Reason("NO_CONFIGURATION"))
        return combine([value])

    def _speed(self, row: Row) -> float | None:
        signal: Signal | None = next(
            (s for s in self._at.profile.signals if s.role is Role.SPEED), None
        )
        return None if signal is None else row.values[self._index[signal.name]]

    def _become(self, state: State, t_us: int, *reasons: Reason) -> None:
        """Record a condition where it differs from the one in force."""
        at = self._at
        configuration_id = at.span.configuration_id if at.span else NO_CONFIGURATION
        item_id = at.item.work_item_id if at.item else ""
        now = at.condition
        if now is not None and (
            now.state,
            now.reasons,
            now.configuration_id,
            now.work_item_id,
            now.model_version,
        ) == (state, reasons, configuration_id, item_id, self._version):
            return
        condition = Condition(
            state=state,
            from_us=t_us,
            reasons=reasons,
            configuration_id=configuration_id,
            model_version=self._version,
            work_item_id=item_id,
            inputs_digest=at.inputs_digest,
        )
        at.condition = condition
        self._facts.append(
            ConditionChanged(
                condition,
                now.state if now else None,
                model_changed=now is not None and now.model_version != self._version,
            )
        )


def chained(digest: bytes, row: Row) -> bytes:
    """Return the digest of the rows so far and one more: what the row says, not when it came."""
    said = struct.pack(f"<qq{len(row.values)}d", row.t_us, row.severity, *row.values)
    return hashlib.sha256(digest + said).digest()
