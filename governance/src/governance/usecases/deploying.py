"""Say what runs where, and whether a version may."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from governance.decide.composition import CompositionError
from governance.decide.deployability import Answer, Question, can_deploy
from governance.decide.routing import supergraph_of
from governance.model.audit import AuditEntry
from governance.model.contracts import ContractState, Mesh, ServiceName, Version
from governance.model.deployments import Deployment, DeploymentState, Environment
from governance.model.policies import Thing
from governance.ports import Composer, Registry, Session
from governance.usecases.authority import Authority
from governance.usecases.evidence import Windows, gather
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import PreconditionFailedError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

RETIRED: Final = DeploymentState.RETIRED


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a record.

    Attributes:
        changed: False when this was known.
        supergraph_digest: Of the supergraph in force afterwards.
        errors: Why it stayed as it was, where what is deployed does not compose.
    """

    deployment: Deployment
    changed: bool
    supergraph_digest: str
    errors: tuple[CompositionError, ...] = ()


class JudgeDeployment:
    """May a version be deployed somewhere?"""

    def __init__(
        self,
        registry: Registry,
        composer: Composer,
        clock: Clock,
        windows: Windows,
        authority: Authority,
        *,
        environment: str,
    ) -> None:
        self._registry = registry
        self._composer = composer
        self._clock = clock
        self._windows = windows
        self._authority = authority
        self._environment = environment

    async def __call__(
        self,
        principal: Principal,
        *,
        service: ServiceName,
        version: Version,
        environment: Environment,
    ) -> Answer:
        """Answer yes, no or unknown, with reasons; who may not deploy is not told whose clients."""
        async with self._registry.snapshot() as session:
            question = Question(
                service=str(service),
                version=version,
                environment=str(environment),
                mesh=await session.mesh(),
                deployments=tuple(await session.deployments(str(environment))),
                evidence=await gather(session, self._clock.wall_now(), self._windows),
                registered_counts=str(environment) == self._environment,
            )
        # Composing takes seconds of computation: the doors stay open meanwhile.
        answer = await asyncio.to_thread(can_deploy, question, self._composer.compose)
        thing = Thing("Deployment", f"{service} {version} in {environment}")
        if self._authority.permits(principal, "contract.deploy", thing):
            return answer
        return replace(answer, reasons=tuple(reason.kept() for reason in answer.reasons))


class RecordDeployment:
    """Keep what CI says of deployments; the supergraph follows in governance's own environment."""

    def __init__(
        self,
        registry: Registry,
        composer: Composer,
        publish: Publish,
        clock: Clock,
        authority: Authority,
        *,
        environment: str,
    ) -> None:
        self._registry = registry
        self._composer = composer
        self._publish = publish
        self._clock = clock
        self._authority = authority
        self._environment = environment

    async def __call__(
        self,
        principal: Principal,
        *,
        environment: Environment,
        service: ServiceName,
        version: Version,
        state: DeploymentState,
        retire_others: bool = False,
    ) -> Recorded:
        """Record a deployment. It is a fact: whether it may be is for `JudgeDeployment` to say.

        Raises:
            ForbiddenError: The caller may not.
            PreconditionFailedError: The version is not registered.
        """
        thing = Thing("Deployment", f"{service} {version} in {environment}")
        self._authority.require(principal, "contract.deploy", thing)
        async with self._registry.exclusive() as session:
            mesh = await session.mesh()
            contract = mesh.version(service, version)
            if contract is None or contract.state is ContractState.REFUSED:
                raise PreconditionFailedError(
                    f"{service} {version} is not registered", hint="push its contract first"
                )
            made = Deployment(
                environment=environment,
                service=service,
                version=version,
                digest=contract.bundle.digest,
                state=state,
                since=self._clock.wall_now(),
                recorded_at=self._clock.wall_now(),
                recorded_by=principal.subject,
            )
            changed = await self._changed(session, made, retire_others=retire_others)
            await session.save_deployments(changed)
            supergraph, errors = await self._compose(session, mesh, environment)
            await session.record(_entry(principal, made, changed=bool(changed), errors=errors))
        await self._publish()
        return Recorded(made, bool(changed), supergraph, errors)

    async def _changed(
        self, session: Session, made: Deployment, *, retire_others: bool
    ) -> list[Deployment]:
        """Return what differs from what was recorded before."""
        versions = {
            d.version: d
            for d in await session.deployments(str(made.environment))
            if d.service == made.service
        }
        known = versions.pop(made.version, None)
        changed = []
        if known is None or known.state is not made.state:
            changed.append(replace(made, since=known.since) if known else made)
        if retire_others:
            changed += [
                replace(made, version=d.version, digest=d.digest, since=d.since, state=RETIRED)
                for d in versions.values()
                if d.runs
            ]
        return changed

    async def _compose(
        self, session: Session, mesh: Mesh, environment: Environment
    ) -> tuple[str, tuple[CompositionError, ...]]:
        """Put in force what is deployed and ready, where governance's own gateway runs."""
        now = mesh.supergraph
        errors: tuple[CompositionError, ...] = ()
        if environment == self._environment:
            deployments = await session.deployments(self._environment)
            now, errors = await asyncio.to_thread(
                supergraph_of, mesh, deployments, self._composer.compose, before=mesh.supergraph
            )
            if now != mesh.supergraph:
                await session.save_supergraph(now)
        return now.digest if now else "", errors


class ReadDeployments:
    """Read what runs where."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def __call__(self, environment: str = "") -> list[Deployment]:
        """Return deployments, in one environment or in all."""
        async with self._registry.snapshot() as session:
            return await session.deployments(environment)


def _entry(
    principal: Principal,
    made: Deployment,
    *,
    changed: bool,
    errors: tuple[CompositionError, ...],
) -> AuditEntry:
    return AuditEntry(
        recorded_at=made.recorded_at,
        actor=principal.subject,
        tenant=str(principal.tenant),
        action="deployment.record",
        subject=f"{made.service} {made.version}",
        outcome="ACCEPTED" if changed else "UNCHANGED",
        detail={
            "environment": str(made.environment),
            "state": str(made.state),
            "digest": made.digest,
            "composition": [error.code for error in errors],
        },
    )
