"""How large a deviation must be to matter, per role: from standards, not from the recordings."""

from dataclasses import dataclass
from typing import Final

from maintenance_twin.model.signal import Role


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Two limits per role, both against the healthy level.

    Attributes:
        resolvable_ratio: Smallest *sudden* change that acceptance-grade instruments can tell, as a
            share of the level. A smaller step is statistics, not maintenance.
        acceptable_ratio: Largest *slow* departure that acceptance still tolerates, as a share.
        acceptable: The same in the signal's own unit, where a share makes no sense.
        upward_only: Whether only an increase is a fault.
    """

    resolvable_ratio: float
    acceptable_ratio: float
    acceptable: float = 0.0
    upward_only: bool = False


TOLERANCES: Final = {
    Role.FLOW: Tolerance(resolvable_ratio=0.020, acceptable_ratio=0.05),
    Role.PRESSURE: Tolerance(resolvable_ratio=0.015, acceptable_ratio=0.03),
    Role.SUCTION_PRESSURE: Tolerance(resolvable_ratio=0.015, acceptable_ratio=0.03),
    Role.POWER: Tolerance(resolvable_ratio=0.015, acceptable_ratio=0.04),
    Role.CURRENT: Tolerance(resolvable_ratio=0.015, acceptable_ratio=0.04),
    Role.VIBRATION: Tolerance(resolvable_ratio=0.10, acceptable_ratio=0.25),
    Role.TEMPERATURE: Tolerance(
        resolvable_ratio=0.0, acceptable_ratio=0.0, acceptable=10.0, upward_only=True
    ),
}
"""Source:
    Flow, pressure (head), power: ISO 9906:2012. `resolvable` is the permitted overall measurement
    uncertainty of grade 1 (flow 2.0 %, head 1.5 %, power 1.5 %), `acceptable` the tolerance of
    acceptance grades 1B and 1E (flow 5 %, head 3 %, power 4 %). Current stands for power.
    Vibration: ISO 2954:2012 permits 10 % of error in a vibration meter; ISO 20816-1:2016 calls a
    change above 25 % of the upper limit of zone B significant, up or down, and a machine accepted
    in zone A or B stands below that limit, so 25 % of its own level is on the safe side.
    Temperature: 10 K, by which the life of an insulation halves (Montsinger's rule).
"""
