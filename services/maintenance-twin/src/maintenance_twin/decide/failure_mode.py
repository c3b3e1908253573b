"""Name the failure mode from which signals left their healthy level, and where to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from maintenance_twin.model.signal import Role
from maintenance_twin.model.work_item import FailureMode

_LARGE_RATIO: Final = 0.10
_RESOLVED_SHARE: Final = 0.25
_DOMINANT: Final = 2.0


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far one role is off.

    Attributes:
        multiple: Signed, in multiples of the limit that matters.
        ratio: Signed, as a share of the healthy level.
        level_sd_ratio: How sharply the level is known, as a share of the healthy level.
    """

    multiple: float
    ratio: float
    level_sd_ratio: float


def failure_mode_of(
    deviations: Mapping[Role, Deviation], *, healthy_below: float = 1.0
) -> FailureMode:
    """Tell the failure mode, or UNK where the pattern fits none.

    `deviations` holds the largest deviation per role; one below `healthy_below` multiples of its
    limit counts as healthy.

    | what is off | code | why |
    |---|---|---|
    | vibration up, at least twice as far as flow | VIB | the machine, not the process |
    | temperature up, hydraulics healthy | OHE | |
    | suction pressure down, flow not up | PLU | resistance grew before the pump |
    | flow down, pressure up | PLU | resistance grew behind the pump |
    | flow down, pressure down, power not down | INL | work is done and does not arrive |
    | flow up, pressure down | ELP | less resistance: the medium leaves before the meter's end |
    | flow down | LOO | |
    | flow up | HIO | |
    | flow far off alone, while sharply known pressure and power do not answer | AIR | a pump's
      flow cannot move without them (affinity laws): look at the meter first |
    | pressure, power or current alone | PDE | |

    Source: codes of ISO 14224:2016, table B.6; the patterns follow Karassik et al., Pump Handbook,
    4th ed., chapter 12 (troubleshooting). They are rules of thumb, which is why a planner reads
    the evidence as well.
    """
    off = {role: _sign(d.multiple, healthy_below) for role, d in deviations.items()}
    flow, pressure = off.get(Role.FLOW, 0), off.get(Role.PRESSURE, 0)
    power = off.get(Role.POWER, 0) or off.get(Role.CURRENT, 0)
    reach = {role: abs(d.multiple) for role, d in deviations.items()}
    vibration = reach.get(Role.VIBRATION, 0.0) if off.get(Role.VIBRATION, 0) > 0 else 0.0
    if vibration > 0.0 and vibration >= _DOMINANT * (reach.get(Role.FLOW, 0.0) if flow else 0.0):
        return FailureMode.VIB
    if off.get(Role.SUCTION_PRESSURE, 0) < 0 and flow <= 0:
        return FailureMode.PLU
    if flow:
        return _hydraulic(flow, pressure, power, deviations)
    if off.get(Role.TEMPERATURE, 0) > 0:
        return FailureMode.OHE
    parameter = pressure or power or off.get(Role.SUCTION_PRESSURE, 0)
    return FailureMode.PDE if parameter else FailureMode.UNK


def _sign(multiple: float, healthy_below: float) -> int:
    return 0 if abs(multiple) < healthy_below else (1 if multiple > 0 else -1)


def _hydraulic(
    flow: int, pressure: int, power: int, deviations: Mapping[Role, Deviation]
) -> FailureMode:
    if not pressure and not power and _only_the_meter(deviations):
        return FailureMode.AIR
    if flow > 0:
        return FailureMode.ELP if pressure < 0 else FailureMode.HIO
    if pressure > 0:
        return FailureMode.PLU
    if pressure < 0 and power > 0:
        return FailureMode.INL
    return FailureMode.LOO


def _only_the_meter(deviations: Mapping[Role, Deviation]) -> bool:
    """Whether pressure and power would have shown the change, had it been real."""
    flow = abs(deviations[Role.FLOW].ratio)
    answering = [Role.PRESSURE, Role.POWER if Role.POWER in deviations else Role.CURRENT]
    return flow >= _LARGE_RATIO and all(
        role in deviations
        and deviations[role].level_sd_ratio <= _RESOLVED_SHARE * flow
        and abs(deviations[role].ratio) <= _RESOLVED_SHARE * flow
        for role in answering
    )
