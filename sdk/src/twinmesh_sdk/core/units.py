"""Units: what a source may send, the SI unit that is stored, and the line between the two.

Codes are case-sensitive UCUM ("The Unified Code for Units of Measure", version 2.2). Only the codes
listed here are accepted: a plant that needs another adds a line, and every service knows it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

_BAR: Final = 1e5
_POUND_FORCE_PER_SQUARE_INCH: Final = 6894.757293168361
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_LITRE: Final = 1e-3
_US_GALLON: Final = 3.785411784e-3
_STANDARD_GRAVITY: Final = 9.80665
_KELVIN_OF_ZERO_CELSIUS: Final = 273.15

# SI unit -> accepted code -> (scale, offset): si = source * scale + offset.
# Source: BIPM, The International System of Units, 9th edition, 2019 (exact definitions); NIST
# SP 811, 2008, appendix B.8, for psi, US gallon, horsepower, British thermal unit and foot.
_TABLE: Final[Mapping[str, Mapping[str, tuple[float, float]]]] = {
    "1": {"1": (1.0, 0.0), "%": (1e-2, 0.0), "[ppth]": (1e-3, 0.0), "[ppm]": (1e-6, 0.0)},
    "K": {
        "K": (1.0, 0.0),
        "Cel": (1.0, _KELVIN_OF_ZERO_CELSIUS),
        "[degF]": (5.0 / 9.0, _KELVIN_OF_ZERO_CELSIUS - 32.0 * 5.0 / 9.0),
    },
    "Pa": {
        "Pa": (1.0, 0.0),
        "hPa": (1e2, 0.0),
        "kPa": (1e3, 0.0),
        "MPa": (1e6, 0.0),
        "mbar": (1e-3 * _BAR, 0.0),
        "bar": (_BAR, 0.0),
        "[psi]": (_POUND_FORCE_PER_SQUARE_INCH, 0.0),
    },
    "m3/s": {
        "m3/s": (1.0, 0.0),
        "m3/min": (1.0 / _MINUTE, 0.0),
        "m3/h": (1.0 / _HOUR, 0.0),
        "L/s": (_LITRE, 0.0),
        "L/min": (_LITRE / _MINUTE, 0.0),
        "L/h": (_LITRE / _HOUR, 0.0),
        "[gal_us]/min": (_US_GALLON / _MINUTE, 0.0),
    },
    "m3": {"m3": (1.0, 0.0), "L": (_LITRE, 0.0), "[gal_us]": (_US_GALLON, 0.0)},
    "kg/s": {
        "kg/s": (1.0, 0.0),
        "kg/min": (1.0 / _MINUTE, 0.0),
        "kg/h": (1.0 / _HOUR, 0.0),
        "t/h": (1e3 / _HOUR, 0.0),
    },
    "kg": {"kg": (1.0, 0.0), "g": (1e-3, 0.0), "t": (1e3, 0.0)},
    "kg/m3": {"kg/m3": (1.0, 0.0), "g/L": (1.0, 0.0), "kg/L": (1e3, 0.0)},
    "W": {
        "W": (1.0, 0.0),
        "kW": (1e3, 0.0),
        "MW": (1e6, 0.0),
        "[HP]": (745.6998715822702, 0.0),
        "[Btu_IT]/h": (1055.05585262 / _HOUR, 0.0),
    },
    "V.A": {"V.A": (1.0, 0.0), "kV.A": (1e3, 0.0), "MV.A": (1e6, 0.0)},
    "J": {
        "J": (1.0, 0.0),
        "kJ": (1e3, 0.0),
        "MJ": (1e6, 0.0),
        "GJ": (1e9, 0.0),
        "W.h": (_HOUR, 0.0),
        "kW.h": (1e3 * _HOUR, 0.0),
        "MW.h": (1e6 * _HOUR, 0.0),
    },
    "W/m2": {"W/m2": (1.0, 0.0), "kW/m2": (1e3, 0.0)},
    "A": {"A": (1.0, 0.0), "mA": (1e-3, 0.0), "kA": (1e3, 0.0)},
    "V": {"V": (1.0, 0.0), "mV": (1e-3, 0.0), "kV": (1e3, 0.0)},
    "Ohm": {"Ohm": (1.0, 0.0), "kOhm": (1e3, 0.0), "MOhm": (1e6, 0.0)},
    "Hz": {
        "Hz": (1.0, 0.0),
        "kHz": (1e3, 0.0),
        "/s": (1.0, 0.0),
        "/min": (1.0 / _MINUTE, 0.0),
    },
    "m": {
        "m": (1.0, 0.0),
        "km": (1e3, 0.0),
        "cm": (1e-2, 0.0),
        "mm": (1e-3, 0.0),
        "um": (1e-6, 0.0),
        "[ft_i]": (0.3048, 0.0),
    },
    "m2": {"m2": (1.0, 0.0), "cm2": (1e-4, 0.0), "mm2": (1e-6, 0.0)},
    "m/s": {"m/s": (1.0, 0.0), "mm/s": (1e-3, 0.0), "km/h": (1.0 / 3.6, 0.0)},
    "m/s2": {"m/s2": (1.0, 0.0), "[g]": (_STANDARD_GRAVITY, 0.0), "mm/s2": (1e-3, 0.0)},
    "rad": {"rad": (1.0, 0.0), "deg": (math.pi / 180.0, 0.0)},
    "N": {"N": (1.0, 0.0), "kN": (1e3, 0.0)},
    "N.m": {"N.m": (1.0, 0.0), "kN.m": (1e3, 0.0)},
    "s": {
        "s": (1.0, 0.0),
        "ms": (1e-3, 0.0),
        "min": (_MINUTE, 0.0),
        "h": (_HOUR, 0.0),
        "d": (24.0 * _HOUR, 0.0),
    },
    "lx": {"lx": (1.0, 0.0)},
}

SI_UNITS: Final = frozenset(_TABLE)
"""Units that values are stored and sent in."""

_SI_OF: Final = {code: si for si, codes in _TABLE.items() for code in codes}

SOURCE_UNITS: Final = frozenset(_SI_OF)
"""Units that a source may send."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """The straight line from a source's unit to the SI unit: `si = source * scale + offset`.

    Attributes:
        unit: UCUM code of the SI unit.
        scale: SI units per source unit, > 0.
        offset: SI value of a zero in the source's unit; not zero for Celsius and Fahrenheit only.
    """

    unit: str
    scale: float
    offset: float

    def to_si(self, value: float) -> float:
        """Return `value` in the SI unit. A NumPy array is taken, and returned, alike.

        >>> conversion_of("L/min").to_si(60.0)
        0.001
        """
        return value * self.scale + self.offset

    def from_si(self, value: float) -> float:
        """Return an SI `value` in the source's unit; the inverse of `to_si`."""
        return (value - self.offset) / self.scale


