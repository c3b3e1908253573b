"""An output names its inputs: the same readings have the same digest, any other ones another."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from energy_twin.decide.digest import digest_of, digest_of_all

columns = st.lists(
    st.lists(st.floats(allow_nan=False), max_size=5).map(lambda v: np.array(v, np.float64)),
    max_size=3,
)


@given(columns, columns)
def test_windows_are_told_apart_by_what_they_hold(one, other):
    same = len(one) == len(other) and all(
        a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=False)
    )

    assert (digest_of(*one) == digest_of(*other)) is same


def test_where_a_window_ends_is_part_of_it():
    whole, first, second = (np.array(v, np.float64) for v in ([1, 2, 3], [1, 2], [3]))

    assert digest_of_all([[whole]]) != digest_of_all([[first], [second]])
    assert digest_of(np.array([1, 2])).startswith("sha256:")
