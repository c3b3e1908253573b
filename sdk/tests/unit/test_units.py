import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.units import SI_UNITS, SOURCE_UNITS, conversion_of, si_unit_of

units = st.sampled_from(sorted(SOURCE_UNITS))
values = st.floats(min_value=-1e9, max_value=1e9)


@given(units, values)
def test_a_value_survives_the_way_to_si_and_back(unit, value):
    conversion = conversion_of(unit)
    back = conversion.from_si(conversion.to_si(value))
    assert math.isclose(back, value, rel_tol=1e-9, abs_tol=1e-9 + 1e-12 * 300 / conversion.scale)


@given(units, values, values)
def test_a_conversion_keeps_the_order(unit, one, other):
    conversion = conversion_of(unit)
    if one < other:
        assert conversion.to_si(one) <= conversion.to_si(other)


@pytest.mark.parametrize("unit", sorted(SI_UNITS))
def test_an_si_unit_is_its_own(unit):
    conversion = conversion_of(unit)
    assert (conversion.unit, conversion.scale, conversion.offset) == (unit, 1.0, 0.0)


@pytest.mark.parametrize(
    ("unit", "value", "si", "expected"),
    [
        ("Cel", 25.0, "K", 298.15),
        ("[degF]", 212.0, "K", 373.15),
        ("L/min", 60.0, "m3/s", 1e-3),
        ("bar", 1.5, "Pa", 150_000.0),
        ("kW.h", 1.0, "J", 3.6e6),
        ("/min", 3000.0, "Hz", 50.0),
        ("[g]", 1.0, "m/s2", 9.80665),
        ("%", 40.0, "1", 0.4),
    ],
)
def test_known_pairs_agree(unit, value, si, expected):
    conversion = conversion_of(unit, si)
    assert conversion.to_si(value) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unit", ["", "celsius", "l/min", "KW", "x" * 500])
def test_an_unknown_unit_is_refused(unit):
    with pytest.raises(InvalidInputError, match="not known"):
        si_unit_of(unit)


def test_a_unit_of_another_kind_is_refused_with_the_right_one():
    with pytest.raises(InvalidInputError, match="only to K"):
        conversion_of("Cel", "Pa")
    with pytest.raises(InvalidInputError, match="not an SI unit"):
        conversion_of("Cel", "[degF]")
