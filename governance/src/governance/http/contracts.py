"""Contracts over REST."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any, Final, Self

from fastapi import APIRouter, Response
from pydantic import Field

from governance import wire
from governance.decide.charter_shape import charter_schema
from governance.decide.registration import Pushed
from governance.http.shapes import Name, Strict
from governance.model.contracts import (
    MAX_BUNDLES,
    MAX_DESCRIPTOR_BYTES,
    MAX_EVENTS,
    MAX_SDL_BYTES,
    Bundle,
    Contract,
    ContractState,
    EventDeclaration,
)
from governance.model.findings import Consumer, Finding
from governance.usecases import PushContracts, ReadGovernance
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.request import current_principal

REFUSED: Final = 409


class EventIn(Strict):
    """An event type and its message."""

    type: str = Field(max_length=128)
    message: str = Field(max_length=200)


class BundleIn(Strict):
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


class PushIn(Strict):
    """Contracts to register together."""

    bundles: list[BundleIn] = Field(min_length=1, max_length=MAX_BUNDLES)
    dry_run: bool = False


class ConsumerOut(Strict):
    """Who would notice a change; `last_at` is null when the use is only declared."""

    name: str
    team: str
    contact: str
    parts: list[str]
    last_at: datetime | None
    count: int

    @classmethod
    def of(cls, consumer: Consumer) -> Self:
        """Return a consumer as JSON."""
        return cls(
            name=consumer.name,
            team=consumer.team,
            contact=consumer.contact,
            parts=list(consumer.parts),
            last_at=consumer.last_at,
            count=consumer.count,
        )


class FindingOut(Strict):
    """What a rule found."""

    severity: str
    code: str
    subject: str
    message: str
    hint: str
    service: str
    consumers: list[ConsumerOut] = Field(default=[], description="who uses what would change")
    looked_since: datetime | None = Field(
        default=None, description="how far back uses were looked at; null where they do not matter"
    )

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Return a finding as JSON."""
        return cls(
            severity=str(finding.severity),
            code=finding.code,
            subject=finding.subject,
            message=finding.words,
            hint=finding.hint,
            service=str(finding.service),
            consumers=[ConsumerOut.of(each) for each in finding.consumers],
            looked_since=finding.looked_since,
        )


class OutcomeOut(Strict):
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


class PushOut(Strict):
    """What became of a push; `accepted` is false when any contract was refused."""

    accepted: bool
    outcomes: list[OutcomeOut]
    supergraph_digest: str


class ContractOut(Strict):
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


class SupergraphOut(Strict):
    """The supergraph in force."""

    digest: str
    sdl: str
    subgraphs: dict[str, str]


def add_contracts(router: APIRouter, push: PushContracts, read: ReadGovernance) -> None:
    """Add the routes about contracts."""

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
