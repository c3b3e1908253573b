"""Contracts in the graph."""

from datetime import datetime
from typing import Self

import strawberry

from governance.model.contracts import Contract, ContractState
from governance.subgraph.consumers import (
    MAX_LISTED,
    ConsumerType,
    DeploymentType,
    DeprecationType,
    SignatureType,
)
from governance.subgraph.context import Context
from governance.subgraph.reality import RealityType
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.graphql import Connection, bounded, decode_cursor, encode_cursor, paged

ContractStateType = strawberry.enum(
    ContractState, name="ContractState", description="Where a version of a contract stands."
)


@strawberry.type(name="ContractEvent", description="An event type that a service publishes.")
class EventType:
    """See `EventDeclaration`."""

    type: str = strawberry.field(description="`<domain>.<noun>.<past-verb>.v<major>`.")
    message: str = strawberry.field(description="Full name of the payload's protobuf message.")
    schema_digest: str = strawberry.field(description="SHA-256 of the schema, hexadecimal.")


@strawberry.type(name="ContractBudget", description="How old an input may be for a decision.")
class BudgetType:
    """See `Bundle.budgets`."""

    decision: str = strawberry.field(description="Name of the decision, as in trust(for:).")
    budget_s: float = strawberry.field(description="Largest age that it tolerates, seconds.")


@strawberry.type(name="ContractFinding", description="What a rule said about a contract.")
class FindingType:
    """See `Finding`."""

    code: str = strawberry.field(description="Name of the rule.")
    severity: str = strawberry.field(description="ERROR, PENDING or WARNING.")
    subject: str = strawberry.field(description="The type, field, event or path it is about.")
    message: str = strawberry.field(description="What is the matter.")
    hint: str = strawberry.field(description="What the owner can do.")
    service: str = strawberry.field(description="The service concerned.")


@strawberry.federation.type(
    name="Contract", keys=["service"], description="What a service serves and consumes."
)
class ContractType:
    """See `Contract`."""

    service: strawberry.ID = strawberry.field(description="The service's name.")
    version: str = strawberry.field(description="Semantic version in force.")
    digest: str = strawberry.field(description="SHA-256 of the bundle, hexadecimal.")
    state: ContractState = strawberry.field(description="Where it stands.")
    kind: str = strawberry.field(description="`domain` or `foundation`.")
    decision: str = strawberry.field(description="The decision that it improves.")
    team: str = strawberry.field(description="The team that owns it.")
    contact: str = strawberry.field(description="Where to reach the team.")
    on_call: str = strawberry.field(description="Where to reach who is on call.")
    subgraph_url: str | None = strawberry.field(description="Its subgraph; null when none.")
    events: list[EventType] = strawberry.field(description="Event types that it alone publishes.")
    consumes: list[str] = strawberry.field(description="Event types of others that it handles.")
    budgets: list[BudgetType] = strawberry.field(description="Freshness budgets it declares.")
    findings: list[FindingType] = strawberry.field(description="What the rules said about it.")
    pushed_at: datetime = strawberry.field(description="Wall time of the push.")
    pushed_by: str = strawberry.field(description="Who pushed it.")
    models: list[SignatureType] = strawberry.field(description="What its models take and give.")

    @strawberry.field(description="Who uses it: seen within the window, or declared; the last 100.")  # type: ignore[untyped-decorator]
    async def consumers(self, info: strawberry.Info[Context, None]) -> list[ConsumerType]:
        """Return who uses it, the most recent first."""
        found = await info.context.consumers.load(str(self.service))
        return [ConsumerType.of(consumer) for consumer in found[:MAX_LISTED]]

    @strawberry.field(description="What nobody should use any more; at most 100.")  # type: ignore[untyped-decorator]
    async def deprecations(self, info: strawberry.Info[Context, None]) -> list[DeprecationType]:
        """Return what it deprecates."""
        found = await info.context.deprecated.load(str(self.service))
        return [DeprecationType.of(each) for each in found[:MAX_LISTED]]

    @strawberry.field(description="Which of its versions run where; at most 100.")  # type: ignore[untyped-decorator]
    async def deployments(self, info: strawberry.Info[Context, None]) -> list[DeploymentType]:
        """Return its deployments."""
        found = await info.context.deployed.load(str(self.service))
        return [DeploymentType.of(each) for each in found[:MAX_LISTED]]

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="What its charter promises and what was achieved, for the caller's tenant."
    )
    async def reality(self, info: strawberry.Info[Context, None]) -> list[RealityType]:
        """Return where its promises stand."""
        found = await info.context.standings.load(str(self.service))
        return [RealityType.of(each) for each in found]

    @classmethod
    async def resolve_reference(
        cls, info: strawberry.Info[Context, None], service: strawberry.ID
    ) -> Self | None:
        """Return a service's contract in force; null when there is none."""
        for contract in await info.context.read.contracts():
            if str(contract.bundle.service) == str(service):
                return cls.of(contract)
        return None

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return the graph's view of a contract."""
        bundle = contract.bundle
        decision = bundle.charter.get("decision", "")
        return cls(
            service=strawberry.ID(bundle.service),
            version=str(bundle.version),
            digest=bundle.digest,
            state=contract.state,
            kind=bundle.kind,
            decision=decision if isinstance(decision, str) else _sentence(decision),
            team=bundle.owner.get("team", ""),
            contact=bundle.owner.get("contact", ""),
            on_call=bundle.owner.get("on_call", ""),
            subgraph_url=bundle.subgraph_url if bundle.sdl else None,
            events=[
                EventType(
                    type=e.type,
                    message=e.message,
                    schema_digest=bundle.event_digests.get(e.type, ""),
                )
                for e in bundle.events
            ],
            consumes=list(bundle.consumes),
            budgets=[BudgetType(decision=d, budget_s=s) for d, s in sorted(bundle.budgets.items())],
            findings=[
                FindingType(
                    code=f.code,
                    severity=str(f.severity),
                    subject=f.subject,
                    message=f.message,
                    hint=f.hint,
                    service=str(f.service),
                )
                for f in contract.findings
            ],
            pushed_at=contract.pushed_at,
            pushed_by=contract.pushed_by,
            models=[SignatureType.of(model) for model in bundle.models],
        )


@strawberry.type
class ContractQuery:
    """What is asked about contracts."""

    @strawberry.field(description="The contracts in force, by service.", directives=[paged()])  # type: ignore[untyped-decorator]
    async def contracts(
        self,
        info: strawberry.Info[Context, None],
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ContractType]:
        """Return one page of contracts."""
        current_principal()
        size = bounded(first)
        start = decode_cursor(after, str)
        found = await info.context.read.contracts()
        rows = [c for c in found if start is None or c.bundle.service > start[0]]
        return Connection[ContractType].page(
            [ContractType.of(c) for c in rows[: size + 1]],
            lambda row: encode_cursor(str(row.service)),
            first=size,
        )


def _sentence(answers: object) -> str:
    if isinstance(answers, dict):
        return "; ".join(f"{name}: {answer}" for name, answer in answers.items())
    return str(answers)
