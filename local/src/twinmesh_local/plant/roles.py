"""The table of roles: which column of a recording is which signal, in which unit.

A column is recognised by what its header says it measures, wherever it stands and whatever the file
is called. Headers that nothing here knows become plain signals, unitless, under their own name.
"""

import re
from dataclasses import dataclass
from typing import Final

_PLAIN: Final = re.compile(r"[^a-z0-9]+")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_BRACKETS: Final = re.compile(r"[\[(]([^\])]{1,40})[\])]\s*$")
LABELS: Final = ("anomaly", "changepoint", "label", "groundtruth")
"""Headers that begin so are answers, not measurements: they never leave the replayer."""

STAMPS: Final = (
    "datetime", "timestamp", "timestamputc", "datetimeutc", "time", "timeutc", "date", "ts",
)  # fmt: skip
UTC_ZONE: Final = "UTC"
"""Zone-less stamps of recordings are declared UTC, in the signal definitions."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a column measures.

    Attributes:
        header: Matches the header's lower-case letters and digits; a group is a sensor's number.
        signal: Its name on the asset; `{}` takes the number.
        source_unit: UCUM, of the recording, unless the header names one.
        range_min: Physical bounds of such a sensor in the stored unit, wide on purpose.
    """

    header: re.Pattern[str]
    signal: str
    source_unit: str
    unit: str
    range_min: float | None
    range_max: float | None


def _role(
    header: str, signal: str, units: tuple[str, str], bounds: tuple[float | None, float | None]
) -> Role:
    return Role(re.compile(header), signal, *units, *bounds)


SKID_ROLES: Final = (
    _role(r"accelerometer(\d*)(rms)?", "vibration_{}", ("[g]", "m/s2"), (-1e4, 1e4)),
    _role(r"(?:motor)?current(?:rms)?", "current", ("A", "A"), (-1e4, 1e4)),
    _role(r"pressure(?:rms)?", "pressure", ("bar", "Pa"), (-1e6, 1e8)),
    _role(r"temperature(?:rms)?", "temperature", ("Cel", "K"), (173.15, 773.15)),
    _role(r"thermocouple(?:rms)?", "fluid_temperature", ("Cel", "K"), (173.15, 773.15)),
    _role(r"voltage(?:rms)?", "voltage", ("V", "V"), (-1e5, 1e5)),
    _role(r"(?:volume)?flow(?:rate)?(?:rms)?", "flow", ("L/min", "m3/s"), (-10.0, 10.0)),
)
"""Pump skids. Units as the Skoltech Anomaly Benchmark documents them: g, A, bar, degrees Celsius
(engine body, fluid), V, litres per minute."""

WEATHER_ROLES: Final = (
    _role(r"airtemperature", "air_temperature", ("Cel", "K"), (173.15, 373.15)),
    _role(r"(?:rltvhum|relativehumidity)", "relative_humidity", ("%", "1"), (-0.05, 1.2)),
    _role(
        r"(?:glblirad(?:amt)?|globalirradiance|irradiance)",
        "solar_irradiance",
        ("W/m2", "W/m2"),
        (-50.0, 2000.0),
    ),
)

METER_ROLES: Final = (
    _role(r"electricity", "electricity_energy", ("kW.h", "J"), (None, None)),
    _role(r"gas", "gas_energy", ("kW.h", "J"), (None, None)),
    _role(r"heat(?:ing)?", "heat_energy", ("kW.h", "J"), (None, None)),
    _role(r"(?:cooling|chilledwater)", "cooling_energy", ("kW.h", "J"), (None, None)),
)
"""Interval energy of buildings; a table's name begins with the quantity and has the unit later."""

UNITS: Final = {
    "degc": "Cel", "c": "Cel", "°c": "Cel", "k": "K", "%": "%", "w/m2": "W/m2", "w/m^2": "W/m2",
    "kwh": "kW.h", "mwh": "MW.h", "wh": "W.h", "j": "J", "bar": "bar", "pa": "Pa", "kpa": "kPa",
    "a": "A", "v": "V", "w": "W", "kw": "kW", "l/min": "L/min", "m3/h": "m3/h", "m3/s": "m3/s",
    "g": "[g]", "m/s2": "m/s2", "mm/s": "mm/s", "m/s": "m/s", "hz": "Hz",
}  # fmt: skip
"""Units that headers and table names write, and their UCUM codes."""


def plain(header: str) -> str:
    """Return a header's letters and digits in lower case, without a unit in brackets."""
    return _PLAIN.sub("", _BRACKETS.sub("", header.strip()).lower())


def unit_in(header: str) -> str | None:
    """Return the UCUM code of the unit in brackets at the header's end; None if we know none."""
    found = _BRACKETS.search(header.strip())
    return UNITS.get(found[1].strip().lower()) if found else None


def has_brackets(header: str) -> bool:
    """Tell whether the header ends in a unit in brackets, known or not."""
    return _BRACKETS.search(header.strip()) is not None


def is_label(header: str) -> bool:
    """Tell whether a column holds answers."""
    return plain(header).startswith(LABELS)


def is_stamp(header: str) -> bool:
    """Tell whether a column holds the rows' times."""
    return plain(header) in STAMPS


def token(text: str) -> str:
    """Return `text` as one token of a topic: other characters become `_`; at most 64."""
    return _UNSAFE.sub("_", text.strip()).strip("_")[:64] or "unnamed"


def find_role(header: str, roles: tuple[Role, ...]) -> tuple[Role, str] | None:
    """Return the role of a column and the signal's name, or None for a plain one."""
    words = plain(header)
    for role in roles:
        if match := role.header.fullmatch(words):
            number = match[1] if match.lastindex else ""
            return role, role.signal.format(number or "1")
    return None
