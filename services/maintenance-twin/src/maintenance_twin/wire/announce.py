"""What a change announces, as events."""

from typing import Final

from maintenance_twin.model.measured import Measured
from maintenance_twin.model.tuning import MODEL_NAME, US
from maintenance_twin.model.work_item import Status, WorkItem
from maintenance_twin.ports import Change, StateAnnouncement
from maintenance_twin.wire.items import STATE_TO_PB, item_to_pb, reasons_to_pb
from twinmesh.maintenance.v1 import events_pb2
from twinmesh.twin.v1 import model_measured_pb2
from twinmesh_sdk import wire
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.times import from_us

SERVICE: Final = "maintenance-twin"
OPENED: Final = EventType("maintenance.work_item.opened.v1")
CLOSED: Final = EventType("maintenance.work_item.closed.v1")
SUPERSEDED: Final = EventType("maintenance.work_item.superseded.v1")
WITHDRAWN: Final = EventType("maintenance.work_item.withdrawn.v1")
STATE_CHANGED: Final = EventType("maintenance.state.changed.v1")
MEASURED: Final = EventType("maintenance.model.measured.v1")

_OF_STATUS: Final = {
    Status.OPEN: (OPENED, events_pb2.WorkItemOpened),
    Status.CLOSED: (CLOSED, events_pb2.WorkItemClosed),
    Status.SUPERSEDED: (SUPERSEDED, events_pb2.WorkItemSuperseded),
    Status.WITHDRAWN: (WITHDRAWN, events_pb2.WorkItemWithdrawn),
}


def envelopes_of(change: Change, *, recorded_us: int, first_change: int) -> list[Envelope]:
    """Return the events of a change.

    Args:
        recorded_us: Wall time at which the change is recorded.
        first_change: Number of the asset's next announced change of state.
    """
    items = [_of_item(item, change.traceparent, recorded_us) for item in change.items]
    states = [
        _of_state(change, announcement, first_change + ordinal)
        for ordinal, announcement in enumerate(change.announcements)
    ]
    return [*items, *states, *(_of_measured(change, each) for each in change.measured)]


def _of_item(item: WorkItem, traceparent: str, recorded_us: int) -> Envelope:
    event_type, message = _OF_STATUS[item.status]
    at_us = item.closed_us if item.status is Status.CLOSED and item.closed_us else item.opened_us
    return Envelope(
        id=event_id(
            tenant=item.tenant,
            type=event_type,
            aggregate_id=item.work_item_id,
            aggregate_version=item.version,
        ),
        type=event_type,
        source=SERVICE,
        tenant=item.tenant,
        subject=item.asset_id,
        time=from_us(at_us),
        data=message(work_item=item_to_pb(item, recorded_from_us=recorded_us)).SerializeToString(
            deterministic=True
        ),
        traceparent=item.trace_id if item.status is Status.OPEN else traceparent,
    )


def _of_state(change: Change, told: StateAnnouncement, number: int) -> Envelope:
    twin = change.twin
    message = events_pb2.StateChanged(
        asset_id=twin.asset_id,
        current=STATE_TO_PB[told.current],
        effective_at=wire.timestamp_us(told.at_us),
        reasons=reasons_to_pb(told.reasons),
        configuration_version=told.configuration_id,
        model_version=told.model_version,
        work_item_id=told.work_item_id,
        inputs_digest=told.inputs_digest,
    )
    if told.previous is not None:
        message.previous = STATE_TO_PB[told.previous]
    return Envelope(
        id=event_id(
            tenant=twin.tenant,
            type=STATE_CHANGED,
            aggregate_id=twin.asset_id,
            aggregate_version=number,
        ),
        type=STATE_CHANGED,
        source=SERVICE,
        tenant=twin.tenant,
        subject=twin.asset_id,
        time=from_us(told.at_us),
        data=message.SerializeToString(deterministic=True),
        traceparent=change.traceparent,
    )


def _of_measured(change: Change, measured: Measured) -> Envelope:
    twin = change.twin
    message = model_measured_pb2.ModelMeasured(
        asset_id=twin.asset_id,
        model=MODEL_NAME,
        version=measured.version,
        configuration_version=measured.configuration_id,
        window_from=wire.timestamp_us(measured.from_us),
        window_to=wire.timestamp_us(measured.to_us),
        rows=measured.rows,
        mean_square=measured.mean_square,
        mean_residual=measured.mean_residual,
        challengers=[
            model_measured_pb2.Challenger(
                version=each.version,
                judged=each.judged,
                disagreements=each.disagreements,
                pairs=each.pairs,
                champion_error=each.champion_error,
                challenger_error=each.challenger_error,
            )
            for each in measured.challengers
        ],
    )
    return Envelope(
        id=event_id(
            tenant=twin.tenant,
            type=MEASURED,
            aggregate_id=twin.asset_id,
            aggregate_version=measured.from_us // US,
        ),
        type=MEASURED,
        source=SERVICE,
        tenant=twin.tenant,
        subject=twin.asset_id,
        time=from_us(measured.to_us),
        data=message.SerializeToString(deterministic=True),
        traceparent=change.traceparent,
    )
