"""Calls about the audit log."""

from typing import Final

from governance import wire
from governance.api_grpc.context import Context
from governance.usecases import ReadGovernance
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import governance_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.request import current_principal

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 200


class AuditCalls(pb_grpc.GovernanceServiceServicer):
    """Read the audit log."""

    _read: ReadGovernance

    async def ListAudit(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListAuditRequest, context: Context
    ) -> pb.ListAuditResponse:
        """Return the caller's tenant's audit entries, newest first."""
        del context
        limit = request.page_size or DEFAULT_PAGE
        if limit > MAX_PAGE:
            raise InvalidInputError(f"page_size is at most {MAX_PAGE}")
        token = request.page_token
        if token and not (token.isascii() and token.isdigit() and len(token) <= 18):
            raise InvalidInputError("page_token is not one of this list")
        entries = await self._read.audit(
            current_principal(), before=int(token) if token else None, limit=limit
        )
        more = str(entries[-1].sequence) if len(entries) == limit else ""
        return pb.ListAuditResponse(
            entries=[wire.audit_to_pb(e) for e in entries], next_page_token=more
        )
