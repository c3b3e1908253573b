"""Model versions."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.contracts import Version
from governance.model.releases import (
    Activation,
    ArtefactDigest,
    BackTest,
    Bound,
    ModelField,
    ModelName,
    ModelSchema,
    ModelState,
    ModelVersion,
    Recall,
    Scope,
)
from twinmesh_sdk.core.times import format_time, parse_time


def model_row(model: ModelVersion) -> dict[str, Any]:
    """Return a model version as columns."""
    return {
        "name": str(model.name),
        "version": str(model.version),
        "artefact_digest": str(model.artefact_digest),
        "state": str(model.state),
        "scope": {
            "asset_classes": sorted(model.scope.asset_classes),
            "sites": sorted(model.scope.sites),
            "configurations": sorted(model.scope.configurations),
            "envelope": [asdict(bound) for bound in sorted(model.scope.envelope)],
        },
        "back_test": asdict(model.back_test),
        "description": model.description,
        "submitted_by": model.submitted_by,
        "submitted_at": model.submitted_at,
        "training_data": model.training_data,
        "signature": asdict(model.signature),
        "approved_by": model.approved_by,
        "approved_at": model.approved_at,
        "approval_note": model.approval_note,
        "approval_expires_at": model.approval_expires_at,
        "signed": model.signed,
        "activations": [_activation_json(period) for period in model.activations],
        "recall": _recall_json(model.recall) if model.recall else None,
    }


def model_of(row: Row) -> ModelVersion:
    """Return the model version in a row."""
    scope, expires = row["scope"], row["approval_expires_at"]
    return ModelVersion(
        name=ModelName(row["name"]),
        version=Version.parse(row["version"]),
        artefact_digest=ArtefactDigest(row["artefact_digest"]),
        scope=Scope(
            frozenset(scope["asset_classes"]),
            frozenset(scope["sites"]),
            frozenset(scope.get("configurations", ())),
            frozenset(Bound(**bound) for bound in scope.get("envelope", ())),
        ),
        back_test=BackTest(**row["back_test"]),
        description=row["description"],
        submitted_by=row["submitted_by"],
        submitted_at=utc(row["submitted_at"]),
        training_data=row["training_data"],
        signature=ModelSchema(
            _fields(row["signature"].get("inputs", ())),
            _fields(row["signature"].get("outputs", ())),
        ),
        state=ModelState(row["state"]),
        approved_by=row["approved_by"],
        approved_at=utc(row["approved_at"]) if row["approved_at"] else None,
        approval_note=row["approval_note"],
        approval_expires_at=utc(expires) if expires else None,
        signed=row["signed"],
        activations=tuple(_activation_of(period) for period in row["activations"]),
        recall=_recall_of(row["recall"]) if row["recall"] else None,
    )


def _fields(values: Iterable[Mapping[str, Any]]) -> tuple[ModelField, ...]:
    return tuple(ModelField(**value) for value in values)


def _activation_json(period: Activation) -> dict[str, Any]:
    until = period.effective_to
    return {
        "effective_from": format_time(period.effective_from),
        "effective_to": None if until is None else format_time(until),
        "activated_by": period.activated_by,
        "recorded_at": format_time(period.recorded_at),
    }


def _activation_of(value: Mapping[str, Any]) -> Activation:
    until = value["effective_to"]
    return Activation(
        effective_from=parse_time(value["effective_from"]),
        effective_to=None if until is None else parse_time(until),
        activated_by=value["activated_by"],
        recorded_at=parse_time(value["recorded_at"]),
    )


def _recall_json(recall: Recall) -> dict[str, Any]:
    return {
        "recalled_by": recall.recalled_by,
        "recalled_at": format_time(recall.recalled_at),
        "reason": recall.reason,
    }


def _recall_of(value: Mapping[str, Any]) -> Recall:
    return Recall(value["recalled_by"], parse_time(value["recalled_at"]), value["reason"])
