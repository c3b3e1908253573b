"""Register contracts."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from governance.decide.deprecations import deprecations_after, used_parts_deprecated
from governance.decide.evidence import owners_of
from governance.decide.registration import Judgement, Pushed, judge
from governance.decide.routing import supergraph_of
from governance.model.audit import AuditEntry
from governance.model.contracts import MAX_BUNDLES, Bundle, ContractState, Supergraph
from governance.model.policies import Thing
from governance.ports import Composer, Registry, Session
from governance.usecases.authority import Authority
from governance.usecases.evidence import Windows, gather
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

DEFAULT_WINDOWS: Final = Windows()


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of a push, and the supergraph in force afterwards."""

    outcomes: tuple[Pushed, ...]
    supergraph_digest: str


class PushContracts:
    """Register contracts, or only say what would become of them."""

    def __init__(
        self,
        registry: Registry,
        composer: Composer,
        publish: Publish,
        clock: Clock,
        *,
        authority: Authority,
        windows: Windows = DEFAULT_WINDOWS,
        environment: str = "local",
    ) -> None:
        self._registry = registry
        self._composer = composer
        self._publish = publish
        self._clock = clock
        self._authority = authority
        self._windows = windows
        self._environment = environment

    async def __call__(
        self, principal: Principal, bundles: Sequence[Bundle], *, dry_run: bool = False
    ) -> PushResult:
        """Judge the bundles together, register those that no rule refuses, and publish.

        Raises:
            ForbiddenError: The caller may not push.
            InvalidInputError: No bundle, or two of one service.
            LimitExceededError: Too many bundles.
        """
        if not bundles:
            raise InvalidInputError("a push holds at least one bundle")
        if len(bundles) > MAX_BUNDLES:
            raise LimitExceededError(f"a push holds at most {MAX_BUNDLES} bundles")
        for bundle in bundles:
            self._authority.require(
                principal, "contract.push", Thing("Contract", str(bundle.service))
            )
        if dry_run:
            async with self._registry.snapshot() as session:
                judgement = await self._judge(session, principal, bundles)
            return _result(judgement)
        async with self._registry.exclusive() as session:
            before = (await session.mesh()).supergraph
            judgement = await self._judge(session, principal, bundles)
            await session.save_contracts(judgement.changed)
            judgement = await self._route(session, judgement, before)
            if judgement.mesh.supergraph != before:
                await session.save_supergraph(judgement.mesh.supergraph)
            await self._deprecate(session, judgement)
            for outcome in judgement.outcomes:
                await session.record(self._entry(principal, outcome))
        # A repeat too: an earlier push may have been saved while the bus was away.
        await self._publish()
        return _result(judgement)

    async def _judge(
        self, session: Session, principal: Principal, bundles: Sequence[Bundle]
    ) -> Judgement:
        now = self._clock.wall_now()
        # Composing many subgraphs takes seconds of computation: the doors stay open meanwhile.
        return await asyncio.to_thread(
            judge,
            await session.mesh(),
            bundles,
            self._composer.compose,
            evidence=await gather(session, now, self._windows),
            pushed_by=principal.subject,
            now=now,
        )

    async def _route(
        self, session: Session, judgement: Judgement, before: Supergraph | None
    ) -> Judgement:
        """Compose what is deployed and ready instead, where deployments are recorded."""
        deployments = await session.deployments(self._environment)
        supergraph, errors = await asyncio.to_thread(
            supergraph_of, judgement.mesh, deployments, self._composer.compose, before=before
        )
        for error in errors:
            log.warning(
                "what is deployed does not compose",
                extra={"code": error.code, "error": error.message},
            )
        return replace(judgement, mesh=replace(judgement.mesh, supergraph=supergraph))

    async def _deprecate(self, session: Session, judgement: Judgement) -> None:
        """Remember since when something is deprecated, and tell whoever uses it."""
        now = self._clock.wall_now()
        active = [contract.bundle for contract in judgement.mesh.active().values()]
        owners = owners_of(active, await session.owners())
        for contract in judgement.changed:
            if contract.state is not ContractState.ACTIVE:
                continue
            service = str(contract.bundle.service)
            known = await session.deprecations(service)
            after, new = deprecations_after(contract.bundle, known, now)
            if after == known:
                continue
            await session.replace_deprecations(service, after)
            since = now - self._windows.use
            uses = await session.uses_by_tenant(since=since, service=service)
            told = used_parts_deprecated(
                new,
                uses,
                owners,
                window=self._windows.deprecation,
                at={tenant: self._clock.plant_now(Tenant(tenant)) for tenant in uses},
            )
            await session.announce(told)

    def _entry(self, principal: Principal, outcome: Pushed) -> AuditEntry:
        accepted = outcome.state is not ContractState.REFUSED
        verdict = "ACCEPTED" if outcome.changed else "UNCHANGED"
        if outcome.state is ContractState.PENDING:
            verdict = "PENDING"
        return AuditEntry(
            recorded_at=self._clock.wall_now(),
            actor=principal.subject,
            tenant=str(principal.tenant),
            action="contract.push",
            subject=f"{outcome.bundle.service} {outcome.bundle.version}",
            outcome=verdict if accepted else "REFUSED",
            detail={
                "digest": outcome.bundle.digest,
                "state": str(outcome.state),
                "findings": [
                    {"code": f.code, "subject": f.subject, "severity": str(f.severity)}
                    for f in outcome.findings
                ],
            },
        )


def _result(judgement: Judgement) -> PushResult:
    supergraph = judgement.mesh.supergraph
    return PushResult(judgement.outcomes, supergraph.digest if supergraph else "")
