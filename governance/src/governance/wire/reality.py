"""Charter against reality, to protobuf and from what telemetry says."""

from typing import Final

from governance.model.reality import CharterTurned, Reality, Standing, Told
from twinmesh.core.v1 import trust_pb2
from twinmesh.governance.v1 import reality_service_pb2 as pb
from twinmesh.telemetry.v1 import events_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.wire import timestamp

SOURCE: Final = "governance"
VERDICT_CHANGED: Final = EventType("telemetry.verdict.changed.v1")
BREACHED: Final = EventType("governance.charter.breached.v1")
RESTORED: Final = EventType("governance.charter.restored.v1")
_WITHIN: Final = {
    trust_pb2.VERDICT_FRESH: True,
    trust_pb2.VERDICT_LATE: True,
    trust_pb2.VERDICT_STALE: False,
    trust_pb2.VERDICT_ABSENT: False,
}


def told_of(envelope: Envelope) -> Told:
    """Return what telemetry says about a signal.

    Raises:
        InvalidInputError: It names no signal, decision or time.
    """
    message = events_pb2.VerdictChanged.FromString(envelope.data)
    if not message.signal_id or not message.decision or not message.HasField("effective_at"):
        raise InvalidInputError("a changed verdict names a signal, a decision and a time")
    return Told(
        tenant=str(envelope.tenant),
        signal_id=message.signal_id,
        decision=message.decision,
        within=_WITHIN.get(message.current),
        effective_at=from_us(message.effective_at.ToMicroseconds()),
    )


def reality_to_pb(given: Reality) -> pb.Reality:
    """Return a standing's message."""
    promise, measure = given.promise, given.measure
    return pb.Reality(
        service=promise.service,
        kind=pb.RealityKind.Value(f"REALITY_KIND_{promise.kind.value}"),
        name=promise.name,
        at_least=promise.at_least,
        at_most=promise.at_most,
        achieved=measure.achieved if measure else None,
        samples=measure.samples if measure else 0,
        standing=pb.RealityStanding.Value(f"REALITY_STANDING_{given.standing.value}"),
        since=timestamp(given.since),
    )


def envelope_of(fact: CharterTurned) -> Envelope:
    """Return the event that tells the owner of a service how a promise stands."""
    reality, promise = fact.reality, fact.reality.promise
    kind = BREACHED if reality.standing is Standing.BREACHED else RESTORED
    tenant = Tenant(reality.tenant)
    message = pb.CharterTurned(
        reality=reality_to_pb(reality), team=fact.team, contact=fact.contact, on_call=fact.on_call
    )
    return Envelope(
        id=event_id(
            tenant=tenant,
            type=kind,
            aggregate_id=f"{promise.service}/{promise.kind.value}/{promise.name}",
            aggregate_version=reality.version,
        ),
        type=kind,
        source=SOURCE,
        tenant=tenant,
        subject=promise.service,
        time=fact.at,
        data=message.SerializeToString(deterministic=True),
    )
