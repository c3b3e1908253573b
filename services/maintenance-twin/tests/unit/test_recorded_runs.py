"""S1 offline: the science on recorded runs. The labels are read here and nowhere else."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from maintenance_twin.decide.align import Alignment
from maintenance_twin.decide.evaluate import (
    Context,
    Evaluation,
    Evaluator,
    WorkItemClosed,
    WorkItemOpened,
)
from maintenance_twin.model.condition import State
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.release import Releases
from maintenance_twin.model.tuning import DEFAULT, US, Tuning
from maintenance_twin.model.work_item import CloseReason, FailureMode
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import OPEN_US

pytestmark = pytest.mark.recordings
TENANT = Tenant("acme")
FLUSH_US = 10 * US


def cfg(index: int) -> str:
    return f"cfg_{index:026d}"


def versions(runs) -> Configurations:
    """Each run is a configuration version of one skid, from its first row to the next run's."""
    starts = [run.times_us[0] for run in runs] + [OPEN_US]
    return Configurations.of(
        Span(start, end, cfg(index)) for index, (start, end) in enumerate(pairwise(starts))
    )


def replay(skid, runs, tuning: Tuning = DEFAULT):
    evaluation = Evaluation(profile=skid, configurations=versions(runs))
    evaluator = Evaluator(evaluation, Context(TENANT, Releases.always("1.0.0"), tuning))
    alignment = Alignment(
        names=tuple(s.name for s in skid.signals),
        row_us=skid.row_us,
        lateness_us=round(tuning.lateness_s * US),
    )
    facts = []
    for run in runs:
        facts.extend(evaluator.advance(alignment.add(run.readings())))
    return facts, evaluation


def opened(facts):
    return [f.item for f in facts if isinstance(f, WorkItemOpened)]


def closed(facts):
    return {f.item.work_item_id: f.item for f in facts if isinstance(f, WorkItemClosed)}


@dataclass(frozen=True)
class Score:
    good: int
    early: int
    rows: list[str]


def score(runs, facts) -> Score:
    items, ends, good, early, rows = opened(facts), closed(facts), 0, 0, []
    for index, run in enumerate(runs):
        own = [i for i in items if i.configuration_id == cfg(index)]
        before = [i for i in own if i.opened_us < run.labelled_start_us]
        early += bool(before)
        good += len(own) == 1 and not before
        start, end = run.row_at(run.labelled_start_us), run.row_at(run.labelled_end_us)
        told = "; ".join(
            f"opened row {run.row_at(i.opened_us)} {i.failure_mode.value} "
            f"p={i.probability.value:.3f} top={i.evidence[0].signal} "
            f"closed {ends[i.work_item_id].close_reason if i.work_item_id in ends else 'no'}"
            for i in own
        )
        rows.append(f"run {run.name:>2}: labelled {start}..{end}: {told or 'none'}")
    return Score(good, early, rows)


def test_valve_runs_open_one_item_after_the_labelled_start(skid, valve_runs):
    facts, _ = replay(skid, valve_runs)

    result = score(valve_runs, facts)

    print("\n".join(result.rows))
    print(f"exactly one after the start: {result.good} of 16; before it: {result.early}")
    assert result.good >= 15
    assert result.early == 0


def test_the_anomaly_free_run_opens_nothing(skid, anomaly_free_run):
    facts, evaluation = replay(skid, [anomaly_free_run])

    assert opened(facts) == []
    assert evaluation.condition.state is State.HEALTHY


def test_items_say_everything_a_planner_needs(skid, valve_runs):
    facts, _ = replay(skid, valve_runs)

    for item in opened(facts):
        assert item.failure_mode is FailureMode.LOO
        assert 0.0 <= item.probability.value <= 1.0
        assert item.probability.calibration == "NONE"
        assert sum(e.share for e in item.evidence) == pytest.approx(1.0)
        assert item.evidence[0].signal == "volume_flow_raterms"
        assert item.evidence[0].direction.value == "BELOW"
        assert item.configuration_id
        assert item.trust.model_version == "1.0.0"
        assert item.onset_us <= item.opened_us


def test_every_item_closes_by_recovery_or_by_the_next_configuration(skid, valve_runs):
    facts, evaluation = replay(skid, valve_runs)

    still_open = [] if evaluation.item is None else [evaluation.item.work_item_id]
    reasons = {c.close_reason for c in closed(facts).values()}

    assert len(opened(facts)) == len(closed(facts)) + len(still_open)
    assert CloseReason.RECOVERED in reasons


def test_replaying_the_same_runs_again_opens_nothing_twice(skid, valve_runs):
    once, _ = replay(skid, valve_runs)
    alignment = Alignment(
        names=tuple(s.name for s in skid.signals), row_us=skid.row_us, lateness_us=5 * US
    )
    readings = [reading for run in valve_runs for reading in run.readings()]

    first = alignment.add(readings)
    again = alignment.add(readings)

    assert len(first) > 18_000
    assert again == []
    assert [i.work_item_id for i in opened(once)] == [
        i.work_item_id for i in opened(replay(skid, valve_runs)[0])
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"reference_s": 600.0},
        {"reference_s": 1200.0},
        {"level_s": 25.0},
        {"level_s": 40.0},
        {"persistence_s": 150.0},
        {"persistence_s": 240.0},
        {"persistence_share": 0.65},
        {"persistence_share": 0.85},
        {"release_ratio": 0.4},
        {"release_ratio": 0.6},
        {"least_spread": 0.75},
        {"least_spread": 1.25},
        {"false_alarm_probability": 1e-2},
        {"false_alarm_probability": 1e-4},
        {"baseline_rows": 350},
        {"baseline_rows": 450},
    ],
    ids=lambda change: "-".join(f"{k}={v:g}" for k, v in change.items()),
)
def test_the_result_does_not_hang_on_a_constant(skid, valve_runs, anomaly_free_run, change):
    tuning = replace(Tuning(), **change)

    result = score(valve_runs, replay(skid, valve_runs, tuning)[0])
    quiet = opened(replay(skid, [anomaly_free_run], tuning)[0])

    print(f"{change}: {result.good} of 16, {result.early} early, {len(quiet)} on anomaly-free")
    assert result.good >= 14
    assert result.early == 0
    assert len(quiet) <= 1
