import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.decide.runs import along_signals
from telemetry.model import quality
from telemetry.model.reading import Tail


def judge(values, *, sequences=None, moments=None, stuck_after=3, tails=None):
    count = len(values)
    return along_signals(
        signal_ix=np.zeros(count, np.int64),
        observed_us=np.array(moments or range(count), np.int64),
        value=np.array(values, np.float64),
        sequence=np.array(sequences or [-1] * count, np.int64),
        status=np.zeros(count, np.uint32),
        stuck_after=np.full(count, stuck_after, np.int64),
        tails=tails or {},
    )


def test_a_value_that_repeats_too_often_is_uncertain_from_then_on():
    run = judge([1, 2, 2, 2, 2, 3])

    assert run.repeats.tolist() == [0, 0, 1, 2, 3, 0]
    stuck = quality.UNCERTAIN_SENSOR_NOT_ACCURATE
    assert run.status.tolist() == [0, 0, 0, 0, stuck, 0]


def test_a_signal_without_a_limit_is_never_stuck():
    assert not judge([5] * 50, stuck_after=0).status.any()


def test_a_gateway_that_restamps_is_found_within_three_cadences_and_its_age_grows():
    run = judge([4, 4, 4, 4, 5], sequences=[7, 7, 7, 7, 8], moments=[10, 20, 30, 40, 50])

    assert run.advanced_us.tolist() == [10, 10, 10, 10, 50]
    flagged = quality.UNCERTAIN_LAST_USABLE_VALUE
    assert run.status.tolist() == [0, 0, flagged, flagged, 0]


values = st.lists(st.sampled_from([1.0, 2.0]), min_size=2, max_size=30)


@given(values=values, cut=st.integers(1, 29), data=st.data())
def test_where_batches_are_cut_changes_nothing(values, cut, data):
    cut = min(cut, len(values) - 1)
    sequences = sorted(data.draw(st.lists(st.integers(0, 5), min_size=len(values), max_size=30)))
    sequences = sequences[: len(values)]
    moments = [10 * n for n in range(len(values))]
    whole = judge(values, sequences=sequences, moments=moments)

    head = judge(values[:cut], sequences=sequences[:cut], moments=moments[:cut])
    tail = Tail(
        observed_us=moments[cut - 1],
        value=values[cut - 1],
        sequence=sequences[cut - 1],
        advanced_us=int(head.advanced_us[-1]),
        repeats=int(head.repeats[-1]),
    )
    rest = judge(values[cut:], sequences=sequences[cut:], moments=moments[cut:], tails={0: tail})

    for column in ("status", "repeats", "advanced_us"):
        joined = getattr(head, column).tolist() + getattr(rest, column).tolist()
        assert joined == getattr(whole, column).tolist()
