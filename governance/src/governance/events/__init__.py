"""What governance hears on the bus; no decisions inside."""

from governance.events.consumption import ConsumptionReports
from governance.events.derivations import DerivationConsumer
from governance.events.measurements import MeasurementConsumer

__all__ = ["ConsumptionReports", "DerivationConsumer", "MeasurementConsumer"]
