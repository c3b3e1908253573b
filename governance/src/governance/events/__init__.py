"""What governance hears on the bus; no decisions inside."""

from governance.events.consumption import ConsumptionReports

__all__ = ["ConsumptionReports"]
