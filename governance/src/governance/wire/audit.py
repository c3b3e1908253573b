"""Audit entries, heads and proofs to protobuf."""

import json
from typing import Any

from governance.decide.audit_heads import written
from governance.model.audit import AuditEntry, ConsistencyProof, InclusionProof, SignedHead
from twinmesh.governance.v1 import audit_service_pb2, governance_service_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import timestamp


def audit_to_pb(entry: AuditEntry) -> governance_service_pb2.AuditEntry:
    """Return an audit entry's message."""
    return governance_service_pb2.AuditEntry(
        sequence=entry.sequence,
        recorded_at=timestamp(entry.recorded_at),
        actor=entry.actor,
        tenant=entry.tenant,
        action=entry.action,
        subject=entry.subject,
        outcome=entry.outcome,
        detail_json=json.dumps(entry.detail, sort_keys=True),
    )


def head_to_pb(signed: SignedHead) -> audit_service_pb2.SignedTreeHead:
    """Return a signed head's message."""
    return audit_service_pb2.SignedTreeHead(
        log=signed.head.log,
        size=signed.head.size,
        root=signed.head.root,
        at=timestamp(signed.head.at),
        key_id=signed.key_id,
        signature=signed.signature,
        line=written(signed),
    )


def inclusion_to_pb(proof: InclusionProof) -> audit_service_pb2.GetInclusionProofResponse:
    """Return an inclusion proof's message."""
    return audit_service_pb2.GetInclusionProofResponse(
        leaf=proof.entry.leaf, head=head_to_pb(proof.head), path=proof.path
    )


def consistency_to_pb(proof: ConsistencyProof) -> audit_service_pb2.GetConsistencyProofResponse:
    """Return a consistency proof's message."""
    return audit_service_pb2.GetConsistencyProofResponse(
        first_size=proof.first_size,
        first_root=proof.first_root,
        head=head_to_pb(proof.head),
        path=proof.path,
    )


def facts_from_json(text: str) -> dict[str, Any]:
    """Return the facts that a service sends with an audit entry.

    Raises:
        InvalidInputError: It is no JSON object.
    """
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("detail_json is no JSON") from error
    if not isinstance(value, dict):
        raise InvalidInputError("detail_json is no JSON object")
    return value
