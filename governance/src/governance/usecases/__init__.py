"""What a caller can ask of governance: load, decide, save, show."""

from governance.usecases.consumers import ReadConsumers
from governance.usecases.consumption import ForgetUses, RecordConsumption
from governance.usecases.deploying import JudgeDeployment, ReadDeployments, RecordDeployment
from governance.usecases.evidence import Windows
from governance.usecases.lineage import (
    ForgetLineage,
    ReadLineage,
    RecordDerived,
    RecordExport,
    RecordReceipts,
)
from governance.usecases.models import ReleaseModel, Submission
from governance.usecases.overriding import OverrideRefusals
from governance.usecases.publishing import Publish
from governance.usecases.pushing import PushContracts, PushResult
from governance.usecases.reading import ReadGovernance
from governance.usecases.recalling import RecallModel
from governance.usecases.watching import WatchReplicas

__all__ = [
    "ForgetLineage",
    "ForgetUses",
    "JudgeDeployment",
    "OverrideRefusals",
    "Publish",
    "PushContracts",
    "PushResult",
    "ReadConsumers",
    "ReadDeployments",
    "ReadGovernance",
    "ReadLineage",
    "RecallModel",
    "RecordConsumption",
    "RecordDeployment",
    "RecordDerived",
    "RecordExport",
    "RecordReceipts",
    "ReleaseModel",
    "Submission",
    "WatchReplicas",
    "Windows",
]
