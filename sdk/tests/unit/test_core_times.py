"""Times, periods and plant time, for any input."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk import wire
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import (
    MAX_TIME,
    OPEN_US,
    Period,
    PlantTime,
    ReadTime,
    format_time,
    from_us,
    parse_time,
    to_us,
)
from twinmesh_sdk.testing.clock import START

MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants them naive
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@given(MOMENTS)
def test_microseconds_round_trip(moment):
    assert from_us(to_us(moment)) == moment


@given(MOMENTS, ZONES)
def test_text_round_trips_from_any_zone(moment, zone):
    assert parse_time(format_time(moment)) == moment
    assert parse_time(moment.astimezone(zone).isoformat()) == moment


@given(MOMENTS)
def test_protobuf_timestamps_round_trip(moment):
    assert wire.moment(wire.timestamp(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_text_sorts_like_time(one, other):
    assert (format_time(one) < format_time(other)) == (one < other)


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_invalid_input(text):
    with contextlib.suppress(InvalidInputError):
        assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2026-01-01T00:00:00", "2026-01-01", "", "1800-01-01T00:00:00Z", "now",
             "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"],
)  # fmt: skip
def test_a_time_without_zone_or_out_of_range_is_refused(text):
    with pytest.raises(InvalidInputError):
        parse_time(text)


def test_an_open_bound_is_the_end_of_time():
    assert from_us(OPEN_US) == MAX_TIME
    assert wire.timestamp_us(OPEN_US) is None
    assert ReadTime(START, START).known_at_us == OPEN_US - 1


def test_a_time_without_zone_has_no_microseconds():
    with pytest.raises(InvalidInputError):
        to_us(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@given(MOMENTS, st.integers(1, 10**6), MOMENTS)
def test_a_period_includes_its_start_and_excludes_its_end(start, length_s, moment):
    end = min(start + timedelta(seconds=length_s), MAX_TIME - timedelta(days=1))
    period = Period(start, max(start, end))

    assert period.contains(start) == (period.end > start)
    assert not period.contains(period.end)
    assert period.contains(moment) == (start <= moment < period.end)


@given(MOMENTS, st.integers(0, 10**6), MOMENTS, st.integers(0, 10**6))
def test_overlap_is_mutual(one, one_s, other, other_s):
    a, b = (Period(s, s + timedelta(seconds=n)) for s, n in ((one, one_s), (other, other_s)))

    assert a.overlaps(b) == b.overlaps(a)


@given(st.floats(0.001, 3600), st.integers(0, 10**15), st.integers(1, 10**12))
def test_plant_time_runs_forward(speed, wall_us, more_us):
    time = PlantTime(p0_us=0, speed=speed, w0_us=0)

    assert time.at(wall_us) <= time.at(wall_us + more_us)


@pytest.mark.parametrize("speed", [0.0, -1.0, 3601.0, float("nan")])
def test_a_clock_that_stands_or_runs_backwards_is_refused(speed):
    with pytest.raises(InvalidInputError):
        PlantTime(p0_us=0, speed=speed, w0_us=0)


def test_a_fields_arguments_override_the_times_of_the_request():
    times = ReadTime(START, START)
    earlier = START - timedelta(days=1)

    assert times.at(as_of=earlier) == ReadTime(START, earlier)
    assert times.at() == times
