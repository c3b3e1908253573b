"""Models over REST."""

import base64
import binascii
from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import Field

from governance.http.shapes import Name, Strict, VersionText
from governance.model.contracts import Version
from governance.model.lineage import Derived, Impact, Receipt
from governance.model.releases import (
    ArtefactDigest,
    BackTest,
    Bound,
    ModelField,
    ModelName,
    ModelSchema,
    ModelVersion,
    Scope,
)
from governance.usecases import (
    ReadGovernance,
    ReadLineage,
    RecallModel,
    ReleaseModel,
    Submission,
)
from governance.usecases.models import MAX_ARTEFACT_BYTES
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
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    lower_is_better: bool = False


class BoundIn(Strict):
    """What a signal may say while a model holds, in its SI unit."""

    signal: str = Field(max_length=128)
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)


class FieldIn(Strict):
    """One input or output of a model."""

    name: str = Field(max_length=128)
    kind: str = Field(max_length=128)
    unit: str = Field(default="", max_length=128)
    optional: bool = False


class ModelIn(Strict):
    """A model version to submit; the artefact in base64, or the digest of one handed in before."""

    name: str = Field(max_length=64)
    version: str = Field(max_length=60)
    artefact_digest: str = Field(default="", max_length=71)
    artefact_base64: str = Field(default="", max_length=MAX_ARTEFACT_BYTES * 4 // 3 + 4)
    asset_classes: list[str] = Field(default=[], max_length=64)
    sites: list[str] = Field(default=[], max_length=64)
    configurations: list[str] = Field(default=[], max_length=64)
    envelope: list[BoundIn] = Field(default=[], max_length=64)
    back_test: BackTestIn = BackTestIn()
    description: str = Field(default="", max_length=2000)
    training_data: str = Field(default="", max_length=2000)
    inputs: list[FieldIn] = Field(default=[], max_length=256)
    outputs: list[FieldIn] = Field(default=[], max_length=256)
    draft: bool = False

    def submission(self) -> Submission:
        """Return what is handed in.

        Raises:
            InvalidInputError: The artefact is no base64.
        """
        try:
            artefact = base64.b64decode(self.artefact_base64, validate=True)
        except binascii.Error as error:
            raise InvalidInputError("artefact_base64 is not base64") from error
        return Submission(
            name=ModelName(self.name),
            version=Version.parse(self.version),
            digest=ArtefactDigest(self.artefact_digest) if self.artefact_digest else None,
            artefact=artefact,
            scope=Scope(
                frozenset(self.asset_classes),
                frozenset(self.sites),
                frozenset(self.configurations),
                frozenset(Bound(b.signal, b.low, b.high) for b in self.envelope),
            ),
            back_test=BackTest(**self.back_test.model_dump()),
            description=self.description,
            training_data=self.training_data,
            signature=ModelSchema(
                tuple(ModelField(**f.model_dump()) for f in self.inputs),
                tuple(ModelField(**f.model_dump()) for f in self.outputs),
            ),
            draft=self.draft,
        )


class ApprovalIn(Strict):
    """The second person's word."""

    note: str = Field(default="", max_length=2000)
    expires_at: datetime | None = None


class ActivationIn(Strict):
    """From when on; plant time, by default now."""

    effective_from: datetime | None = None


class RecallIn(Strict):
    """Why."""

    reason: str = Field(min_length=1, max_length=1000)


class ModelOut(Strict):
    """A model version."""

    name: str
    version: str
    artefact_digest: str
    state: str
    asset_classes: list[str]
    sites: list[str]
    configurations: list[str]
    back_test: BackTestIn
    training_data: str
    submitted_by: str
    submitted_at: datetime
    approved_by: str
    approved_at: datetime | None
    approval_expires_at: datetime | None
    signed: str
    effective_from: datetime | None
    effective_to: datetime | None
    recalled_at: datetime | None
    recall_reason: str

    @classmethod
    def of(cls, model: ModelVersion) -> Self:
        """Return a model version as JSON."""
        period, test, recall = model.activation, model.back_test, model.recall
        return cls(
            name=model.name,
            version=str(model.version),
            artefact_digest=model.artefact_digest,
            state=str(model.state),
            asset_classes=sorted(model.scope.asset_classes),
            sites=sorted(model.scope.sites),
            configurations=sorted(model.scope.configurations),
            back_test=BackTestIn(
                reference=test.reference,
                metric=test.metric,
                achieved=test.achieved,
                baseline=test.baseline,
                baseline_achieved=test.baseline_achieved,
                data_digest=test.data_digest,
                threshold=test.threshold,
                lower_is_better=test.lower_is_better,
            ),
            training_data=model.training_data,
            submitted_by=model.submitted_by,
            submitted_at=model.submitted_at,
            approved_by=model.approved_by,
            approved_at=model.approved_at,
            approval_expires_at=model.approval_expires_at,
            signed=model.signed,
            effective_from=period.effective_from if period else None,
            effective_to=period.effective_to if period else None,
            recalled_at=recall.recalled_at if recall else None,
            recall_reason=recall.reason if recall else "",
        )


class DerivedOut(Strict):
    """A derived output that a model version stands behind."""

    service: str
    subject: str
    type: str
    id: str
    version: int
    model: str
    model_version: str
    state: str
    configuration_version: str
    inputs_digest: str
    at: datetime

    @classmethod
    def of(cls, derived: Derived) -> Self:
        """Return a derived output as JSON."""
        output = derived.output
        return cls(
            service=derived.service,
            subject=derived.subject,
            type=output.type,
            id=output.id,
            version=output.version,
            model=output.model,
            model_version=output.model_version,
            state=str(derived.state),
            configuration_version=derived.derivation.configuration_version,
            inputs_digest=derived.derivation.inputs_digest,
            at=derived.at,
        )


class ReceiptOut(Strict):
    """A client consumed a version of an output."""

    client: str
    door: str
    type: str
    id: str
    version: int
    operation: str
    first_at: datetime
    last_at: datetime
    count: int

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return a receipt as JSON."""
        return cls(
            client=receipt.client,
            door=str(receipt.door),
            type=receipt.output.type,
            id=receipt.output.id,
            version=receipt.output.version,
            operation=receipt.operation,
            first_at=receipt.first_at,
            last_at=receipt.last_at,
            count=receipt.count,
        )


class ImpactOut(Strict):
    """What stands on a model version, and who consumed it."""

    outputs: list[DerivedOut]
    receipts: list[ReceiptOut]
    truncated: bool

    @classmethod
    def of(cls, impact: Impact) -> Self:
        """Return an impact as JSON."""
        return cls(
            outputs=[DerivedOut.of(d) for d in impact.outputs],
            receipts=[ReceiptOut.of(r) for r in impact.receipts],
            truncated=impact.truncated,
        )


class RecalledOut(ImpactOut):
    """What became of a recall."""

    model: ModelOut
    acknowledged_by: list[str]
    waiting_for: list[str]


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
        return ModelOut.of((await release.submit(current_principal(), body.submission())).model)

    @router.post("/models/{name}/{version}/approve")
    async def approve_model(name: Name, version: VersionText, body: ApprovalIn) -> ModelOut:
        """Approve a model version as a second person."""
        released = await release.approve(
            current_principal(),
            name=ModelName(name),
            version=Version.parse(version),
            note=body.note,
            expires_at=_zoned(body.expires_at, "expires_at"),
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/shadow")
    async def shadow_model(name: Name, version: VersionText) -> ModelOut:
        """Let an approved version run beside the active one."""
        released = await release.shadow(
            current_principal(), name=ModelName(name), version=Version.parse(version)
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/activate")
    async def activate_model(name: Name, version: VersionText, body: ActivationIn) -> ModelOut:
        """Make an approved version the active one for its scope, from a plant time on."""
        released = await release.activate(
            current_principal(),
            name=ModelName(name),
            version=Version.parse(version),
            effective_from=_zoned(body.effective_from, "effective_from"),
        )
        return ModelOut.of(released.model)

    @router.post("/models/{name}/{version}/retire")
    async def retire_model(name: Name, version: VersionText) -> ModelOut:
        """End a model version."""
        released = await release.retire(
            current_principal(), name=ModelName(name), version=Version.parse(version)
        )
        return ModelOut.of(released.model)


def add_recalls(router: APIRouter, recall: RecallModel, lineage: ReadLineage) -> None:
    """Add the routes about what stands on a model version."""

    @router.get("/models/{name}/{version}/impact")
    async def model_impact(name: Name, version: VersionText) -> ImpactOut:
        """Say what stands on a version, and who consumed it."""
        return ImpactOut.of(
            await lineage.impact(current_principal(), ModelName(name), Version.parse(version))
        )

    @router.post("/models/{name}/{version}/recall")
    async def recall_model(name: Name, version: VersionText, body: RecallIn) -> RecalledOut:
        """Let a version decide nothing more, and wait until no twin does by it."""
        done = await recall(
            current_principal(),
            name=ModelName(name),
            version=Version.parse(version),
            reason=body.reason,
        )
        return RecalledOut(
            **ImpactOut.of(done.impact).model_dump(),
            model=ModelOut.of(done.model),
            acknowledged_by=sorted(done.acknowledged_by),
            waiting_for=sorted(done.waiting_for),
        )


def _zoned(moment: datetime | None, name: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInputError(f"{name} needs a zone, for example a final Z")
    return moment
