"""Models to protobuf and back."""

import math
from typing import Final

from governance.model.releases import BackTest, ModelState, ModelVersion, Scope
from twinmesh.governance.v1 import model_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import timestamp

MODEL_STATE_TO_PB: Final = {
    ModelState.SUBMITTED: model_pb2.MODEL_STATE_SUBMITTED,
    ModelState.APPROVED: model_pb2.MODEL_STATE_APPROVED,
    ModelState.ACTIVE: model_pb2.MODEL_STATE_ACTIVE,
    ModelState.RETIRED: model_pb2.MODEL_STATE_RETIRED,
}


def scope_from_pb(message: model_pb2.ModelScope) -> Scope:
    """Return the scope in a message."""
    return Scope(frozenset(message.asset_classes), frozenset(message.sites))


def back_test_from_pb(message: model_pb2.BackTest) -> BackTest:
    """Return the back-test in a message; figures without a metric are none."""
    for figure in (message.achieved, message.baseline_achieved):
        if not math.isfinite(figure):
            raise InvalidInputError("a back-test's figures must be finite")
    return BackTest(
        reference=message.reference,
        metric=message.metric,
        achieved=message.achieved if message.metric else None,
        baseline=message.baseline,
        baseline_achieved=message.baseline_achieved if message.baseline else None,
        data_digest=message.data_digest,
    )


def model_to_pb(model: ModelVersion) -> model_pb2.ModelVersion:
    """Return a model version's message."""
    period = model.activation
    test = model.back_test
    return model_pb2.ModelVersion(
        name=model.name,
        version=str(model.version),
        artefact_digest=model.artefact_digest,
        state=MODEL_STATE_TO_PB[model.state],
        scope=model_pb2.ModelScope(
            asset_classes=sorted(model.scope.asset_classes), sites=sorted(model.scope.sites)
        ),
        back_test=model_pb2.BackTest(
            reference=test.reference,
            metric=test.metric,
            achieved=test.achieved or 0.0,
            baseline=test.baseline,
            baseline_achieved=test.baseline_achieved or 0.0,
            data_digest=test.data_digest,
        ),
        description=model.description,
        submitted_by=model.submitted_by,
        submitted_at=timestamp(model.submitted_at),
        approved_by=model.approved_by,
        approved_at=timestamp(model.approved_at),
        approval_note=model.approval_note,
        effective_from=timestamp(period.effective_from) if period else None,
        effective_to=timestamp(period.effective_to) if period else None,
    )
