"""Models to protobuf and back."""

import math
from collections.abc import Iterable
from typing import Final

from governance.model.lineage import Derived
from governance.model.releases import (
    BackTest,
    Bound,
    ModelField,
    ModelSchema,
    ModelState,
    ModelVersion,
    Scope,
)
from governance.model.replicas import ReplicaAlarm
from twinmesh.governance.v1 import model_pb2
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import timestamp

MODEL_STATE_TO_PB: Final = {
    ModelState.DRAFT: model_pb2.MODEL_STATE_DRAFT,
    ModelState.SUBMITTED: model_pb2.MODEL_STATE_SUBMITTED,
    ModelState.APPROVED: model_pb2.MODEL_STATE_APPROVED,
    ModelState.SHADOW: model_pb2.MODEL_STATE_SHADOW,
    ModelState.ACTIVE: model_pb2.MODEL_STATE_ACTIVE,
    ModelState.RETIRED: model_pb2.MODEL_STATE_RETIRED,
    ModelState.RECALLED: model_pb2.MODEL_STATE_RECALLED,
}


def scope_from_pb(message: model_pb2.ModelScope) -> Scope:
    """Return the scope in a message."""
    return Scope(
        frozenset(message.asset_classes),
        frozenset(message.sites),
        frozenset(message.configurations),
        frozenset(Bound(b.signal, b.low, b.high) for b in message.envelope),
    )


def scope_to_pb(scope: Scope) -> model_pb2.ModelScope:
    """Return a scope's message."""
    return model_pb2.ModelScope(
        asset_classes=sorted(scope.asset_classes),
        sites=sorted(scope.sites),
        configurations=sorted(scope.configurations),
        envelope=[
            model_pb2.ModelBound(signal=b.signal, low=b.low, high=b.high)
            for b in sorted(scope.envelope)
        ],
    )


def signature_from_pb(message: model_pb2.ModelSchema) -> ModelSchema:
    """Return the signature in a message."""
    return ModelSchema(_fields(message.inputs), _fields(message.outputs))


def _fields(messages: Iterable[model_pb2.ModelField]) -> tuple[ModelField, ...]:
    return tuple(ModelField(m.name, m.kind, m.unit, m.optional) for m in messages)


def _fields_to_pb(fields: Iterable[ModelField]) -> list[model_pb2.ModelField]:
    return [
        model_pb2.ModelField(name=f.name, kind=f.kind, unit=f.unit, optional=f.optional)
        for f in fields
    ]


def back_test_from_pb(message: model_pb2.BackTest) -> BackTest:
    """Return the back-test in a message; figures without a metric are none."""
    for figure in (message.achieved, message.baseline_achieved, message.threshold):
        if not math.isfinite(figure):
            raise InvalidInputError("a back-test's figures must be finite")
    return BackTest(
        reference=message.reference,
        metric=message.metric,
        achieved=message.achieved if message.metric else None,
        baseline=message.baseline,
        baseline_achieved=message.baseline_achieved if message.baseline else None,
        data_digest=message.data_digest,
        threshold=message.threshold if message.metric else None,
        lower_is_better=message.lower_is_better,
    )


def model_to_pb(model: ModelVersion) -> model_pb2.ModelVersion:
    """Return a model version's message."""
    period, test, recall = model.activation, model.back_test, model.recall
    return model_pb2.ModelVersion(
        name=model.name,
        version=str(model.version),
        artefact_digest=model.artefact_digest,
        state=MODEL_STATE_TO_PB[model.state],
        scope=scope_to_pb(model.scope),
        back_test=model_pb2.BackTest(
            reference=test.reference,
            metric=test.metric,
            achieved=test.achieved or 0.0,
            baseline=test.baseline,
            baseline_achieved=test.baseline_achieved or 0.0,
            data_digest=test.data_digest,
            threshold=test.threshold or 0.0,
            lower_is_better=test.lower_is_better,
        ),
        description=model.description,
        submitted_by=model.submitted_by,
        submitted_at=timestamp(model.submitted_at),
        approved_by=model.approved_by,
        approved_at=timestamp(model.approved_at),
        approval_note=model.approval_note,
        effective_from=timestamp(period.effective_from) if period else None,
        effective_to=timestamp(period.effective_to) if period else None,
        training_data=model.training_data,
        signature=model_pb2.ModelSchema(
            inputs=_fields_to_pb(model.signature.inputs),
            outputs=_fields_to_pb(model.signature.outputs),
        ),
        approval_expires_at=timestamp(model.approval_expires_at),
        signed=model.signed,
        activations=[
            model_pb2.ModelActivation(
                effective_from=timestamp(p.effective_from),
                effective_to=timestamp(p.effective_to),
                activated_by=p.activated_by,
                recorded_at=timestamp(p.recorded_at),
            )
            for p in model.activations
        ],
        recall=model_pb2.ModelRecall(
            recalled_by=recall.recalled_by,
            recalled_at=timestamp(recall.recalled_at),
            reason=recall.reason,
        )
        if recall
        else None,
    )


def derived_to_pb(derived: Derived) -> model_pb2.DerivedOutput:
    """Return a derived output's message."""
    output = derived.output
    return model_pb2.DerivedOutput(
        service=derived.service,
        subject=derived.subject,
        output_type=output.type,
        output_id=output.id,
        output_version=output.version,
        model=output.model,
        model_version=output.model_version,
        state=str(derived.state),
        configuration_version=derived.derivation.configuration_version,
        inputs_digest=derived.derivation.inputs_digest,
        at=timestamp(derived.at),
    )


def alarm_to_pb(alarm: ReplicaAlarm) -> model_pb2.ModelAlarm:
    """Return an alarm's message."""
    return model_pb2.ModelAlarm(
        service=alarm.service,
        instance=alarm.instance,
        model=alarm.model,
        plant_at=timestamp(alarm.plant_at),
        running=sorted(alarm.running),
        expected=sorted(alarm.expected),
        since=timestamp(alarm.since),
    )
