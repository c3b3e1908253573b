"""How versions do on live events, in the graph."""

from datetime import datetime
from typing import Self

import strawberry

from governance import wire
from governance.decide.drift import Drift
from governance.decide.promotion import Continue, Promote, Promotion, Reject
from governance.model.contracts import Version
from governance.model.shadow import RetrainingRequest, Ruling
from governance.subgraph.context import Context
from twinmesh_sdk.core.request import current_principal


@strawberry.type(name="ModelShadow", description="A challenger beside the active version.")
class ShadowType:
    """See `Promotion`."""

    champion: str = strawberry.field(description="The active version that it is compared with.")
    pairs: float = strawberry.field(description="Rows that both called healthy.")
    windows: int = strawberry.field(description="Windows of plant time.")
    span_s: float = strawberry.field(description="Plant time from first to last, in seconds.")
    mean_difference: float = strawberry.field(
        description="Mean over the windows of the difference of the errors over their sum; above 0 "
        "where the challenger errs less. 0.05 is an error some ten percent smaller."
    )
    interval: list[float] = strawberry.field(
        description="Bounds of the mean difference that hold however often one looks."
    )
    disagreement: float = strawberry.field(
        description="Share of judged rows on which the verdicts differ."
    )
    decision: str = strawberry.field(description="PROMOTE, CONTINUE or REJECT.")
    reasons: list[str] = strawberry.field(description="What is missing, or why it is rejected.")

    @classmethod
    def of(cls, champion: Version, outcome: Promotion) -> Self:
        """Return the graph's view of what figures say."""
        evidence = outcome.evidence
        match outcome:
            case Promote():
                decision, reasons = "PROMOTE", []
            case Continue(waiting_for=missing):
                decision, reasons = "CONTINUE", [str(m) for m in missing]
            case Reject(why=why):
                decision, reasons = "REJECT", [str(why)]
        return cls(
            champion=str(champion),
            pairs=float(evidence.pairs),
            windows=evidence.windows,
            span_s=evidence.span.total_seconds(),
            mean_difference=evidence.mean_gain,
            interval=[evidence.low, evidence.high],
            disagreement=evidence.disagreement,
            decision=decision,
            reasons=reasons,
        )


@strawberry.type(name="ModelDrift", description="Whether an active version drifts.")
class DriftType:
    """See `Drift`."""

    residuals: str = strawberry.field(description="Of what it meets: LEARNING, STEADY or DRIFTING.")
    errors: str = strawberry.field(description="Of how it errs: LEARNING, STEADY or DRIFTING.")
    windows: int = strawberry.field(description="Windows looked at.")
    residual_sum: float = strawberry.field(description="Cumulative sum, in spreads.")
    error_sum: float = strawberry.field(description="Cumulative sum, in spreads.")

    @classmethod
    def of(cls, residuals: Drift, errors: Drift) -> Self:
        """Return the graph's view of drift."""
        return cls(
            residuals=wire.drift_name(residuals),
            errors=wire.drift_name(errors),
            windows=residuals.windows,
            residual_sum=wire.drift_sum(residuals),
            error_sum=wire.drift_sum(errors),
        )


@strawberry.type(name="ModelRuling", description="What figures decided about a version, for good.")
class RulingType:
    """See `Ruling`."""

    kind: str = strawberry.field(description="PROMOTED, REJECTED or ROLLED_BACK.")
    against: str = strawberry.field(
        description="The champion of a challenger; the version that decides again."
    )
    why: str = strawberry.field(description="Why; or what stood in the way.")
    carried_out: bool = strawberry.field(description="Whether versions were changed by it.")
    at: datetime = strawberry.field(description="Plant time.")
    recorded_at: datetime = strawberry.field(description="Wall time.")

    @classmethod
    def of(cls, ruling: Ruling) -> Self:
        """Return the graph's view of a ruling."""
        return cls(
            kind=str(ruling.kind),
            against=str(ruling.against),
            why=ruling.why,
            carried_out=ruling.carried_out,
            at=ruling.at,
            recorded_at=ruling.recorded_at,
        )


@strawberry.type(name="RetrainingRequest", description="A version drifts: the next one is wanted.")
class RetrainingType:
    """See `RetrainingRequest`."""

    id: strawberry.ID = strawberry.field(description="`rtr_` and 32 hexadecimal digits.")
    model: str = strawberry.field(description="The model's name.")
    version: str = strawberry.field(description="The version that drifts.")
    since: datetime = strawberry.field(description="Plant time at which it began.")
    noticed_at: datetime = strawberry.field(description="Plant time.")
    answered_by: str | None = strawberry.field(
        description="The version that was submitted for it; null while none was."
    )

    @classmethod
    def of(cls, request: RetrainingRequest) -> Self:
        """Return the graph's view of a request."""
        return cls(
            id=strawberry.ID(request.id),
            model=request.model,
            version=str(request.version),
            since=request.since,
            noticed_at=request.noticed_at,
            answered_by=str(request.answered_by) if request.answered_by else None,
        )


@strawberry.type
class ShadowQuery:
    """What is asked about drift."""

    @strawberry.field(  # type: ignore[untyped-decorator]
        description="Requests to retrain, newest first, at most 1,000; of one model when named."
    )
    async def retraining_requests(
        self, info: strawberry.Info[Context, None], model: str | None = None
    ) -> list[RetrainingType]:
        """Return the caller's tenant's requests."""
        found = await info.context.shadows.retrainings(current_principal(), model or "")
        return [RetrainingType.of(request) for request in found]
