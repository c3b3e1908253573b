"""What is announced about rulings and drift."""

from typing import Final

from governance.model.shadow import RetrainingRequest, Ruling
from governance.wire.announcements import SOURCE
from governance.wire.shadows import retraining_to_pb, ruling_to_pb
from twinmesh.governance.v1 import model_events_pb2
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.times import to_us

MODEL_RULED: Final = EventType("governance.model.ruled.v1")
MODEL_DRIFTED: Final = EventType("governance.model.drifted.v1")


def ruled_envelope(ruling: Ruling) -> Envelope:
    """Return the event that tells of a ruling; one per version, kind, opponent and tenure."""
    message = model_events_pb2.ModelRuled(ruling=ruling_to_pb(ruling))
    return Envelope(
        id=event_id(
            tenant=ruling.tenant,
            type=MODEL_RULED,
            aggregate_id=f"{ruling.model} {ruling.version} {ruling.kind} {ruling.against}",
            aggregate_version=to_us(ruling.tenure),
        ),
        type=MODEL_RULED,
        source=SOURCE,
        tenant=ruling.tenant,
        subject=f"{ruling.model}@{ruling.version}",
        time=ruling.at,
        data=message.SerializeToString(deterministic=True),
    )


def drifted_envelope(request: RetrainingRequest) -> Envelope:
    """Return the event that asks for a retraining; one per request."""
    message = model_events_pb2.ModelDrifted(request=retraining_to_pb(request))
    return Envelope(
        id=event_id(
            tenant=request.tenant,
            type=MODEL_DRIFTED,
            aggregate_id=str(request.id),
            aggregate_version=1,
        ),
        type=MODEL_DRIFTED,
        source=SOURCE,
        tenant=request.tenant,
        subject=f"{request.model}@{request.version}",
        time=request.noticed_at,
        data=message.SerializeToString(deterministic=True),
    )
