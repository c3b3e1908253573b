"""Who uses contracts, what is deprecated, what runs where: in the graph."""

from datetime import datetime
from typing import Final, Self

import strawberry

from governance.model.changes import Override
from governance.model.deployments import Deployment, DeploymentState
from governance.model.findings import Consumer
from governance.model.signatures import ModelSignature, Port
from governance.subgraph.context import Context
from governance.usecases.consumers import Deprecated
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.graphql import Connection, bounded, decode_cursor, encode_cursor, paged

MAX_LISTED: Final = 100
"""How many consumers, deprecations or deployments a contract is listed with."""

DeploymentStateType = strawberry.enum(
    DeploymentState, name="DeploymentState", description="Where a deployed version stands."
)


@strawberry.type(name="ContractConsumer", description="Who uses a part of a contract.")
class ConsumerType:
    """See `Consumer`."""

    name: str = strawberry.field(description="The service, or the client id.")
    team: str = strawberry.field(description="Who owns it; empty where nobody has said.")
    contact: str = strawberry.field(description="Where to reach the team.")
    parts: list[str] = strawberry.field(description="What it uses, at most 20 parts.")
    last_at: datetime | None = strawberry.field(description="Wall time of the last use seen.")
    count: int = strawberry.field(description="How often it was seen, at most 2147483647.")

    @classmethod
    def of(cls, consumer: Consumer) -> Self:
        """Return the graph's view of a consumer."""
        return cls(
            name=consumer.name,
            team=consumer.team,
            contact=consumer.contact,
            parts=list(consumer.parts),
            last_at=consumer.last_at,
            count=min(consumer.count, 2**31 - 1),
        )


@strawberry.type(name="ContractDeprecation", description="What nobody should use any more.")
class DeprecationType:
    """See `Deprecated`."""

    coordinate: str = strawberry.field(description="`Type.field`, or `package.Message.field`.")
    version: str = strawberry.field(description="The first version that said so.")
    reason: str = strawberry.field(description="Why; empty where nothing is said.")
    since: datetime = strawberry.field(description="Wall time.")
    removal_from: datetime = strawberry.field(description="When it may go, if nobody uses it.")
    consumers: list[ConsumerType] = strawberry.field(description="Who still uses it.")

    @classmethod
    def of(cls, deprecated: Deprecated) -> Self:
        """Return the graph's view of a deprecation."""
        each = deprecated.deprecation
        return cls(
            coordinate=each.coordinate,
            version=each.version,
            reason=each.reason,
            since=each.since,
            removal_from=deprecated.removal_from,
            consumers=[ConsumerType.of(consumer) for consumer in deprecated.consumers],
        )


@strawberry.type(name="ContractDeployment", description="A version in an environment.")
class DeploymentType:
    """See `Deployment`."""

    environment: str = strawberry.field(description="Where it runs.")
    version: str = strawberry.field(description="Semantic version.")
    state: DeploymentState = strawberry.field(description="Where it stands.")
    recorded_at: datetime = strawberry.field(description="Wall time of the last word.")
    recorded_by: str = strawberry.field(description="Who said it.")

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """Return the graph's view of a deployment."""
        return cls(
            environment=str(deployment.environment),
            version=str(deployment.version),
            state=deployment.state,
            recorded_at=deployment.recorded_at,
            recorded_by=deployment.recorded_by,
        )


@strawberry.type(name="ContractModelPort", description="One input or output of a model.")
class PortType:
    """See `Port`."""

    name: str = strawberry.field(description="Its name.")
    unit: str = strawberry.field(description="SI; empty for a number without one.")
    optional: bool = strawberry.field(description="It may be absent.")

    @classmethod
    def of(cls, port: Port) -> Self:
        """Return the graph's view of a port."""
        return cls(name=port.name, unit=port.unit, optional=port.optional)


@strawberry.type(name="ContractModel", description="What a model of a service takes and gives.")
class SignatureType:
    """See `ModelSignature`."""

    name: str = strawberry.field(description="The model's name.")
    inputs: list[PortType] = strawberry.field(description="What it takes.")
    outputs: list[PortType] = strawberry.field(description="What it gives.")

    @classmethod
    def of(cls, signature: ModelSignature) -> Self:
        """Return the graph's view of a signature."""
        return cls(
            name=signature.name,
            inputs=[PortType.of(port) for port in signature.inputs],
            outputs=[PortType.of(port) for port in signature.outputs],
        )


@strawberry.type(name="ContractOverride", description="A refusal that two persons took back.")
class OverrideType:
    """See `Override`."""

    id: strawberry.ID = strawberry.field(description="Its id.")
    service: str = strawberry.field(description="Whose contract.")
    version: str = strawberry.field(description="Which version.")
    findings: list[str] = strawberry.field(description="Code and subject of each finding.")
    reason: str = strawberry.field(description="The words of who asked.")
    requested_by: str = strawberry.field(description="Who asked.")
    requested_at: datetime = strawberry.field(description="Wall time.")
    approved_by: str | None = strawberry.field(description="The second person; null before.")
    approved_at: datetime | None = strawberry.field(description="Wall time.")
    expires_at: datetime = strawberry.field(description="From when it permits nothing any more.")

    @classmethod
    def of(cls, override: Override) -> Self:
        """Return the graph's view of an override."""
        return cls(
            id=strawberry.ID(override.id),
            service=override.service,
            version=str(override.version),
            findings=[f"{code} {subject}" for code, subject in override.findings],
            reason=override.reason,
            requested_by=override.requested_by,
            requested_at=override.requested_at,
            approved_by=override.approved_by or None,
            approved_at=override.approved_at,
            expires_at=override.expires_at,
        )


@strawberry.type
class OverrideQuery:
    """What is asked about overrides."""

    @strawberry.field(
        description="Overrides of refusals, the newest first; expired ones too.",
        directives=[paged()],
    )  # type: ignore[untyped-decorator]
    async def contract_overrides(
        self,
        info: strawberry.Info[Context, None],
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[OverrideType]:
        """Return one page of overrides."""
        current_principal()
        size = bounded(first)
        found = await info.context.overrides.all(expired=True)
        if start := decode_cursor(after, str):
            ids = [str(each.id) for each in found]
            found = found[ids.index(start[0]) + 1 :] if start[0] in ids else []
        return Connection[OverrideType].page(
            [OverrideType.of(o) for o in found[: size + 1]],
            lambda row: encode_cursor(str(row.id)),
            first=size,
        )
