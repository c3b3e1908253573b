"""Work items and conditions as messages."""

from typing import Final

from maintenance_twin.model.condition import State
from maintenance_twin.model.work_item import (
    CloseReason,
    Direction,
    Evidence,
    FailureMode,
    Probability,
    Status,
    WorkItem,
)
from maintenance_twin.usecases import ConditionAnswer
from twinmesh.core.v1 import interval_pb2, trust_pb2
from twinmesh.maintenance.v1 import work_item_pb2 as pb
from twinmesh_sdk import wire
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.core.trust import Reason, Trust

STATUS_TO_PB: Final = {
    Status.OPEN: pb.WORK_ITEM_STATUS_OPEN,
    Status.CLOSED: pb.WORK_ITEM_STATUS_CLOSED,
    Status.SUPERSEDED: pb.WORK_ITEM_STATUS_SUPERSEDED,
    Status.WITHDRAWN: pb.WORK_ITEM_STATUS_WITHDRAWN,
}
MODE_TO_PB: Final = {
    FailureMode.UNK: pb.FAILURE_MODE_UNK,
    FailureMode.LOO: pb.FAILURE_MODE_LOO,
    FailureMode.HIO: pb.FAILURE_MODE_HIO,
    FailureMode.PLU: pb.FAILURE_MODE_PLU,
    FailureMode.INL: pb.FAILURE_MODE_INL,
    FailureMode.ELP: pb.FAILURE_MODE_ELP,
    FailureMode.VIB: pb.FAILURE_MODE_VIB,
    FailureMode.OHE: pb.FAILURE_MODE_OHE,
    FailureMode.AIR: pb.FAILURE_MODE_AIR,
    FailureMode.PDE: pb.FAILURE_MODE_PDE,
}
REASON_TO_PB: Final = {
    CloseReason.RECOVERED: pb.CLOSE_REASON_RECOVERED,
    CloseReason.CONFIGURATION_CHANGED: pb.CLOSE_REASON_CONFIGURATION_CHANGED,
}
DIRECTION_TO_PB: Final = {
    Direction.ABOVE: pb.DIRECTION_ABOVE,
    Direction.BELOW: pb.DIRECTION_BELOW,
}
STATE_TO_PB: Final = {
    State.BASELINING: pb.CONDITION_STATE_BASELINING,
    State.HEALTHY: pb.CONDITION_STATE_HEALTHY,
    State.DEGRADED: pb.CONDITION_STATE_DEGRADED,
    State.UNKNOWN: pb.CONDITION_STATE_UNKNOWN,
}
CALIBRATION_TO_PB: Final = {
    "NONE": pb.CALIBRATION_NONE,
    "BACK_TESTED": pb.CALIBRATION_BACK_TESTED,
}


def status_from_pb(status: "pb.WorkItemStatus.ValueType") -> Status:
    """Return a status.

    Raises:
        InvalidInputError: It is none.
    """
    for known, message in STATUS_TO_PB.items():
        if message == status:
            return known
    raise InvalidInputError(f"{status} is not a work item status")


def trace_id_of(traceparent: str) -> str:
    """Return the trace id in a W3C traceparent; empty where there is none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""


def reasons_to_pb(reasons: tuple[Reason, ...]) -> list[trust_pb2.Reason]:
    """Return reasons as messages."""
    return [trust_pb2.Reason(code=r.code, subject=r.subject, detail=r.detail) for r in reasons]


def _probability_to_pb(probability: Probability) -> pb.Probability:
    return pb.Probability(
        value_ratio=probability.value,
        event=probability.event,
        horizon_s=probability.horizon_s,
        calibration=CALIBRATION_TO_PB[probability.calibration],
    )


def _evidence_to_pb(evidence: Evidence) -> pb.Evidence:
    return pb.Evidence(
        signal=evidence.signal,
        unit=evidence.unit,
        expected=evidence.expected,
        observed=evidence.observed,
        limit=evidence.limit,
        direction=DIRECTION_TO_PB[evidence.direction],
        since=wire.timestamp_us(evidence.since_us),
        share_ratio=evidence.share,
    )


def item_to_pb(
    item: WorkItem,
    *,
    trust: Trust | None = None,
    recorded_from_us: int = OPEN_US,
    recorded_to_us: int = OPEN_US,
) -> pb.WorkItem:
    """Return a work item as a message.

    Args:
        trust: As it stands at the times of the request; by default as it stood at the opening.
        recorded_from_us, recorded_to_us: Bounds of this version; open where not yet recorded.
    """
    message = pb.WorkItem(
        work_item_id=item.work_item_id,
        asset_id=item.asset_id,
        status=STATUS_TO_PB[item.status],
        failure_mode=MODE_TO_PB[item.failure_mode],
        probability=_probability_to_pb(item.probability),
        evidence=[_evidence_to_pb(e) for e in item.evidence],
        trust=wire.trust_to_pb(trust or item.trust),
        configuration_version=item.configuration_id,
        model_version=item.model_version,
        opened_at=wire.timestamp_us(item.opened_us),
        closed_at=wire.timestamp_us(item.closed_us),
        detected_at=wire.timestamp_us(item.detected_us),
        degradation=interval_pb2.Period(
            start=wire.timestamp_us(item.onset_us), end=wire.timestamp_us(item.degraded_to_us)
        ),
        correction=item.correction,
        superseded_by=item.superseded_by,
        trace_id=trace_id_of(item.trace_id),
        operating_mode=item.mode,
        version=item.version,
        interval=wire.bitemporal_to_pb(
            valid_from_us=item.opened_us,
            valid_to_us=item.closed_us if item.closed_us is not None else OPEN_US,
            recorded_from_us=recorded_from_us,
            recorded_to_us=recorded_to_us,
        ),
        inputs_digest=item.inputs_digest,
    )
    if item.close_reason is not None:
        message.close_reason = REASON_TO_PB[item.close_reason]
    if item.lead_time_s is not None:
        message.lead_time_s = item.lead_time_s
    return message


def condition_to_pb(answer: ConditionAnswer) -> pb.Condition:
    """Return a condition as a message."""
    condition, held = answer.condition, answer.held
    return pb.Condition(
        asset_id=answer.asset_id,
        state=STATE_TO_PB[condition.state],
        reasons=reasons_to_pb(condition.reasons),
        trust=wire.trust_to_pb(answer.trust),
        configuration_version=condition.configuration_id,
        model_version=condition.model_version,
        work_item_id=condition.work_item_id,
        inputs_digest=condition.inputs_digest,
        interval=wire.bitemporal_to_pb(
            valid_from_us=held.valid_from_us,
            valid_to_us=held.valid_to_us,
            recorded_from_us=held.recorded_from_us,
            recorded_to_us=held.recorded_to_us,
        ),
    )
