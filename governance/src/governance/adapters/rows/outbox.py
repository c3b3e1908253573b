"""Events that wait to be published."""

from typing import Any

from governance.adapters.rows.row import Row
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.events import Envelope, EventType
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import from_us, to_us


def outbox_row(envelope: Envelope) -> dict[str, Any]:
    """Return an event as columns."""
    return {
        "event_id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "tenant": str(envelope.tenant),
        "subject": envelope.subject,
        "time_us": to_us(envelope.time),
        "data": envelope.data,
        "traceparent": envelope.traceparent or tracing.traceparent(),
    }


def outbox_of(row: Row) -> Envelope:
    """Return the event in a row."""
    return Envelope(
        id=row["event_id"],
        type=EventType(row["type"]),
        source=row["source"],
        tenant=Tenant(row["tenant"]),
        subject=row["subject"],
        time=from_us(row["time_us"]),
        data=bytes(row["data"]),
        traceparent=row["traceparent"],
    )
