"""What governance needs from outside, in its own words."""

from governance.ports.consumption import ConsumptionSession
from governance.ports.contracts import Composer
from governance.ports.lineage import LineageStore
from governance.ports.noticeboard import Noticeboard
from governance.ports.registry import Registry, Session

__all__ = [
    "Composer",
    "ConsumptionSession",
    "LineageStore",
    "Noticeboard",
    "Registry",
    "Session",
]
