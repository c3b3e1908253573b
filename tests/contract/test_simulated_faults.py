"""What the simulator breaks, the condition model finds; what it leaves healthy stays silent."""

import pytest

from maintenance_twin.decide.align import Alignment
from maintenance_twin.decide.evaluate import Context, Evaluation, Evaluator, WorkItemOpened
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.release import Releases
from maintenance_twin.model.row import Reading
from maintenance_twin.model.signal import Profile, Signal, role_of
from maintenance_twin.model.tuning import DEFAULT, US
from twinmesh_local.plant import simulator
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.core.units import conversion_of

START_US = 1_767_600_000_000_000
SIGNALS = sorted(simulator.PUMP_SIGNALS, key=lambda spec: spec.name)
PROFILE = Profile(
    asset_id=AssetId("ast_" + "0" * 26),
    asset_class="pump",
    signals=tuple(
        Signal(SignalId(f"sig_{index:026d}"), spec.name, spec.unit, role, spec.cadence_s)
        for index, spec in enumerate(SIGNALS)
        if (role := role_of(spec.name, spec.unit)) is not None
    ),
)


def opened(episode, pump):
    """Return the stamps at which the condition model opens items on a pump's rows."""
    track = simulator.pump_rows(episode, pump)
    columns = {
        spec.name: conversion_of(spec.source_unit, spec.unit).to_si(track.values[:, index])
        for index, spec in enumerate(simulator.PUMP_SIGNALS)
    }
    readings = [
        Reading(name=name, observed_us=int(stamp), value=float(column[row]), arrived_us=int(stamp))
        for row, stamp in enumerate(track.stamps)
        for name, column in columns.items()
    ]
    configurations = Configurations.of([Span(episode.start_us, OPEN_US, "cfg_" + "0" * 26)])
    evaluator = Evaluator(
        Evaluation(profile=PROFILE, configurations=configurations),
        Context(Tenant("acme"), Releases.always("1.0.0"), DEFAULT),
    )
    alignment = Alignment(
        names=tuple(signal.name for signal in PROFILE.signals),
        row_us=PROFILE.row_us,
        lateness_us=round(DEFAULT.lateness_s * US),
    )
    facts = evaluator.advance(alignment.add(readings))
    return [fact.item.opened_us for fact in facts if isinstance(fact, WorkItemOpened)]


@pytest.mark.parametrize("seed", range(8))
def test_the_fault_is_found_once_after_its_onset_and_the_healthy_pump_stays_silent(seed):
    episode = simulator.plan_episode(seed, start_us=START_US)
    for pump in simulator.PUMPS:
        found = opened(episode, pump)
        if pump == episode.pump:
            assert len(found) == 1
            assert episode.onset_us <= found[0] < episode.end_us
        else:
            assert found == []
