"""What is announced about models."""

from datetime import datetime
from typing import Final

from governance.model.releases import ModelVersion
from governance.model.replicas import ReplicaAlarm
from governance.wire.announcements import SOURCE
from governance.wire.models import alarm_to_pb
from twinmesh.governance.v1 import model_events_pb2
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.wire import timestamp

MODEL_RECALLED: Final = EventType("governance.model.recalled.v1")
MODEL_LAGGING: Final = EventType("governance.model.lagging.v1")


def recalled_envelope(model: ModelVersion, tenant: Tenant, at: datetime) -> Envelope:
    """Return the event that tells a tenant of a recall; one per tenant and version, ever.

    Args:
        at: Plant time of the tenant.
    """
    assert model.recall is not None
    message = model_events_pb2.ModelRecalled(
        name=model.name,
        version=str(model.version),
        artefact_digest=model.artefact_digest,
        reason=model.recall.reason,
        recalled_by=model.recall.recalled_by,
        recalled_at=timestamp(model.recall.recalled_at),
    )
    return Envelope(
        id=event_id(
            tenant=tenant,
            type=MODEL_RECALLED,
            aggregate_id=f"{model.name} {model.version}",
            aggregate_version=1,
        ),
        type=MODEL_RECALLED,
        source=SOURCE,
        tenant=tenant,
        subject=f"{model.name}@{model.version}",
        time=at,
        data=message.SerializeToString(deterministic=True),
    )


def lagging_envelope(alarm: ReplicaAlarm) -> Envelope:
    """Return the event that tells of an alarm; one per process and time of its notice."""
    tenant = Tenant(alarm.tenant)
    message = model_events_pb2.ModelLagging(alarm=alarm_to_pb(alarm))
    return Envelope(
        id=event_id(
            tenant=tenant,
            type=MODEL_LAGGING,
            aggregate_id=f"{alarm.service} {alarm.instance} {alarm.model}",
            aggregate_version=to_us(alarm.since),
        ),
        type=MODEL_LAGGING,
        source=SOURCE,
        tenant=tenant,
        subject=f"{alarm.service}@{alarm.instance}",
        time=alarm.plant_at,
        data=message.SerializeToString(deterministic=True),
    )
