"""What a caller can ask of governance: load, decide, save, show."""

from governance.usecases.models import ReleaseModel
from governance.usecases.publishing import Publish
from governance.usecases.pushing import PushContracts, PushResult
from governance.usecases.reading import ReadGovernance

__all__ = ["Publish", "PushContracts", "PushResult", "ReadGovernance", "ReleaseModel"]
