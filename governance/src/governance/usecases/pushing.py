"""Register contracts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from governance.decide.protobuf_changes import ProtobufChange
from governance.decide.registration import Judgement, Pushed, judge
from governance.model.audit import AuditEntry
from governance.model.contracts import MAX_BUNDLES, Bundle, ContractState, Mesh
from governance.model.policies import Thing
from governance.ports import BreakingOracle, Composer, Registry
from governance.usecases.authority import Authority
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock


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
        oracle: BreakingOracle,
        publish: Publish,
        clock: Clock,
        *,
        authority: Authority,
    ) -> None:
        self._registry = registry
        self._composer = composer
        self._oracle = oracle
        self._publish = publish
        self._clock = clock
        self._authority = authority

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
            mesh, _ = await self._registry.read()
            judgement = await self._judge(mesh, principal, bundles)
            return _result(judgement)
        async with self._registry.exclusive() as session:
            mesh = await session.mesh()
            judgement = await self._judge(mesh, principal, bundles)
            await session.save_contracts(judgement.changed)
            if judgement.mesh.supergraph != mesh.supergraph:
                await session.save_supergraph(judgement.mesh.supergraph)
            for outcome in judgement.outcomes:
                await session.record(self._entry(principal, outcome))
        # A repeat too: an earlier push may have been saved while the bus was away.
        await self._publish()
        return _result(judgement)

    async def _judge(
        self, mesh: Mesh, principal: Principal, bundles: Sequence[Bundle]
    ) -> Judgement:
        changes = {
            str(bundle.service): await self._proto_changes(mesh, bundle) for bundle in bundles
        }
        # Composing many subgraphs takes seconds of computation: the doors stay open meanwhile.
        return await asyncio.to_thread(
            judge,
            mesh,
            bundles,
            changes,
            self._composer.compose,
            pushed_by=principal.subject,
            now=self._clock.wall_now(),
        )

    async def _proto_changes(self, mesh: Mesh, bundle: Bundle) -> list[ProtobufChange]:
        active = mesh.active().get(str(bundle.service))
        if active is None or not active.bundle.descriptor_set:
            return []
        if active.bundle.descriptor_set == bundle.descriptor_set:
            return []
        try:
            return await self._oracle.changes(active.bundle.descriptor_set, bundle.descriptor_set)
        except (
            InvalidInputError
        ) as error:  # this bundle's fault: the others are judged all the same
            return [ProtobufChange("UNREADABLE", str(bundle.service), str(error))]

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
