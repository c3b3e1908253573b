"""What governance needs from outside, in its own words."""

from governance.ports.contracts import BreakingOracle, Composer
from governance.ports.noticeboard import Noticeboard
from governance.ports.registry import Registry, Session

__all__ = ["BreakingOracle", "Composer", "Noticeboard", "Registry", "Session"]
