"""The derived outputs of this twin, as receipts name them."""

from typing import Any, Final

from google.protobuf.message import DecodeError

from maintenance_twin.model.tuning import MODEL_NAME
from maintenance_twin.model.work_item import WorkItem
from maintenance_twin.usecases import ConditionAnswer
from maintenance_twin.wire.announce import (
    CLOSED,
    OPENED,
    STATE_CHANGED,
    SUPERSEDED,
    WITHDRAWN,
)
from twinmesh.maintenance.v1 import events_pb2, work_item_pb2
from twinmesh_sdk.core.consumption import Derivation, Output, OutputState
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.wire import moment_us

WORK_ITEM: Final = "WorkItem"
CONDITION: Final = "Maintenance"

_OF_ITEM: Final[dict[str, tuple[Any, OutputState]]] = {
    OPENED: (events_pb2.WorkItemOpened, OutputState.OPEN),
    CLOSED: (events_pb2.WorkItemClosed, OutputState.ENDED),
    SUPERSEDED: (events_pb2.WorkItemSuperseded, OutputState.ENDED),
    WITHDRAWN: (events_pb2.WorkItemWithdrawn, OutputState.WITHDRAWN),
}


def output_of_item(item: WorkItem) -> Output:
    """Return a version of a work item as an output."""
    return Output(WORK_ITEM, item.work_item_id, item.version, MODEL_NAME, item.model_version)


def output_of_condition(answer: ConditionAnswer) -> Output | None:
    """Return an asset's condition as an output; None where no model stands behind it.

    Its version is the microsecond of plant time from which it holds.
    """
    condition = answer.condition
    if not condition.model_version:
        return None
    return Output(
        CONDITION, answer.asset_id, condition.from_us, MODEL_NAME, condition.model_version
    )


def derivation_of(event: Envelope) -> Derivation | None:
    """Return the derived output that an event of this twin announces; None where there is none."""
    try:
        if (known := _OF_ITEM.get(event.type)) is not None:
            message, state = known
            item: work_item_pb2.WorkItem = message.FromString(event.data).work_item
            return Derivation(
                Output(WORK_ITEM, item.work_item_id, item.version, MODEL_NAME, item.model_version),
                state,
                item.configuration_version,
                item.inputs_digest,
            )
        if event.type == STATE_CHANGED:
            return _of_state(events_pb2.StateChanged.FromString(event.data))
    except DecodeError:
        return None
    return None


def _of_state(told: events_pb2.StateChanged) -> Derivation:
    version = moment_us(told.effective_at)
    return Derivation(
        Output(CONDITION, told.asset_id, version, MODEL_NAME, told.model_version),
        OutputState.STANDING,
        told.configuration_version,
        told.inputs_digest,
    )
