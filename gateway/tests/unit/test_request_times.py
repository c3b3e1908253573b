from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.request_times import read_times, time_headers
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import parse_time

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.mark.parametrize("extensions", [None, {}, {"other": 1}, {"twinmesh": None}, []])
def test_without_wishes_the_plant_now_is_asked_for(extensions):
    times = read_times(extensions, plant_now=NOW)
    assert (times.now, times.as_of, times.known_at) == (NOW, NOW, None)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_times_asked_for_reach_the_headers_unchanged(as_of_s, known_s):
    as_of = NOW - timedelta(seconds=as_of_s)
    known = NOW - timedelta(seconds=known_s)
    wanted = {"twinmesh": {"asOf": as_of.isoformat(), "knownAt": known.isoformat()}}
    headers = time_headers(read_times(wanted, plant_now=NOW))
    assert parse_time(headers["tm-now"]) == NOW
    assert parse_time(headers["tm-as-of"]) == as_of
    assert parse_time(headers["tm-known-at"]) == known


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        "now",
        {"asof": "2026-01-01T00:00:00Z"},
        {"now": "2026-01-01T00:00:00Z"},
        {"asOf": 12},
        {"asOf": "2026-01-01T00:00:00"},
        {"knownAt": "yesterday"},
        {"knownAt": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_unusable_times_are_refused(wanted):
    with pytest.raises(InvalidInputError):
        read_times({"twinmesh": wanted}, plant_now=NOW)
