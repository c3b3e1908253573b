"""The REST door for CI: what the gRPC door offers, in JSON."""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from governance import wire
from governance.decide.charter_shape import charter_schema
from governance.decide.registration import Pushed
from governance.model.contracts import (
    MAX_BUNDLES,
    MAX_DESCRIPTOR_BYTES,
    MAX_EVENTS,
    MAX_SDL_BYTES,
    Bundle,
    Contract,
    ContractState,
    EventDeclaration,
    Version,
)
from governance.model.findings import Finding
from governance.model.releases import ArtefactDigest, BackTest, ModelName, ModelVersion, Scope
from governance.usecases import PushContracts, ReadGovernance, ReleaseModel
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.request import current_principal

REFUSED: Final = 409
Name = Annotated[str, Path(max_length=64)]
VersionText = Annotated[str, Path(max_length=60)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventIn(_Strict):
    """An event type and its message."""

    type: str = Field(max_length=128)
    message: str = Field(max_length=200)


class BundleIn(_Strict):
    """One service version's contract."""

    service: str = Field(max_length=48)
    version: str = Field(max_length=60)
    charter: dict[str, Any] = Field(description="twin.yaml as JSON")
    sdl: str = Field(default="", max_length=MAX_SDL_BYTES)
    descriptor_set: str = Field(
        default="",
        max_length=MAX_DESCRIPTOR_BYTES * 4 // 3 + 4,
        description="serialised FileDescriptorSet with all imports, base64",
    )
    events: list[EventIn] = Field(default=[], max_length=MAX_EVENTS)
    subgraph_url: str = Field(default="", max_length=300)
    digest: str = Field(default="", max_length=64, description="refused when it differs")

    def bundle(self) -> Bundle:
        """Return what the use case takes.

        Raises:
            InvalidInputError: Something in it cannot be read.
        """
        try:
            descriptors = base64.b64decode(self.descriptor_set, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInputError("descriptor_set is not base64") from error
        return wire.make_bundle(
            service=self.service,
            version=self.version,
            charter=wire.read_charter(json.dumps(self.charter).encode()),
            sdl=self.sdl,
            descriptor_set=descriptors,
            events=tuple(EventDeclaration(e.type, e.message) for e in self.events),
            subgraph_url=self.subgraph_url,
            claimed_digest=self.digest,
        )


class PushIn(_Strict):
    """Contracts to register together."""

    bundles: list[BundleIn] = Field(min_length=1, max_length=MAX_BUNDLES)
    dry_run: bool = False


class FindingOut(_Strict):
    """What a rule found."""

    severity: str
    code: str
    subject: str
    message: str
    hint: str
    service: str

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return a finding as JSON."""
        return cls(
            severity=str(finding.severity),
            code=finding.code,
            subject=finding.subject,
            message=finding.message,
            hint=finding.hint,
            service=str(finding.service),
        )


class OutcomeOut(_Strict):
    """What became of one contract."""

    service: str
    version: str
    digest: str
    state: ContractState
    changed: bool
    findings: list[FindingOut]

    @classmethod
    def of(cls, pushed: Pushed) -> Self:
        """Return an outcome as JSON."""
        return cls(
            service=pushed.bundle.service,
            version=str(pushed.bundle.version),
            digest=pushed.bundle.digest,
            state=pushed.state,
            changed=pushed.changed,
            findings=[FindingOut.of(f) for f in pushed.findings],
        )


class PushOut(_Strict):
    """What became of a push; `accepted` is false when any contract was refused."""

    accepted: bool
    outcomes: list[OutcomeOut]
    supergraph_digest: str


class ContractOut(_Strict):
    """A registered contract, without its schemas."""

    service: str
    version: str
    digest: str
    state: ContractState
    kind: str
    owner: dict[str, str]
    subgraph_url: str
    events: list[EventIn]
    consumes: list[str]
    pushed_at: datetime
    pushed_by: str
    findings: list[FindingOut]

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return a contract as JSON."""
        bundle = contract.bundle
        return cls(
            service=bundle.service,
            version=str(bundle.version),
            digest=bundle.digest,
            state=contract.state,
            kind=bundle.kind,
            owner=bundle.owner,
            subgraph_url=bundle.subgraph_url,
            events=[EventIn(type=e.type, message=e.message) for e in bundle.events],
            consumes=list(bundle.consumes),
            pushed_at=contract.pushed_at,
            pushed_by=contract.pushed_by,
            findings=[FindingOut.of(f) for f in contract.findings],
        )


class SupergraphOut(_Strict):
    """The supergraph in force."""

    digest: str
    sdl: str
    subgraphs: dict[str, str]


class BackTestIn(_Strict):
    """The recorded proof on which a model is approved."""

    reference: str = Field(default="", max_length=2000)
    metric: str = Field(default="", max_length=2000)
    achieved: float | None = Field(default=None, allow_inf_nan=False)
    baseline: str = Field(default="", max_length=2000)
    baseline_achieved: float | None = Field(default=None, allow_inf_nan=False)
    data_digest: str = Field(default="", max_length=2000)


class ModelIn(_Strict):
    """A model version to submit."""

    name: str = Field(max_length=64)
    version: str = Field(max_length=60)
    artefact_digest: str = Field(max_length=71)
    asset_classes: list[str] = Field(default=[], max_length=64)
    sites: list[str] = Field(default=[], max_length=64)
    back_test: BackTestIn = BackTestIn()
    description: str = Field(default="", max_length=2000)


class ApprovalIn(_Strict):
    """The second person's word."""

    note: str = Field(default="", max_length=2000)


class ActivationIn(_Strict):
    """From when on; plant time, by default now."""

    effective_from: datetime | None = None


class ModelOut(_Strict):
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


def ci_router(push: PushContracts, read: ReadGovernance, release: ReleaseModel) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/v1", tags=["governance"])
    _add_contracts(router, push, read)
    _add_models(router, read, release)
    return router


def _add_contracts(router: APIRouter, push: PushContracts, read: ReadGovernance) -> None:
    @router.post("/contracts", responses={REFUSED: {"model": PushOut}})
    async def push_contracts(body: PushIn, response: Response) -> PushOut:
        """Register contracts; 409 with every reason when any is refused."""
        result = await push(
            current_principal(), [b.bundle() for b in body.bundles], dry_run=body.dry_run
        )
        accepted = all(o.state is not ContractState.REFUSED for o in result.outcomes)
        response.status_code = 200 if accepted else REFUSED
        return PushOut(
            accepted=accepted,
            outcomes=[OutcomeOut.of(o) for o in result.outcomes],
            supergraph_digest=result.supergraph_digest,
        )

    @router.get("/contracts")
    async def list_contracts() -> list[ContractOut]:
        """List the contracts in force."""
        current_principal()
        return [ContractOut.of(c) for c in await read.contracts()]

    @router.get("/contracts/{service}")
    async def list_versions(service: Name) -> list[ContractOut]:
        """List all versions of a service's contract, newest first."""
        current_principal()
        if not (found := await read.contracts(service)):
            raise NotFoundError(f"no contract {service}")
        return [ContractOut.of(c) for c in found]

    @router.get("/supergraph")
    async def get_supergraph() -> SupergraphOut:
        """Return the supergraph in force."""
        current_principal()
        supergraph = (await read.mesh()).supergraph
        if supergraph is None:
            raise NotFoundError("no subgraph is in force yet")
        return SupergraphOut(
            digest=supergraph.digest, sdl=supergraph.sdl, subgraphs=supergraph.urls
        )

    @router.get("/charter.schema.json")
    async def get_charter_schema() -> dict[str, Any]:
        """Return the JSON Schema of twin.yaml."""
        return charter_schema()


def _add_models(router: APIRouter, read: ReadGovernance, release: ReleaseModel) -> None:
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
