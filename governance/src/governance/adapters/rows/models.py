"""Model versions."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.contracts import Version
from governance.model.releases import (
    Activation,
    ArtefactDigest,
    BackTest,
    ModelName,
    ModelState,
    ModelVersion,
    Scope,
)


def model_row(model: ModelVersion) -> dict[str, Any]:
    """Return a model version as columns."""
    period = model.activation
    test = model.back_test
    return {
        "name": str(model.name),
        "version": str(model.version),
        "artefact_digest": str(model.artefact_digest),
        "state": str(model.state),
        "scope": {
            "asset_classes": sorted(model.scope.asset_classes),
            "sites": sorted(model.scope.sites),
        },
        "back_test": {
            "reference": test.reference,
            "metric": test.metric,
            "achieved": test.achieved,
            "baseline": test.baseline,
            "baseline_achieved": test.baseline_achieved,
            "data_digest": test.data_digest,
        },
        "description": model.description,
        "submitted_by": model.submitted_by,
        "submitted_at": model.submitted_at,
        "approved_by": model.approved_by,
        "approved_at": model.approved_at,
        "approval_note": model.approval_note,
        "effective_from": period.effective_from if period else None,
        "effective_to": period.effective_to if period else None,
        "activated_by": period.activated_by if period else "",
        "activated_at": period.recorded_at if period else None,
    }


def model_of(row: Row) -> ModelVersion:
    """Return the model version in a row."""
    activation = None
    if row["effective_from"] is not None:
        activation = Activation(
            effective_from=utc(row["effective_from"]),
            effective_to=utc(row["effective_to"]) if row["effective_to"] else None,
            activated_by=row["activated_by"],
            recorded_at=utc(row["activated_at"]),
        )
    return ModelVersion(
        name=ModelName(row["name"]),
        version=Version.parse(row["version"]),
        artefact_digest=ArtefactDigest(row["artefact_digest"]),
        scope=Scope(frozenset(row["scope"]["asset_classes"]), frozenset(row["scope"]["sites"])),
        back_test=BackTest(**row["back_test"]),
        description=row["description"],
        submitted_by=row["submitted_by"],
        submitted_at=utc(row["submitted_at"]),
        state=ModelState(row["state"]),
        approved_by=row["approved_by"],
        approved_at=utc(row["approved_at"]) if row["approved_at"] else None,
        approval_note=row["approval_note"],
        activation=activation,
    )
