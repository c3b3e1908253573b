"""Uses, deprecations and overrides to protobuf."""

from typing import Final

from governance.model.changes import Override
from governance.model.consumption import Use, UseKind
from governance.usecases.consumers import Deprecated, Used
from governance.wire.contracts import consumer_to_pb
from twinmesh.governance.v1 import consumption_pb2
from twinmesh.governance.v1 import contract_service_pb2 as pb
from twinmesh_sdk.wire import timestamp

KIND_TO_PB: Final = {
    UseKind.FIELD: consumption_pb2.USE_KIND_FIELD,
    UseKind.ARGUMENT: consumption_pb2.USE_KIND_ARGUMENT,
    UseKind.ENUM_VALUE: consumption_pb2.USE_KIND_ENUM_VALUE,
    UseKind.RPC_METHOD: consumption_pb2.USE_KIND_RPC_METHOD,
    UseKind.EVENT: consumption_pb2.USE_KIND_EVENT,
}


def uses_to_pb(used: Used) -> pb.ListUsesResponse:
    """Return what was used."""
    return pb.ListUsesResponse(
        uses=[_use(use) for use in used.uses],
        since=timestamp(used.since),
        observed_since=timestamp(used.observed_since),
        consumers=[consumer_to_pb(consumer) for consumer in used.consumers],
    )


def _use(use: Use) -> consumption_pb2.ContractUse:
    return consumption_pb2.ContractUse(
        client=use.client,
        kind=KIND_TO_PB[use.kind],
        coordinate=use.coordinate,
        service=use.service,
        first_at=timestamp(use.first_at),
        last_at=timestamp(use.last_at),
        count=use.count,
    )


def deprecated_to_pb(deprecated: Deprecated) -> pb.Deprecation:
    """Return a deprecation with who still uses it."""
    each = deprecated.deprecation
    return pb.Deprecation(
        service=each.service,
        coordinate=each.coordinate,
        version=each.version,
        reason=each.reason,
        since=timestamp(each.since),
        removal_from=timestamp(deprecated.removal_from),
        consumers=[consumer_to_pb(consumer) for consumer in deprecated.consumers],
    )


def override_to_pb(override: Override) -> pb.Override:
    """Return an override."""
    return pb.Override(
        id=override.id,
        service=override.service,
        version=str(override.version),
        digest=override.digest,
        findings=[
            pb.OverriddenFinding(code=code, subject=subject) for code, subject in override.findings
        ],
        reason=override.reason,
        requested_by=override.requested_by,
        requested_at=timestamp(override.requested_at),
        expires_at=timestamp(override.expires_at),
        approved_by=override.approved_by,
        approved_at=timestamp(override.approved_at),
    )