def si_unit_of(source_unit: str) -> str:
    """Return the SI unit in which values of `source_unit` are stored.

    Raises:
        InvalidInputError: The unit is not in the table.
    """
    try:
        return _SI_OF[source_unit]
    except KeyError:
        raise InvalidInputError(
            f"unit {source_unit[:40]!r} is not known",
            hint="use a case-sensitive UCUM code such as " + ", ".join(sorted(_SI_OF)[:80]),
        ) from None


def conversion_of(source_unit: str, unit: str = "") -> Conversion:
    """Return how values of `source_unit` become SI values.

    Args:
        source_unit: UCUM code of what the source sends.
        unit: The SI unit that is wanted; empty takes the one of the same kind.

    Raises:
        InvalidInputError: A unit is not known, `unit` is not SI, or the two measure different kinds
            of quantity.
    """
    si = si_unit_of(source_unit)
    if unit and unit != si:
        if unit not in SI_UNITS:
            raise InvalidInputError(
                f"unit {unit[:40]!r} is not an SI unit that values are stored in",
                hint=f"values sent in {source_unit} are stored in {si}",
            )
        raise InvalidInputError(f"{source_unit} cannot be converted to {unit}, only to {si}")
    scale, offset = _TABLE[si][source_unit]
    return Conversion(unit=si, scale=scale, offset=offset)
