import pytest

from telemetry.decide.pipeline import Backlog, last_moving_hop, silence_limit_us
from telemetry.model.pipeline import Hop, Movement

NOW = 1_767_225_600_000_000
OLD = NOW - 60_000_000
IDLE = Backlog(waiting=0, head_us=NOW)


def moved(**hops):
    base = dict.fromkeys(("door_us", "stream_us", "resolve_us", "store_us", "publish_us"), OLD)
    return Movement("acme", "skid", **(base | hops))


@pytest.mark.parametrize(
    ("movement", "backlog", "hop"),
    [
        (moved(publish_us=NOW), IDLE, None),
        (moved(), IDLE, Hop.SOURCE),
        (moved(), Backlog(waiting=5, head_us=OLD), Hop.STREAM),
        (moved(stream_us=NOW, door_us=NOW), IDLE, Hop.STREAM),
        (moved(stream_us=NOW, resolve_us=NOW), IDLE, Hop.RESOLVE),
        (moved(stream_us=NOW, resolve_us=NOW, store_us=NOW), IDLE, Hop.STORE),
    ],
)
def test_the_last_hop_that_the_missing_data_reached_is_named(movement, backlog, hop):
    assert last_moving_hop(movement, now_us=NOW, limit_us=5_000_000, backlog=backlog) is hop


def test_silence_is_three_cadences_but_never_less_than_the_clock_resolves(signal):
    assert silence_limit_us([signal(cadence_s=10.0)], 1.0) == 30_000_000
    assert silence_limit_us([signal(cadence_s=10.0)], 60.0) == 5_000_000
    assert silence_limit_us([signal(cadence_s=0.0)], 1.0) is None
    assert silence_limit_us([], 1.0) is None
