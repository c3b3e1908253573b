"""A building with its weather: deterministic functions of absolute time, for any window.

Noise is a hash of the interval's number, not a running generator: the same interval has the same
energy whenever, and in whatever order, it is computed.
"""

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from twinmesh_local.plant.physics import Array
from twinmesh_sdk.core.times import from_us

Stamps = npt.NDArray[np.int64]
"""Starts of intervals, UTC microseconds."""

INTERVAL_S: Final = 900
ZONE: Final = "Europe/London"
METER_ZERO_US: Final = 1_704_067_200_000_000
"""The electricity register stood at zero on 2024-01-01 UTC."""

_DAY_US: Final = 86_400_000_000
_BASE_LOAD_W: Final = 18_000.0
_OCCUPIED_LOAD_W: Final = 62_000.0
_HEAT_LOSS_W_PER_K: Final = 4_200.0
_INDOOR_K: Final = 293.15
_FREE_GAINS_W: Final = 21_000.0
_BOILER_EFFICIENCY_RATIO: Final = 0.88


def hashed_normal(index: Stamps, *, stream: int) -> Array:
    """Return standard normal noise that depends on (index, stream) only.

    Source: splitmix64 (Steele, Lea, Flood 2014) for the bits, Box-Muller for the shape.
    """

    def uniform(salt: int) -> Array:
        bits = index.astype(np.uint64) + np.uint64((stream * 2 + salt) * 0x9E3779B97F4A7C15 % 2**64)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> np.uint64(31))
        return np.asarray((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53

    return np.asarray(np.sqrt(-2.0 * np.log(uniform(0))) * np.cos(2.0 * np.pi * uniform(1)))


def outdoor_temperature_k(stamps: Stamps) -> Array:
    """Return the outdoor air temperature: a year's wave, a day's wave, and weather of a few days.

    Source: amplitudes after the climate of southern England (year 14 K, day 8 K peak to peak).
    """
    day = stamps / _DAY_US
    year = np.cos(2.0 * np.pi * (day - 200.0) / 365.25)  # 1970-07-20 is near the warmest day
    hour = np.cos(2.0 * np.pi * (day - 15.0 / 24.0))
    spell = 2.5 * np.sin(2.0 * np.pi * day / 6.7) + 1.5 * np.sin(2.0 * np.pi * day / 2.9 + 1.0)
    return np.asarray(283.65 + 7.0 * year + 4.0 * hour + spell)


def irradiance_w_per_m2(stamps: Stamps) -> Array:
    """Return the global horizontal irradiance under a thin sky, 0 at night."""
    day = stamps / _DAY_US
    season = 0.55 + 0.45 * np.cos(2.0 * np.pi * (day - 172.0) / 365.25)
    height = np.cos(2.0 * np.pi * (day - 0.5)) - 0.6 * (1.0 - season)
    return np.asarray(np.maximum(height, 0.0) * 850.0 * season)


def occupancy_ratio(stamps: Stamps) -> Array:
    """Return the share of people present: working days from 8 to 18 o'clock, local time."""
    zone = ZoneInfo(ZONE)
    out = np.empty(stamps.size)
    for row, stamp in enumerate(stamps):
        local = from_us(int(stamp)).astimezone(zone)
        working = local.weekday() < 5 and 8 <= local.hour < 18
        out[row] = 1.0 if working else 0.05
    return out


def electricity_j(stamps: Stamps) -> Array:
    """Return the electrical energy of each interval; positive is consumed."""
    index = np.asarray(stamps // (INTERVAL_S * 1_000_000))
    noise = 1.0 + 0.03 * hashed_normal(index, stream=1)
    power = _BASE_LOAD_W + _OCCUPIED_LOAD_W * occupancy_ratio(stamps)
    return np.asarray(np.maximum(power * noise, 0.0) * INTERVAL_S)


def gas_j(stamps: Stamps) -> Array:
    """Return the energy of the gas burnt in each interval.

    Conserves energy: what the boiler delivers is what the envelope loses, less free gains.
    """
    index = np.asarray(stamps // (INTERVAL_S * 1_000_000))
    loss = _HEAT_LOSS_W_PER_K * (_INDOOR_K - outdoor_temperature_k(stamps))
    need = np.maximum(loss - _FREE_GAINS_W, 0.0)
    noise = 1.0 + 0.04 * hashed_normal(index, stream=2)
    return np.asarray(np.maximum(need * noise, 0.0) / _BOILER_EFFICIENCY_RATIO * INTERVAL_S)


def intervals(start_us: int, end_us: int) -> Stamps:
    """Return the starts of the whole intervals that begin in start..end."""
    step = INTERVAL_S * 1_000_000
    first = -(-start_us // step) * step
    return np.arange(first, end_us, step, dtype=np.int64)


def electricity_register_j(stamps: Stamps) -> Array:
    """Return the meter's register at the stamps: all energy since `METER_ZERO_US`."""
    if stamps.size == 0:
        return np.zeros(0)
    every = intervals(METER_ZERO_US, int(stamps[-1]))
    sums = np.concatenate([np.zeros(1), np.cumsum(electricity_j(every))])
    passed = np.searchsorted(every, stamps, side="left")
    return np.asarray(sums[passed])
