"""The decision on recorded pump runs: each run's own first readings are its baseline."""

import csv
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from energy_twin.decide.learn import learn
from energy_twin.decide.steps import steps_of
from energy_twin.decide.waste import waste_in
from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline
from energy_twin.model.estimate import Window
from energy_twin.model.series import Role, Series, SignalUse
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import to_us

PUMP = AssetId("ast_01J0000000000000000000000A")
COLUMNS = {
    Role.CURRENT: ("Current", 1.0),
    Role.VOLTAGE: ("Voltage", 1.0),
    Role.FLOW: ("Volume Flow RateRMS", 1e-3 / 60),
}


@pytest.fixture
def recordings(pytestconfig):
    folder = Path(
        os.environ.get("TWINMESH_RECORDINGS", pytestconfig.rootpath.parent / "shared" / "data")
    )
    if not (folder / "skab").is_dir():
        pytest.skip(
            "needs the SKAB recordings: set TWINMESH_RECORDINGS, see docs/how-to/recordings.md"
        )
    return folder / "skab"


def read_run(path):
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    times = [to_us(datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC)) for row in rows]
    inputs = {
        role: (
            SignalUse(SignalId("sig_01J0000000000000000000000A"), str(role), role, 1.0),
            Series.merged(
                [
                    Series(
                        np.asarray(times, np.int64),
                        np.asarray([float(row[column]) * scale for row in rows]),
                        np.zeros(len(rows), np.uint8),
                    )
                ]
            ),
        )
        for role, (column, scale) in COLUMNS.items()
    }
    labels = np.asarray([float(row.get("anomaly") or 0) for row in rows])
    return times, inputs, labels


def waste_of(times, inputs, from_us, to_us_):
    period = ConfigurationPeriod("cfg", times[0])
    baseline = learn(inputs, period, readings=400)
    held = HeldBaseline(Baseline(Tenant("acme"), PUMP, period, baseline), 0)
    waste, _ = waste_in(steps_of(inputs), Window(PUMP, from_us, to_us_), [held])
    return baseline, waste


@pytest.mark.recordings
def test_every_run_gets_a_baseline_and_an_interval_and_strong_closings_waste_energy(recordings):
    wasted, starved = [], []
    for path in sorted((recordings / "valve1").glob("*.csv"), key=lambda p: int(p.stem)):
        times, inputs, labels = read_run(path)
        flow = inputs[Role.FLOW][1].values
        first = int(np.argmax(labels > 0))
        last = int(len(labels) - 1 - np.argmax(labels[::-1] > 0))
        baseline, waste = waste_of(times, inputs, times[first], times[last])
        healthy = flow[:400].mean()
        lost = 1.0 - flow[first:last].mean() / healthy
        print(
            f"{path.name}: {baseline.specific_energy_j_per_m3 / 3.6e6:.3f} kWh/m3, "
            f"flow -{lost:.1%}, "
            f"wasted {waste.wasted_j / 3600:.2f} Wh [{waste.lo90_j / 3600:.2f}, "
            f"{waste.hi90_j / 3600:.2f}]"
        )
        assert waste.lo90_j < waste.wasted_j < waste.hi90_j
        assert waste.covered_s > 0
        wasted.append(waste.lo90_j > 0)
        starved.append(lost > 0.09)

    assert len(wasted) == 16
    assert all(w for w, s in zip(wasted, starved, strict=True) if s)
    print(
        f"{sum(wasted)} of 16 windows waste energy beyond doubt, {sum(starved)} lost > 9 % of flow"
    )


@pytest.mark.recordings
def test_the_healthy_half_of_each_runs_start_wastes_nothing_beyond_doubt(recordings):
    beyond = 0
    for path in (recordings / "valve1").glob("*.csv"):
        times, inputs, labels = read_run(path)
        onset = int(np.argmax(labels > 0))
        _, waste = waste_of(times, inputs, times[400], times[onset])
        beyond += waste.lo90_j > 0 or waste.hi90_j < 0
    print(f"{beyond} of 16 healthy stretches lie outside their 90 % interval")
    assert beyond <= 6
