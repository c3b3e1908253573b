"""Facts to envelopes: what telemetry announces."""

from typing import Final

from google.protobuf.message import DecodeError

from telemetry.model.pipeline import PipelineAlert
from telemetry.model.verdict import ToldVerdict, VerdictChange
from twinmesh.telemetry.v1 import events_pb2 as pb
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.trust import Verdict
from twinmesh_sdk.wire import VERDICT_FROM_PB, VERDICT_TO_PB, moment, timestamp

SOURCE: Final = "telemetry"
VERDICT_CHANGED: Final = EventType("telemetry.verdict.changed.v1")
PIPELINE_STALLED: Final = EventType("telemetry.pipeline.stalled.v1")
PIPELINE_RECOVERED: Final = EventType("telemetry.pipeline.recovered.v1")


def verdict_changed(change: VerdictChange, traceparent: str = "") -> Envelope:
    """Return the announcement of a changed verdict; its version makes its id."""
    signal, before, now = change.signal, change.before, change.now
    message = pb.VerdictChanged(
        asset_id=signal.asset_id,
        signal_id=signal.signal_id,
        signal_name=signal.name,
        decision=now.decision,
        budget_s=now.budget_s,
        previous=VERDICT_TO_PB[before.verdict if before else Verdict.ABSENT],
        current=VERDICT_TO_PB[now.verdict],
        observed_at=timestamp(now.observed_at),
        effective_at=timestamp(now.effective_at),
    )
    return Envelope(
        id=event_id(
            tenant=Tenant(now.tenant),
            type=VERDICT_CHANGED,
            aggregate_id=f"{now.signal_id}:{now.decision}",
            aggregate_version=now.version,
        ),
        type=VERDICT_CHANGED,
        source=SOURCE,
        tenant=Tenant(now.tenant),
        subject=signal.asset_id,
        time=now.effective_at,
        data=message.SerializeToString(),
        traceparent=traceparent,
    )


def told_verdict(data: bytes) -> ToldVerdict:
    """Read the announcement of a changed verdict.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        message = pb.VerdictChanged.FromString(data)
    except DecodeError as error:
        raise InvalidInputError("the announcement cannot be read") from error
    return ToldVerdict(
        asset_id=message.asset_id,
        signal_id=message.signal_id,
        decision=message.decision,
        budget_s=message.budget_s,
        previous=VERDICT_FROM_PB.get(message.previous, Verdict.ABSENT),
        current=VERDICT_FROM_PB.get(message.current, Verdict.ABSENT),
        observed_at=moment(message.observed_at) if message.HasField("observed_at") else None,
        effective_at=moment(message.effective_at),
    )


def pipeline_event(alert: PipelineAlert, traceparent: str = "") -> Envelope:
    """Return the announcement of an alert: stalled while it is open, recovered afterwards."""
    if alert.recovered_at is None:
        kind, at = PIPELINE_STALLED, alert.detected_at
        data = pb.PipelineStalled(
            source=alert.source,
            last_moving_hop=alert.last_moving_hop.value,
            last_moved_at=timestamp(alert.last_moved_at),
            detected_at=timestamp(alert.detected_at),
            signal_ids=alert.signal_ids,
        ).SerializeToString()
    else:
        kind, at = PIPELINE_RECOVERED, alert.recovered_at
        data = pb.PipelineRecovered(
            source=alert.source,
            stalled_since=timestamp(alert.detected_at),
            recovered_at=timestamp(alert.recovered_at),
        ).SerializeToString()
    return Envelope(
        id=event_id(
            tenant=Tenant(alert.tenant),
            type=kind,
            aggregate_id=f"source:{alert.source}",
            aggregate_version=alert.version,
        ),
        type=kind,
        source=SOURCE,
        tenant=Tenant(alert.tenant),
        subject=alert.source,
        time=at,
        data=data,
        traceparent=traceparent,
    )
