"""Audit entries to protobuf."""

import json

from governance.model.audit import AuditEntry
from twinmesh.governance.v1 import governance_service_pb2
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
