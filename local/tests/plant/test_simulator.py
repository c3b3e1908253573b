import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinmesh_local.plant import simulator
from twinmesh_local.plant.simulator import Fault, plan_episode, pump_rows
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.units import conversion_of

START_US = 1_795_000_000_000_000
seeds = st.integers(0, 2**63 - 1)


@given(seeds)
def test_an_episode_follows_from_its_seed(seed):
    one, other = (plan_episode(seed, start_us=START_US) for _ in range(2))
    assert one == other
    assert one.pump in simulator.PUMPS
    assert simulator.EARLIEST_ONSET_S <= one.onset_s <= simulator.LATEST_ONSET_S
    assert one.onset_us < one.end_us


@settings(max_examples=5, deadline=None)
@given(seeds)
def test_rows_follow_from_the_seed_to_the_last_digit(seed):
    episode = plan_episode(seed, start_us=START_US)
    for pump in simulator.PUMPS:
        one, other = pump_rows(episode, pump), pump_rows(episode, pump)
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.stamps, other.stamps)


def test_seeds_choose_every_pump_fault_and_many_onsets():
    episodes = [plan_episode(seed, start_us=START_US) for seed in range(200)]
    assert {episode.pump for episode in episodes} == set(simulator.PUMPS)
    assert {episode.fault for episode in episodes} == set(Fault)
    assert len({episode.onset_s for episode in episodes}) > 100


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(InvalidInputError):
        plan_episode(seed, start_us=START_US)


def means(episode, pump):
    """Return the mean of each signal before the onset and after the ramp."""
    values = pump_rows(episode, pump).values
    before = values[: episode.onset_s].mean(axis=0)
    after = values[episode.onset_s + simulator.RAMP_S :].mean(axis=0)
    names = [signal.name for signal in simulator.PUMP_SIGNALS]
    return dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True))


@pytest.mark.parametrize("fault", list(Fault))
def test_the_fault_shows_on_its_pump_and_the_other_one_stays_healthy(fault):
    seed = next(s for s in range(100) if plan_episode(s, start_us=0).fault is fault)
    episode = plan_episode(seed, start_us=START_US)
    healthy = next(pump for pump in simulator.PUMPS if pump != episode.pump)

    before, after = means(episode, episode.pump)
    assert after["flow"] < 0.95 * before["flow"]
    before, after = means(episode, healthy)
    assert after == pytest.approx(before, rel=0.02)


def test_a_closing_valve_starves_the_inlet_and_wear_does_not():
    chosen = {}
    for seed in range(100):
        episode = plan_episode(seed, start_us=START_US)
        chosen.setdefault(episode.fault, episode)
    valve, wear = chosen[Fault.INLET_VALVE_CLOSING], chosen[Fault.IMPELLER_WEAR]
    before, after = means(valve, valve.pump)
    assert after["suction_pressure"] < 0.85 * before["suction_pressure"]
    before, after = means(wear, wear.pump)
    assert after["suction_pressure"] >= before["suction_pressure"]


def test_every_value_lies_within_the_range_its_definition_declares():
    episode = plan_episode(3, start_us=START_US)
    tracks = [(simulator.PUMP_SIGNALS, pump_rows(episode, pump)) for pump in simulator.PUMPS]
    span = (episode.start_us, episode.end_us)
    tracks.append((simulator.BUILDING_SIGNALS, simulator.building_rows(*span)))
    tracks.append((simulator.STATION_SIGNALS, simulator.station_rows(*span)))
    for signals, track in tracks:
        assert track.stamps.size
        for signal, column in zip(signals, track.values.T, strict=True):
            line = conversion_of(signal.source_unit, signal.unit)
            stored = column * line.scale + line.offset
            low = -np.inf if signal.range_min is None else signal.range_min
            high = np.inf if signal.range_max is None else signal.range_max
            assert np.all((stored >= low) & (stored <= high)), signal.name


def test_a_meters_past_and_present_join_without_a_gap_or_a_repeat():
    episode = plan_episode(3, start_us=START_US)
    past = simulator.building_rows(episode.start_us - 10 * 86_400_000_000, episode.start_us)
    now = simulator.building_rows(episode.start_us, episode.end_us)
    stamps = np.concatenate([past.stamps, now.stamps])
    assert set(np.diff(stamps)) == {900_000_000}
    assert np.all(np.diff(np.concatenate([past.values[:, 0], now.values[:, 0]])) >= 0)


def test_the_plant_names_an_overhaul_as_the_pumps_configuration():
    episode = plan_episode(3, start_us=START_US)
    plant = simulator.plant_of(episode)
    assert {c.asset for c in plant.configurations} == set(simulator.PUMPS)
    assert {c.valid_from_us for c in plant.configurations} == {episode.start_us}
    assert all("fault" not in str(dict(c.attributes)).lower() for c in plant.configurations)
