import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.decide.checks import REASONS, arrival_flags, range_status, refusals
from telemetry.model import quality
from telemetry.model.quarantine import Reason
from telemetry.model.reading import Flag

NOW = 1_767_225_600_000_000
anything = st.floats(allow_nan=True, allow_infinity=True)


def reason_of(value, ahead_us=0):
    code = refusals(
        value=np.array([value]),
        observed_us=np.array([NOW + ahead_us]),
        arrived_us=np.array([NOW]),
        tolerance_us=np.array([60_000_000]),
        max_age_us=86_400_000_000,
    )
    return REASONS[int(code[0])]


def test_each_refusal_has_its_reason():
    assert reason_of(1.0) is None
    assert reason_of(float("nan")) is Reason.NOT_A_NUMBER
    assert reason_of(float("-inf")) is Reason.NOT_A_NUMBER
    assert reason_of(1.0, 60_000_001) is Reason.FUTURE
    assert reason_of(1.0, 60_000_000) is None
    assert reason_of(1.0, -86_400_000_001) is Reason.TOO_OLD


@given(value=anything, ahead=st.integers(-(10**15), 10**15))
def test_the_check_is_total_and_passes_only_numbers(value, ahead):
    reason = reason_of(value, ahead)
    if reason is None:
        assert np.isfinite(value)


@given(value=st.floats(allow_nan=False), source=st.sampled_from([0, 0x40900000, 0x808C0000]))
def test_out_of_range_is_bad_and_never_hides_what_the_source_said(value, source):
    status = int(
        range_status(
            value=np.array([value]),
            source_status=np.array([source], np.uint32),
            range_min=np.array([0.0]),
            range_max=np.array([10.0]),
        )[0]
    )
    if 0.0 <= value <= 10.0 or source >= quality.BAD:
        assert status == source
    else:
        assert status == quality.BAD_OUT_OF_RANGE


def test_late_and_backfilled_are_told_apart():
    flags = arrival_flags(
        observed_us=np.array([NOW, NOW - 4_000_000, NOW - 4_000_000, NOW - 4_000_000]),
        arrived_us=np.full(4, NOW),
        cadence_us=np.array([1_000_000, 1_000_000, 0, 1_000_000]),
        behind=np.array([False, False, True, True]),
    )
    assert flags.tolist() == [0, Flag.LATE, Flag.BACKFILLED, Flag.LATE | Flag.BACKFILLED]
