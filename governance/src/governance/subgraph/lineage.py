"""What was derived from what, and who consumed it, in the graph."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import strawberry

from governance.model.contracts import Version
from governance.model.lineage import Derived, Receipt
from governance.model.releases import ModelName
from governance.model.replicas import ReplicaAlarm
from governance.subgraph.context import Context
from governance.usecases.lineage import MAX_PER_ASSET
from twinmesh_sdk.core.consumption import Door, OutputState
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.graphql import Int64, bounded

DoorType = strawberry.enum(
    Door, name="ReceiptDoor", description="How an output left the mesh's hands."
)
OutputStateType = strawberry.enum(
    OutputState,
    name="DerivedOutputState",
    description="OPEN asks for a decision, STANDING holds until it is replaced.",
)
MAX_FIRST = 1_000


@strawberry.type(name="DerivedOutput", description="What a model version derived.")
class DerivedType:
    """See `Derived`."""

    service: str = strawberry.field(description="Who derived it.")
    type: str = strawberry.field(description="Its GraphQL type.")
    id: strawberry.ID = strawberry.field(description="Its id.")
    version: Int64 = strawberry.field(description="Its own version; 0 where it has none.")
    asset_id: strawberry.ID = strawberry.field(description="The asset that it is about.")
    model: str = strawberry.field(description="The model.")
    model_version: str = strawberry.field(description="The model's version.")
    state: OutputState = strawberry.field(description="Where it stands.")
    configuration_version: str = strawberry.field(description="Active when it was derived.")
    inputs_digest: str = strawberry.field(description="Digest of its input window.")
    at: datetime = strawberry.field(description="Plant time at which it became true.")

    @classmethod
    def of(cls, derived: Derived) -> Self:
        """Return the GraphQL value."""
        output, derivation = derived.output, derived.derivation
        return cls(
            service=derived.service,
            type=output.type,
            id=strawberry.ID(output.id),
            version=Int64(output.version),
            asset_id=strawberry.ID(derived.subject),
            model=output.model,
            model_version=output.model_version,
            state=derivation.state,
            configuration_version=derivation.configuration_version,
            inputs_digest=derivation.inputs_digest,
            at=derived.at,
        )


@strawberry.type(name="Receipt", description="A client consumed a version of a derived output.")
class ReceiptType:
    """See `Receipt`."""

    client: str = strawberry.field(description="Client id, service, or system copied to.")
    door: Door = strawberry.field(description="How it got it.")
    type: str = strawberry.field(description="The output's type.")
    id: strawberry.ID = strawberry.field(description="The output's id.")
    version: Int64 = strawberry.field(description="The output's version.")
    operation: str = strawberry.field(description="What it was read with last.")
    first_at: datetime = strawberry.field(description="Wall time.")
    last_at: datetime = strawberry.field(description="Wall time.")
    count: Int64 = strawberry.field(description="How often.")

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """Return the GraphQL value."""
        return cls(
            client=receipt.client,
            door=receipt.door,
            type=receipt.output.type,
            id=strawberry.ID(receipt.output.id),
            version=Int64(receipt.output.version),
            operation=receipt.operation,
            first_at=receipt.first_at,
            last_at=receipt.last_at,
            count=Int64(receipt.count),
        )


@strawberry.type(description="What stands on a model version, and who consumed it.")
class ModelImpact:
    """See `Impact`."""

    outputs: list[DerivedType] = strawberry.field(description="Open decisions first.")
    receipts: list[ReceiptType] = strawberry.field(description="The last first.")
    truncated: bool = strawberry.field(description="There is more than was asked for.")


@strawberry.type(description="A process that runs other model versions than the schedule says.")
class ModelAlarm:
    """See `ReplicaAlarm`."""

    service: str = strawberry.field(description="The twin.")
    instance: str = strawberry.field(description="Its process.")
    model: str = strawberry.field(description="The model.")
    plant_at: datetime = strawberry.field(description="Plant time at its last heartbeat.")
    running: list[str] = strawberry.field(description="Versions that it runs.")
    expected: list[str] = strawberry.field(description="Versions that it should run.")
    since: datetime = strawberry.field(description="Wall time of its first notice.")

    @classmethod
    def of(cls, alarm: ReplicaAlarm) -> Self:
        """Return the GraphQL value."""
        return cls(
            service=alarm.service,
            instance=alarm.instance,
            model=alarm.model,
            plant_at=alarm.plant_at,
            running=sorted(alarm.running),
            expected=sorted(alarm.expected),
            since=alarm.since,
        )


@strawberry.federation.type(keys=["id"], name="Asset", description="Owned by asset-registry.")
class AssetLineage:
    """Governance adds `lineage`."""

    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Self:
        """Stand in for the asset. Touches no store: the field below does, in one batch."""
        return cls(id=id)

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="What was derived about it, newest first; at most 50."
    )
    async def lineage(
        self, info: strawberry.Info[Context, None], first: int | None = None
    ) -> list[DerivedType] | None:
        """Return outputs; those of all assets of a request cost one store call."""
        size = bounded(first, default=10, maximum=MAX_PER_ASSET)
        found: Sequence[Derived] = await info.context.about.load(str(self.id))
        return [DerivedType.of(derived) for derived in found[:size]]


@strawberry.type
class LineageQuery:
    """What governance adds to the graph's root about lineage."""

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="What stands on a model version and who consumed it; at most 1,000 of each."
    )
    async def model_impact(
        self,
        info: strawberry.Info[Context, None],
        name: str,
        version: str,
        first: int | None = None,
    ) -> ModelImpact:
        """Return the impact, for the caller's tenant."""
        impact = await info.context.lineage.impact(
            current_principal(),
            ModelName(name),
            Version.parse(version),
            limit=bounded(first, default=100, maximum=MAX_FIRST),
        )
        return ModelImpact(
            outputs=[DerivedType.of(d) for d in impact.outputs],
            receipts=[ReceiptType.of(r) for r in impact.receipts],
            truncated=impact.truncated,
        )

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="Processes that run other model versions than the schedule says."
    )
    async def model_alarms(self, info: strawberry.Info[Context, None]) -> list[ModelAlarm]:
        """Return the alarms of the caller's tenant."""
        return [ModelAlarm.of(a) for a in info.context.watch.of(current_principal())]
