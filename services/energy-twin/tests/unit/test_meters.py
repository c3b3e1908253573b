from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_twin.decide.meters import IntervalStamp, count_days, local_days, zone_of
from energy_twin.model.series import Role, Series, SignalUse, role_of
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import SignalId
from twinmesh_sdk.core.times import parse_time, to_us

LONDON = zone_of("Europe/London")
HOUR_US = 3_600_000_000


def use(role):
    return SignalUse(SignalId("sig_01J0000000000000000000000A"), "electricity_energy", role, 3600.0)


def hourly(start, count, values):
    times = to_us(parse_time(start)) + np.arange(count, dtype=np.int64) * HOUR_US
    return Series(times, np.asarray(values, np.float64), np.zeros(count, np.uint8))


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)],
)
def test_a_local_day_is_as_long_as_the_clock_makes_it(day, hours):
    (only,) = local_days(day, day, LONDON)
    assert (only.to_us - only.from_us) == hours * HOUR_US


@pytest.mark.parametrize("role", [Role.METER_INTERVAL, Role.METER_COUNTER])
@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)]
)
def test_a_constant_load_counts_each_hour_of_the_day_once(role, day, hours):
    start = day.replace(day=day.day - 1) if day.day > 1 else date(2026, 5, 31)
    count = 24 * 4
    values = np.arange(count) * 3.6e6 if role is Role.METER_COUNTER else np.full(count, 3.6e6)
    series = hourly(f"{start.isoformat()}T00:00:00Z", count, values)

    (counted,) = count_days(use(role), series, local_days(day, day, LONDON), IntervalStamp.END)

    assert counted.energy_j == pytest.approx(hours * 3.6e6)
    assert counted.covered_s == pytest.approx(hours * 3600)
    assert not counted.uncertain


@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=200),
    st.sampled_from(list(IntervalStamp)),
    st.sampled_from(["UTC", "Europe/London", "Asia/Kolkata", "America/St_Johns"]),
)
def test_the_days_together_count_what_the_meter_counted(values, stamp, zone):
    series = hourly("2026-03-27T00:00:00Z", len(values), values)
    days = local_days(date(2026, 3, 25), date(2026, 4, 8), zone_of(zone))

    counted = count_days(use(Role.METER_INTERVAL), series, days, stamp)

    assert sum(c.energy_j for c in counted) == pytest.approx(sum(values), rel=1e-9, abs=1e-6)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=100))
def test_a_register_counts_its_increments(increments):
    register = np.cumsum(increments)
    series = hourly("2026-03-27T00:00:00Z", len(increments), register)
    days = local_days(date(2026, 3, 25), date(2026, 4, 8), LONDON)

    counted = count_days(use(Role.METER_COUNTER), series, days, IntervalStamp.END)

    assert sum(c.energy_j for c in counted) == pytest.approx(
        register[-1] - register[0], rel=1e-9, abs=1e-3
    )


def test_a_register_that_starts_again_is_counted_from_zero_and_doubted():
    series = hourly("2026-06-01T00:00:00Z", 3, [100.0, 150.0, 20.0])
    (counted,) = count_days(
        use(Role.METER_COUNTER),
        series,
        local_days(date(2026, 6, 1), date(2026, 6, 1), zone_of("")),
        IntervalStamp.END,
    )
    assert counted.energy_j == pytest.approx(70.0)
    assert counted.uncertain


def test_a_hole_in_a_register_is_counted_but_not_covered():
    series = hourly("2026-06-01T00:00:00Z", 20, np.arange(20.0))
    hole = Series(series.times_us[[0, 1, 19]], series.values[[0, 1, 19]], series.grades[:3])
    (counted,) = count_days(
        use(Role.METER_COUNTER),
        hole,
        local_days(date(2026, 6, 1), date(2026, 6, 1), zone_of("")),
        IntervalStamp.END,
    )
    assert counted.energy_j == pytest.approx(19.0)
    assert counted.covered_s == 3600.0


def test_a_meter_without_readings_counts_nothing():
    for role in (Role.METER_COUNTER, Role.METER_INTERVAL):
        (counted,) = count_days(
            use(role),
            Series.empty(),
            local_days(date(2026, 6, 1), date(2026, 6, 1), LONDON),
            IntervalStamp.END,
        )
        assert (counted.energy_j, counted.covered_s) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2026, 2, 1), date(2026, 1, 1)),
        (date(2020, 1, 1), date(2026, 1, 1)),
        (date.max, date.max),
    ],
)
def test_an_impossible_range_of_days_is_refused(first, last):
    with pytest.raises(InvalidInputError):
        local_days(first, last, LONDON)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "x" * 300])
def test_an_unknown_zone_is_refused(name):
    with pytest.raises(InvalidInputError, match="unknown"):
        zone_of(name)


@pytest.mark.parametrize(
    ("name", "unit", "kind", "role"),
    [
        ("power", "W", "gauge", Role.POWER),
        ("power", "V.A", "gauge", None),
        ("flow", "m3/s", "gauge", Role.FLOW),
        ("electricity_energy", "J", "counter", Role.METER_COUNTER),
        ("gas_energy", "J", "gauge", Role.METER_INTERVAL),
        ("vibration", "m/s", "gauge", None),
    ],
)
def test_a_signal_is_known_by_its_name_and_unit(name, unit, kind, role):
    assert role_of(name, unit, kind) is role
