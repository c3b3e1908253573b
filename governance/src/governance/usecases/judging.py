"""Judge shadows and active versions by what was measured of them."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from governance.decide import rulings as ruled
from governance.decide.drift import Drift, Keep, RollBack, decide_rollback
from governance.decide.promotion import Continue, Promote, Promotion
from governance.decide.releases import activate, roll_back
from governance.model.audit import AuditEntry
from governance.model.contracts import Version
from governance.model.releases import ModelName, ModelVersion
from governance.model.shadow import RetrainingRequest, Ruling, RulingKind
from governance.ports import Registry, Session
from governance.usecases.publishing import Publish
from governance.usecases.shadows import Figures, Rules, Watchman, judged
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

ACTOR: Final = "governance"
ADVICE_ONLY: Final = "ADVICE_ONLY"
Change = Callable[[Sequence[ModelVersion]], Sequence[ModelVersion]]
"""What a ruling does to versions: gets the others, returns those that changed."""

_ACTIONS: Final = {
    RulingKind.PROMOTED: "model.promote",
    RulingKind.REJECTED: "model.reject",
    RulingKind.ROLLED_BACK: "model.roll_back",
}


class JudgeModels:
    """Judge shadows and active versions by what was measured; carry out what follows.

    Judging again changes nothing: a ruling is made once per version, opponent and tenure.
    """

    def __init__(
        self, registry: Registry, figures: Figures, publish: Publish, clock: Clock, rules: Rules
    ) -> None:
        self._registry = registry
        self._figures = figures
        self._publish = publish
        self._clock = clock
        self._rules = rules
        self._watchman = Watchman(figures, rules.drift)

    async def __call__(self) -> list[Ruling]:
        """Look once at everything; returns the rulings made.

        Raises:
            UnavailableError: A store does not answer; safe to repeat.
        """
        async with self._registry.snapshot() as session:
            models = await session.models()
            known = await session.rulings()
        made: list[Ruling] = []
        tenants: dict[ModelName, list[Tenant]] = {}
        for tenant, name in await self._figures.models():
            tenants.setdefault(name, []).append(tenant)
        for name, who in tenants.items():
            versions = [m for m in models if m.name == name]
            past = [r for r in known if r.model == name]
            made += await self._challenges(versions, past, who)
            for tenant in who:
                made += await self._reigns(versions, past, tenant)
        if any(ruling.carried_out for ruling in made):
            await self._publish()
        return made

    async def _challenges(
        self, versions: Sequence[ModelVersion], past: Sequence[Ruling], tenants: Sequence[Tenant]
    ) -> list[Ruling]:
        made = []
        seen: set[tuple[Version, Version]] = set()
        for asked in tenants:
            for champion in ruled.in_force(versions, self._clock.plant_now(asked)):
                for challenger in ruled.challengers_of(champion, versions):
                    pair = (challenger.version, champion.version)
                    if pair in seen or _decided(past, challenger, champion):
                        continue
                    seen.add(pair)
                    outcomes = await self._outcomes(challenger, champion, tenants)
                    if (found := ruled.agreed(outcomes)) is not None:
                        made += await self._rule_challenger(challenger, champion, *found)
        return made

    async def _outcomes(
        self, challenger: ModelVersion, champion: ModelVersion, tenants: Sequence[Tenant]
    ) -> dict[Tenant, Promotion]:
        """Return what each tenant's figures say; tenants without any are left out."""
        found = {}
        for tenant in tenants:
            outcome = await judged(
                self._figures, self._rules.promotion, tenant, challenger, champion
            )
            if outcome.evidence.windows:
                found[tenant] = outcome
        return found

    async def _rule_challenger(
        self,
        challenger: ModelVersion,
        champion: ModelVersion,
        tenant: Tenant,
        outcome: Promotion,
    ) -> list[Ruling]:
        assert champion.activation is not None
        assert not isinstance(outcome, Continue)
        promoted = isinstance(outcome, Promote)
        evidence = outcome.evidence
        ruling = Ruling(
            tenant=tenant,
            model=challenger.name,
            version=challenger.version,
            kind=RulingKind.PROMOTED if promoted else RulingKind.REJECTED,
            against=champion.version,
            tenure=champion.activation.effective_from,
            why="EVIDENCE" if isinstance(outcome, Promote) else outcome.why,
            carried_out=False,
            at=outcome.at,
            recorded_at=self._clock.wall_now(),
            figures={
                "mean_gain": evidence.mean_gain,
                "low": evidence.low,
                "high": evidence.high,
                "windows": float(evidence.windows),
                "pairs": float(evidence.pairs),
                "disagreement": evidence.disagreement,
            },
        )

        def change(others: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
            if not promoted:
                return ()
            return activate(
                challenger,
                others,
                effective_from=self._clock.plant_now(tenant),
                by=ACTOR,
                at=self._clock.wall_now(),
            ).changed

        return await self._carry_out(ruling, (challenger, champion), change, acts=promoted)

    async def _reigns(
        self, versions: Sequence[ModelVersion], past: Sequence[Ruling], tenant: Tenant
    ) -> list[Ruling]:
        """Look whether what is active drifts: ask for a retraining, or take it back."""
        made: list[Ruling] = []
        now = self._clock.plant_now(tenant)
        for model in ruled.in_force(versions, now):
            others = [m for m in versions if m.version != model.version]
            residuals, errors = await self._watchman.look(tenant, model, others)
            request = ruled.retraining_of(
                model, tenant, residuals, recorded_at=self._clock.wall_now()
            )
            if request is not None:
                await self._ask(request)
            verdict = decide_rollback(
                residuals=residuals,
                errors=errors,
                tenure=ruled.tenure_of(model, others, past),
                now=now,
                rule=self._rules.rollback,
            )
            if isinstance(verdict, Keep) or _fell(past, model):
                continue
            made += await self._take_back(model, verdict, tenant, now=now, seen=(residuals, errors))
        return made

    async def _take_back(
        self,
        model: ModelVersion,
        verdict: RollBack,
        tenant: Tenant,
        *,
        now: datetime,
        seen: tuple[Drift, Drift],
    ) -> list[Ruling]:
        assert model.activation is not None
        ruling = Ruling(
            tenant=tenant,
            model=model.name,
            version=model.version,
            kind=RulingKind.ROLLED_BACK,
            against=Version.parse(verdict.to),
            tenure=model.activation.effective_from,
            why=",".join(verdict.why),
            carried_out=False,
            at=now,
            recorded_at=self._clock.wall_now(),
            figures=ruled.sums_of(*seen),
        )

        def change(others: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
            at = self._clock.wall_now()
            return roll_back(model, others, now=now, by=ACTOR, at=at).changed

        return await self._carry_out(ruling, (model,), change, acts=True)

    async def _carry_out(
        self,
        ruling: Ruling,
        rests_on: Sequence[ModelVersion],
        change: Change,
        *,
        acts: bool,
    ) -> list[Ruling]:
        """Change what follows, and keep, audit and tell the ruling in the same transaction.

        Nothing happens where the versions, or the rulings, are others by now: the next look is at
        those.
        """
        async with self._registry.exclusive() as session:
            versions = await session.models(str(ruling.model))
            held = await session.rulings(str(ruling.model))
            stale = any(model not in versions for model in rests_on)
            if stale or any(_same(ruling, other) for other in held):
                return []
            ruling = await self._changed(session, ruling, versions, change, acts=acts)
            await session.save_ruling(ruling)
            await session.record(_entry(ruling, acts=acts))
        log.warning(
            "model version was ruled on",
            extra={
                "model": str(ruling.model),
                "version": str(ruling.version),
                "ruling": str(ruling.kind),
                "why": ruling.why,
                "carried_out": ruling.carried_out,
            },
        )
        return [ruling]

    async def _changed(
        self,
        session: Session,
        ruling: Ruling,
        versions: Sequence[ModelVersion],
        change: Change,
        *,
        acts: bool,
    ) -> Ruling:
        if not acts:
            return ruling
        if not self._rules.automatic:
            return replace(ruling, why=f"{ruling.why},{ADVICE_ONLY}")
        others = [m for m in versions if m.version != ruling.version]
        try:
            changed = change(others)
        except TwinError as error:  # for example an approval that has expired: a person must look
            return replace(ruling, why=f"{ruling.why}: {error}"[:400])
        await session.save_models(changed)
        return replace(ruling, carried_out=True)

    async def _ask(self, request: RetrainingRequest) -> None:
        async with self._registry.snapshot() as session:
            if any(r.id == request.id for r in await session.retrainings(str(request.model))):
                return
        async with self._registry.exclusive() as session:
            if any(r.id == request.id for r in await session.retrainings(str(request.model))):
                return
            await session.save_retraining(request)
            await session.record(
                AuditEntry(
                    recorded_at=request.recorded_at,
                    actor=ACTOR,
                    tenant=str(request.tenant),
                    action="model.ask_retraining",
                    subject=f"{request.model} {request.version}",
                    outcome="ACCEPTED",
                    detail={"request": str(request.id)},
                )
            )


def _decided(past: Sequence[Ruling], challenger: ModelVersion, champion: ModelVersion) -> bool:
    assert champion.activation is not None
    return any(
        (r.version, r.against, r.tenure)
        == (challenger.version, champion.version, champion.activation.effective_from)
        and r.kind is not RulingKind.ROLLED_BACK
        for r in past
    )


def _fell(past: Sequence[Ruling], model: ModelVersion) -> bool:
    assert model.activation is not None
    return any(
        (r.version, r.tenure) == (model.version, model.activation.effective_from)
        and r.kind is RulingKind.ROLLED_BACK
        for r in past
    )


def _same(one: Ruling, other: Ruling) -> bool:
    return (one.version, one.kind, one.against, one.tenure) == (
        other.version,
        other.kind,
        other.against,
        other.tenure,
    )


def _entry(ruling: Ruling, *, acts: bool) -> AuditEntry:
    refused = acts and not ruling.carried_out
    return AuditEntry(
        recorded_at=ruling.recorded_at,
        actor=ACTOR,
        tenant=str(ruling.tenant),
        action=_ACTIONS[ruling.kind],
        subject=f"{ruling.model} {ruling.version}",
        outcome="REFUSED" if refused else "ACCEPTED",
        detail={
            "against": str(ruling.against),
            "why": ruling.why,
            "figures": {name: format(value, ".9g") for name, value in ruling.figures.items()},
        },
    )
