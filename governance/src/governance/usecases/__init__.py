"""What a caller can ask of governance: load, decide, save, show."""

from governance.usecases.consumption import ForgetUses, RecordConsumption
from governance.usecases.models import ReleaseModel
from governance.usecases.publishing import Publish
from governance.usecases.pushing import PushContracts, PushResult
from governance.usecases.reading import ReadGovernance

__all__ = [
    "ForgetUses",
    "Publish",
    "PushContracts",
    "PushResult",
    "ReadGovernance",
    "RecordConsumption",
    "ReleaseModel",
]
