"""Models in the graph."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

import strawberry

from governance.model.contracts import Version
from governance.model.releases import ModelState, ModelVersion
from governance.subgraph.context import Context
from governance.subgraph.shadows import DriftType, RulingType, ShadowType
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.graphql import Connection, bounded, decode_cursor, encode_cursor, paged

ModelStateType = strawberry.enum(
    ModelState, name="ModelState", description="Where a version of a model stands."
)


@strawberry.type(name="ModelBackTest", description="The proof on which a model was approved.")
class BackTestType:
    """See `BackTest`."""

    reference: str = strawberry.field(description="Id or address of the recorded back-test.")
    metric: str = strawberry.field(description="What was measured; empty when not stated.")
    achieved: float | None = strawberry.field(description="In the metric's own unit.")
    baseline: str = strawberry.field(description="The named baseline that it was compared with.")
    baseline_achieved: float | None = strawberry.field(description="In the metric's own unit.")
    data_digest: str = strawberry.field(description="Digest of the data it was measured on.")


@strawberry.federation.type(
    name="Model", keys=["name version"], description="One version of a model."
)
class ModelType:
    """See `ModelVersion`."""

    name: strawberry.ID = strawberry.field(description="The model's name.")
    version: str = strawberry.field(description="Semantic version.")
    artefact_digest: str = strawberry.field(description="`sha256:` and the artefact's digest.")
    state: ModelState = strawberry.field(description="Where it stands.")
    asset_classes: list[str] = strawberry.field(description="Where it holds; empty for all.")
    sites: list[str] = strawberry.field(description="Where it holds; empty for all.")
    configurations: list[str] = strawberry.field(
        description="Configuration versions that it holds for; empty for all."
    )
    training_data: str = strawberry.field(
        description="Digest of the snapshot that it was trained on, or `none: ` and why."
    )
    approval_expires_at: datetime | None = strawberry.field(
        description="Wall time after which it cannot be activated any more."
    )
    recalled_at: datetime | None = strawberry.field(
        description="Wall time of its recall; null where it was not recalled."
    )
    recall_reason: str | None = strawberry.field(description="Why it was recalled.")
    description: str = strawberry.field(description="The author's words.")
    back_test: BackTestType = strawberry.field(description="Why it was approved.")
    submitted_by: str = strawberry.field(description="The author.")
    submitted_at: datetime = strawberry.field(description="Wall time.")
    approved_by: str | None = strawberry.field(description="The second person; null before.")
    approved_at: datetime | None = strawberry.field(description="Wall time.")
    effective_from: datetime | None = strawberry.field(
        description="Plant time from which it is the active one for its scope."
    )
    effective_to: datetime | None = strawberry.field(
        description="Plant time at which its successor takes over; null while open."
    )

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="How it does beside each active version of its scope, of the caller's tenant; "
        "empty for what is no shadow."
    )
    async def shadow(self, info: strawberry.Info[Context, None]) -> list[ShadowType]:
        """Return what figures say about a challenger."""
        view = await info.context.shadowed.load((str(self.name), self.version))
        return [ShadowType.of(champion, outcome) for champion, outcome in view.against]

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="Whether it drifts, of the caller's tenant; null for what is not active."
    )
    async def drift(self, info: strawberry.Info[Context, None]) -> DriftType | None:
        """Return whether an active version drifts."""
        view = await info.context.shadowed.load((str(self.name), self.version))
        return DriftType.of(*view.drift) if view.drift else None

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="What figures of the caller's tenant decided about it, the oldest first."
    )
    async def rulings(self, info: strawberry.Info[Context, None]) -> list[RulingType]:
        """Return the rulings."""
        view = await info.context.shadowed.load((str(self.name), self.version))
        return [RulingType.of(ruling) for ruling in view.rulings]

    @classmethod
    async def resolve_reference(
        cls, info: strawberry.Info[Context, None], name: strawberry.ID, version: str
    ) -> Self | None:
        """Return one version; null when there is none."""
        wanted = Version.parse(version)
        for model in await info.context.read.models(str(name)):
            if model.version == wanted:
                return cls.of(model)
        return None

    @classmethod
    def of(cls, model: ModelVersion) -> Self:
        """Return the graph's view of a model version."""
        period = model.activation
        test = model.back_test
        return cls(
            name=strawberry.ID(model.name),
            version=str(model.version),
            artefact_digest=model.artefact_digest,
            state=model.state,
            asset_classes=sorted(model.scope.asset_classes),
            sites=sorted(model.scope.sites),
            configurations=sorted(model.scope.configurations),
            training_data=model.training_data,
            approval_expires_at=model.approval_expires_at,
            recalled_at=model.recall.recalled_at if model.recall else None,
            recall_reason=model.recall.reason if model.recall else None,
            description=model.description,
            back_test=BackTestType(
                reference=test.reference,
                metric=test.metric,
                achieved=test.achieved,
                baseline=test.baseline,
                baseline_achieved=test.baseline_achieved,
                data_digest=test.data_digest,
            ),
            submitted_by=model.submitted_by,
            submitted_at=model.submitted_at,
            approved_by=model.approved_by or None,
            approved_at=model.approved_at,
            effective_from=period.effective_from if period else None,
            effective_to=period.effective_to if period else None,
        )


@strawberry.type
class ModelQuery:
    """What is asked about models."""

    @strawberry.field(description="One version of a model; null when there is none.")  # type: ignore[untyped-decorator]
    async def model(
        self, info: strawberry.Info[Context, None], name: strawberry.ID, version: str
    ) -> ModelType | None:
        """Return one version."""
        current_principal()
        return await ModelType.resolve_reference(info, name, version)

    @strawberry.field(
        description="Model versions, newest first; of one model when named.", directives=[paged()]
    )  # type: ignore[untyped-decorator]
    async def models(
        self,
        info: strawberry.Info[Context, None],
        name: str | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ModelType]:
        """Return one page of model versions."""
        current_principal()
        size = bounded(first)
        start = decode_cursor(after, str, str)
        found = await info.context.read.models(name or "")
        rows = found if start is None else _after(found, start[0], start[1])
        return Connection[ModelType].page(
            [ModelType.of(m) for m in rows[: size + 1]],
            lambda row: encode_cursor(str(row.name), row.version),
            first=size,
        )


def _after(models: Sequence[ModelVersion], name: str, version: str) -> list[ModelVersion]:
    key = (name, Version.parse(version))
    return [m for m in models if (str(m.name), m.version) < key]
