"""What a caller can ask of governance: load, decide, save, show."""

from governance.usecases.consumption import ForgetUses, RecordConsumption
from governance.usecases.lineage import (
    ForgetLineage,
    ReadLineage,
    RecordDerived,
    RecordExport,
    RecordReceipts,
)
from governance.usecases.models import ReleaseModel
from governance.usecases.publishing import Publish
from governance.usecases.pushing import PushContracts, PushResult
from governance.usecases.reading import ReadGovernance

__all__ = [
    "ForgetLineage",
    "ForgetUses",
    "Publish",
    "PushContracts",
    "PushResult",
    "ReadGovernance",
    "ReadLineage",
    "RecordConsumption",
    "RecordDerived",
    "RecordExport",
    "RecordReceipts",
    "ReleaseModel",
]
