import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.decide.dedupe import Fate, fates
from telemetry.model.reading import StoredKeys


def decide(rows, stored=(), first_seq=100):
    """Rows are (signal, moment, value); stored rows have (…, raw_seq) on top."""
    return fates(
        signal_ix=np.array([r[0] for r in rows], np.int64),
        observed_us=np.array([r[1] for r in rows], np.int64),
        value=np.array([r[2] for r in rows], np.float64),
        source_status=np.zeros(len(rows), np.uint32),
        raw_seq=np.arange(first_seq, first_seq + len(rows), dtype=np.int64),
        raw_ix=np.zeros(len(rows), np.int64),
        stored=StoredKeys(
            signal_ix=np.array([r[0] for r in stored], np.int64),
            observed_us=np.array([r[1] for r in stored], np.int64),
            value=np.array([r[2] for r in stored], np.float64),
            source_status=np.zeros(len(stored), np.uint32),
            raw_seq=np.array([r[3] for r in stored], np.int64),
            raw_ix=np.zeros(len(stored), np.int64),
        ),
    )


def test_the_same_value_is_a_duplicate_another_one_a_correction():
    decided = decide([(0, 5, 1.0), (0, 5, 1.0), (0, 5, 2.0), (0, 6, 1.0), (1, 5, 1.0)])

    assert decided.fate.tolist() == [
        Fate.NEW,
        Fate.DUPLICATE,
        Fate.CORRECTION,
        Fate.NEW,
        Fate.NEW,
    ]
    assert decided.rank.tolist()[2] > decided.rank.tolist()[0]


def test_what_is_stored_decides_before_what_comes():
    decided = decide([(0, 5, 1.0), (0, 5, 2.0)], stored=[(0, 5, 2.0, 1), (0, 5, 3.0, 2)])

    assert decided.fate.tolist() == [Fate.CORRECTION, Fate.DUPLICATE]


def test_a_reading_delivered_again_is_its_own_earlier_self_not_a_duplicate():
    decided = decide([(0, 5, 1.0), (0, 5, 1.0)], stored=[(0, 5, 1.0, 100)])

    assert decided.fate.tolist() == [Fate.SELF, Fate.DUPLICATE]
    assert decided.insert.tolist() == [False, False]
    assert decided.stored.tolist() == [True, False]


def test_minus_zero_is_zero():
    assert decide([(0, 5, 0.0), (0, 5, -0.0)]).fate.tolist() == [Fate.NEW, Fate.DUPLICATE]


keys = st.tuples(st.integers(0, 2), st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.5]))


@given(rows=st.lists(keys, max_size=40), order=st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_what_is_kept_does_not_depend_on_repetition_or_order(rows, order):
    shuffled = list(rows)
    order.shuffle(shuffled)

    once = decide(rows)
    other = decide(shuffled)

    kept = {row for row, keep in zip(rows, once.insert, strict=True) if keep}
    kept_other = {row for row, keep in zip(shuffled, other.insert, strict=True) if keep}
    assert kept == kept_other == set(rows)
    assert int(once.insert.sum()) == int(other.insert.sum()) == len(set(rows))
    again = decide(
        shuffled, stored=[(*row, 1000 + n) for n, row in enumerate(sorted(kept))], first_seq=5000
    )
    assert not again.insert.any()


@given(rows=st.lists(keys, min_size=1, max_size=40), cut=st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_an_interrupted_attempt_changes_no_fate_but_to_self(rows, cut):
    whole = decide(rows)
    stored = [
        (*row, 100 + n)
        for n, (row, keep) in enumerate(zip(rows, whole.insert, strict=True))
        if keep and n < cut
    ]

    again = decide(rows, stored=stored)

    assert again.stored.tolist() == whole.stored.tolist()
    assert int(again.insert.sum()) == int(whole.insert.sum()) - len(stored)


@given(rows=st.lists(keys, max_size=40))
@settings(deadline=None)
def test_later_versions_of_a_key_are_recorded_later(rows):
    decided = decide(rows)
    seen = {}
    for row, keep, rank in zip(rows, decided.insert, decided.rank, strict=True):
        if keep:
            assert rank == seen.get(row[:2], -1) + 1
            seen[row[:2]] = rank
