"""What governance needs from outside, in its own words."""

from governance.ports.consumption import ConsumptionSession
from governance.ports.contracts import BreakingOracle, Composer
from governance.ports.lineage import LineageStore
from governance.ports.noticeboard import Noticeboard
from governance.ports.registry import Registry, Session

__all__ = [
    "BreakingOracle",
    "Composer",
    "ConsumptionSession",
    "LineageStore",
    "Noticeboard",
    "Registry",
    "Session",
]
