"""Models over REST."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import Field

from governance.http.shapes import Name, Strict, VersionText
from governance.model.contracts import Version
from governance.model.releases import ArtefactDigest, BackTest, ModelName, ModelVersion, Scope
from governance.usecases import ReadGovernance, ReleaseModel
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.request import current_principal


class BackTestIn(Strict):
    """The recorded proof on which a model is approved."""

    reference: str = Field(default="", max_length=2000)
    metric: str = Field(default="", max_length=2000)
    achieved: float | None = Field(default=None, allow_inf_nan=False)
    baseline: str = Field(default="", max_length=2000)
    baseline_achieved: float | None = Field(default=None, allow_inf_nan=False)
    data_digest: str = Field(default="", max_length=2000)


class ModelIn(Strict):
    """A model version to submit."""

    name: str = Field(max_length=64)
    version: str = Field(max_length=60)
    artefact_digest: str = Field(max_length=71)
    asset_classes: list[str] = Field(default=[], max_length=64)
    sites: list[str] = Field(default=[], max_length=64)
    back_test: BackTestIn = BackTestIn()
    description: str = Field(default="", max_length=2000)


class ApprovalIn(Strict):
    """The second person's word."""

    note: str = Field(default="", max_length=2000)


class ActivationIn(Strict):
    """From when on; plant time, by default now."""

    effective_from: datetime | None = None


class ModelOut(Strict):
    """A model version."""

    name: str
    version: str
    artefact_digest: str
    state: str
    asset_classes: list[str]
    sites: list[str]
    back_test: BackTestIn
    submitted_by: str
    submitted_at: datetime
    approved_by: str
    approved_at: datetime | None
    effective_from: datetime | None
    effective_to: datetime | None

    @classmethod
    def of(cls, model: ModelVersion) -> Self:
        """Return a model version as JSON."""
        period, test = model.activation, model.back_test
        return cls(
            name=model.name,
            version=str(model.version),
            artefact_digest=model.artefact_digest,
            state=str(model.state),
            asset_classes=sorted(model.scope.asset_classes),
            sites=sorted(model.scope.sites),
            back_test=BackTestIn(
                reference=test.reference,
                metric=test.metric,
                achieved=test.achieved,
                baseline=test.baseline,
                baseline_achieved=test.baseline_achieved,
                data_digest=test.data_digest,
            ),
            submitted_by=model.submitted_by,
            submitted_at=model.submitted_at,
            approved_by=model.approved_by,
            approved_at=model.approved_at,
            effective_from=period.effective_from if period else None,
            effective_to=period.effective_to if period else None,
        )


def add_models(router: APIRouter, read: ReadGovernance, release: ReleaseModel) -> None:
    """Add the routes about models."""

    @router.get("/models")
    async def list_models(name: str = "") -> list[ModelOut]:
        """List model versions, newest first."""
        current_principal()
        return [ModelOut.of(m) for m in await read.models(name)]

    @router.post("/models")
    async def submit_model(body: ModelIn) -> ModelOut:
        """Submit a model version as its author."""
        released = await release.submit(
            current_principal(),
            name=ModelName(body.name),
            version=Version.parse(body.version),
            artefact_digest=ArtefactDigest(body.artefact_digest),
            scope=Scope(frozenset(body.asset_classes), frozenset(body.sites)),
            back_test=BackTest(**body.back_test.model_dump()),
            description=body.description,
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/approve")
    async def approve_model(name: Name, version: VersionText, body: ApprovalIn) -> ModelOut:
        """Approve a model version as a second person."""
        released = await release.approve(
            current_principal(),
            name=ModelName(name),
            version=Version.parse(version),
            note=body.note,
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/activate")
    async def activate_model(name: Name, version: VersionText, body: ActivationIn) -> ModelOut:
        """Make an approved version the active one for its scope, from a plant time on."""
        if body.effective_from is not None and body.effective_from.tzinfo is None:
            raise InvalidInputError("effective_from needs a zone, for example a final Z")
        released = await release.activate(
            current_principal(),
            name=ModelName(name),
            version=Version.parse(version),
            effective_from=body.effective_from,
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/retire")
    async def retire_model(name: Name, version: VersionText) -> ModelOut:
        """End a model version."""
        released = await release.retire(
            current_principal(), name=ModelName(name), version=Version.parse(version)
        )
        return ModelOut.of(released.model)
