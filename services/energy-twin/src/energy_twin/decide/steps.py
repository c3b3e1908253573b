"""Step functions of time: a reading holds until the next one, but not for ever."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from energy_twin.model.series import HOLD_CADENCES, Grades, Role, Series, SignalUse, Times, Values

POWER: Final = "power"
CURRENT_TIMES_VOLTAGE: Final = "current*voltage"

Inputs = dict[Role, tuple[SignalUse, Series]]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Pieces of constant power and flow, in order of time and without overlap.

    Attributes:
        starts_us: Start of each piece.
        ends_us: End of each piece, excluded.
        power_w: Electrical power, positive when the pump consumes it.
        flow_m3_per_s: Volume flow.
        grades: Worst severity of the readings that a piece was made of.
        source: How power was had.
        settled_us: Up to here every signal has been heard; readings in order change nothing before.
    """

    starts_us: Times
    ends_us: Times
    power_w: Values
    flow_m3_per_s: Values
    grades: Grades
    source: str
    settled_us: int

    @property
    def seconds(self) -> Values:
        """Length of each piece."""
        return (self.ends_us - self.starts_us) / 1e6

    def within(self, from_us: int, to_us: int) -> "Steps":
        """Return the pieces inside a window; those that cross its ends are cut."""
        starts = np.maximum(self.starts_us, from_us)
        ends = np.minimum(self.ends_us, to_us)
        kept = ends > starts
        return Steps(
            starts[kept],
            ends[kept],
            self.power_w[kept],
            self.flow_m3_per_s[kept],
            self.grades[kept],
            self.source,
            self.settled_us,
        )


def hold_us(use: SignalUse) -> int:
    """Return for how long a reading speaks when no other follows."""
    return max(1, round(HOLD_CADENCES * use.cadence_s * 1e6))


def steps_of(inputs: Inputs) -> Steps | None:
    """Return power and flow together; None where the asset does not measure both.

    A signal named power is taken as it is. Otherwise power is current x voltage: apparent power,
    which is an upper bound of the active power and equals it at a power factor of one. Specific
    energy and waste carry the same factor, as long as the power factor stays what it was.
    """
    if Role.FLOW not in inputs:
        return None
    if Role.POWER in inputs:
        factors, source = [Role.POWER], POWER
    elif Role.CURRENT in inputs and Role.VOLTAGE in inputs:
        factors, source = [Role.CURRENT, Role.VOLTAGE], CURRENT_TIMES_VOLTAGE
    else:
        return None
    chosen = [inputs[role] for role in (*factors, Role.FLOW)]
    bounds = np.unique(
        np.concatenate(
            [
                edge
                for use, series in chosen
                for edge in (series.times_us, series.times_us + hold_us(use))
            ]
        )
    )
    starts, ends = bounds[:-1], bounds[1:]
    held = [_held(use, series, starts) for use, series in chosen]
    known = np.logical_and.reduce([there for _, _, there in held])
    power = np.ones(starts.size)
    for values, _, _ in held[:-1]:
        power = power * values
    grades = np.maximum.reduce([grade for _, grade, _ in held])
    settled = min(int(series.times_us[-1]) if series.size else 0 for _, series in chosen)
    return Steps(
        starts[known],
        ends[known],
        power[known],
        held[-1][0][known],
        grades[known],
        source,
        settled,
    )


def _held(
    use: SignalUse, series: Series, at_us: Times
) -> tuple[Values, Grades, npt.NDArray[np.bool_]]:
    """Return value and grade of the last reading at each time, and whether it still speaks."""
    if series.size == 0:
        nothing = np.zeros(at_us.size)
        return nothing, nothing.astype(np.uint8), nothing.astype(bool)
    last = np.searchsorted(series.times_us, at_us, side="right") - 1
    found = np.maximum(last, 0)
    fresh = (last >= 0) & (at_us < series.times_us[found] + hold_us(use))
    return series.values[found], series.grades[found], fresh


def roles_used(uses: Iterable[SignalUse]) -> tuple[SignalUse, ...]:
    """Return the signals from which power and flow are had; a signal named power wins."""
    by_role = {use.role: use for use in sorted(uses, key=lambda use: use.signal_id)}
    wanted: tuple[Role, ...]
    if Role.POWER in by_role:
        wanted = (Role.POWER, Role.FLOW)
    else:
        wanted = (Role.CURRENT, Role.VOLTAGE, Role.FLOW)
    return tuple(by_role[role] for role in wanted if role in by_role)


def missing_roles(inputs: Inputs) -> tuple[Role, ...]:
    """Return what would have to be measured for power and flow to be known."""
    missing = [] if Role.FLOW in inputs else [Role.FLOW]
    if Role.POWER not in inputs:
        derived = [role for role in (Role.CURRENT, Role.VOLTAGE) if role not in inputs]
        missing += [Role.POWER] if len(derived) == 2 else derived
    return tuple(missing)
