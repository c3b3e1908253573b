"""The REST door for CI: what the gRPC door offers, in JSON."""

from fastapi import APIRouter

from governance.http.audit import add_audit
from governance.http.contracts import add_contracts
from governance.http.models import add_models
from governance.usecases import PushContracts, ReadGovernance, ReleaseModel
from governance.usecases.auditing import ReadAudit

__all__ = ["ci_router"]


def ci_router(
    push: PushContracts, read: ReadGovernance, release: ReleaseModel, audit: ReadAudit
) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["governance"])
    add_contracts(router, push, read)
    add_models(router, read, release)
    add_audit(router, audit)
    return router
