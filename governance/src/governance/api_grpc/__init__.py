"""The gRPC door; no decisions inside. One class per noun, together they are the service."""

from governance.api_grpc.audit import AuditCalls
from governance.api_grpc.contracts import ContractCalls
from governance.api_grpc.models import ModelCalls
from governance.usecases import PushContracts, ReadGovernance, ReleaseModel

__all__ = ["GovernanceApi"]


class GovernanceApi(ContractCalls, ModelCalls, AuditCalls):
    """Implements `twinmesh.governance.v1.GovernanceService`."""

    def __init__(self, push: PushContracts, read: ReadGovernance, release: ReleaseModel) -> None:
        self._push = push
        self._read = read
        self._release = release
