"""How versions did on live events, and what was ruled, between protobuf and the model."""

from typing import Final

from google.protobuf.message import DecodeError

from governance.decide.drift import Drift, Drifting, Learning
from governance.decide.promotion import Continue, Promote, Promotion, Reject
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    MAX_CHALLENGERS,
    Comparison,
    MeasuredWindow,
    Measurement,
    RetrainingRequest,
    Ruling,
    RulingKind,
)
from twinmesh.governance.v1 import shadow_pb2
from twinmesh.twin.v1 import model_measured_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.wire import moment, timestamp

MAX_MEASURED_BYTES: Final = 64 * 1024

_KIND: Final = {
    RulingKind.PROMOTED: shadow_pb2.RULING_KIND_PROMOTED,
    RulingKind.REJECTED: shadow_pb2.RULING_KIND_REJECTED,
    RulingKind.ROLLED_BACK: shadow_pb2.RULING_KIND_ROLLED_BACK,
}


def window_from_bytes(tenant: Tenant, domain: str, data: bytes) -> MeasuredWindow:
    """Return the window in a `ModelMeasured`.

    Raises:
        InvalidInputError: It is none, or says what no window could.
    """
    if len(data) > MAX_MEASURED_BYTES:
        raise InvalidInputError(f"a measured window has at most {MAX_MEASURED_BYTES} bytes")
    try:
        said = model_measured_pb2.ModelMeasured.FromString(data)
    except DecodeError as error:
        raise InvalidInputError("not a ModelMeasured") from error
    if not said.HasField("window_from") or not said.HasField("window_to"):
        raise InvalidInputError("a measured window says when it began and ended")
    if len(said.challengers) > MAX_CHALLENGERS:
        raise InvalidInputError(f"a window has at most {MAX_CHALLENGERS} other versions")
    asset = AssetId(said.asset_id)
    start, end = moment(said.window_from), moment(said.window_to)
    return MeasuredWindow(
        tenant=tenant,
        domain=domain,
        model=ModelName(said.model),
        version=Version.parse(said.version),
        asset=asset,
        configuration=said.configuration_version,
        measurement=Measurement(asset, start, end, said.rows, said.mean_square, said.mean_residual),
        challengers={
            Version.parse(each.version): Comparison(
                asset=asset,
                from_at=start,
                to_at=end,
                pairs=each.pairs,
                champion_error=each.champion_error,
                challenger_error=each.challenger_error,
                judged=each.judged,
                disagreements=each.disagreements,
            )
            for each in said.challengers
        },
    )


def ruling_to_pb(ruling: Ruling) -> shadow_pb2.ModelRuling:
    """Return a ruling as a message."""
    return shadow_pb2.ModelRuling(
        model=ruling.model,
        version=str(ruling.version),
        kind=_KIND[ruling.kind],
        against=str(ruling.against),
        why=ruling.why,
        carried_out=ruling.carried_out,
        at=timestamp(ruling.at),
        recorded_at=timestamp(ruling.recorded_at),
    )


def retraining_to_pb(request: RetrainingRequest) -> shadow_pb2.RetrainingRequest:
    """Return a request to retrain as a message."""
    return shadow_pb2.RetrainingRequest(
        id=str(request.id),
        model=request.model,
        version=str(request.version),
        since=timestamp(request.since),
        noticed_at=timestamp(request.noticed_at),
        recorded_at=timestamp(request.recorded_at),
        sum=request.sum,
        answered_by=str(request.answered_by or ""),
    )


def report_to_pb(champion: Version, outcome: Promotion) -> shadow_pb2.ShadowReport:
    """Return what figures say about a challenger, as a message."""
    evidence = outcome.evidence
    reasons: list[str] = []
    match outcome:
        case Promote():
            decision = shadow_pb2.SHADOW_DECISION_PROMOTE
        case Continue(waiting_for=missing):
            decision, reasons = shadow_pb2.SHADOW_DECISION_CONTINUE, [str(m) for m in missing]
        case Reject(why=why):
            decision, reasons = shadow_pb2.SHADOW_DECISION_REJECT, [str(why)]
    return shadow_pb2.ShadowReport(
        champion=str(champion),
        pairs=evidence.pairs,
        windows=evidence.windows,
        span_s=evidence.span.total_seconds(),
        mean_gain=evidence.mean_gain,
        low=evidence.low,
        high=evidence.high,
        disagreement=evidence.disagreement,
        decision=decision,
        reasons=reasons,
    )


def drift_to_pb(residuals: Drift, errors: Drift) -> shadow_pb2.DriftReport:
    """Return whether a version drifts, as a message."""
    return shadow_pb2.DriftReport(
        residuals=drift_name(residuals),
        errors=drift_name(errors),
        windows=residuals.windows,
        residual_sum=drift_sum(residuals),
        error_sum=drift_sum(errors),
    )


def drift_name(drift: Drift) -> str:
    """Return where a figure stands, in one word."""
    if isinstance(drift, Learning):
        return "LEARNING"
    return "DRIFTING" if isinstance(drift, Drifting) else "STEADY"


def drift_sum(drift: Drift) -> float:
    """Return the cumulative sum; 0 while nothing is summed."""
    return 0.0 if isinstance(drift, Learning) else drift.sum
