"""Take model versions from submission to retirement."""

from collections.abc import Callable
from datetime import datetime

from governance.decide import releases
from governance.decide.releases import Released
from governance.model.audit import AuditEntry
from governance.model.contracts import Version
from governance.model.policies import Thing
from governance.model.releases import ArtefactDigest, BackTest, ModelName, ModelVersion, Scope
from governance.ports import Registry
from governance.usecases.authority import Authority
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import NotFoundError, TwinError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock


class ReleaseModel:
    """Take a model version from submission to retirement; every step is audited, refused or not."""

    def __init__(
        self, registry: Registry, publish: Publish, clock: Clock, authority: Authority
    ) -> None:
        self._registry = registry
        self._authority = authority
        self._publish = publish
        self._clock = clock

    async def submit(
        self,
        principal: Principal,
        *,
        name: ModelName,
        version: Version,
        artefact_digest: ArtefactDigest,
        scope: Scope,
        back_test: BackTest,
        description: str,
    ) -> Released:
        """Submit a version as its author.

        Raises:
            ForbiddenError: The caller may not submit, or is no person.
            ConflictError: The version exists with another content.
        """
        submitted = ModelVersion(
            name=name,
            version=version,
            artefact_digest=artefact_digest,
            scope=scope,
            back_test=back_test,
            description=description,
            submitted_by=principal.subject,
            submitted_at=self._clock.wall_now(),
        )

        def decide(versions: list[ModelVersion]) -> Released:
            return releases.submit(_find(versions, version), submitted)

        return await self._step(principal, "model.submit", name, version, decide)

    async def approve(
        self, principal: Principal, *, name: ModelName, version: Version, note: str
    ) -> Released:
        """Approve a version as a second person.

        Raises:
            ForbiddenError: The caller may not approve, is no person, or submitted it.
            NotFoundError: No such version.
            PreconditionFailedError: It is retired, or has no recorded back-test.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            model = _get(versions, name, version)
            return releases.approve(
                model, by=principal.subject, at=self._clock.wall_now(), note=note
            )

        return await self._step(principal, "model.approve", name, version, decide)

    async def activate(
        self,
        principal: Principal,
        *,
        name: ModelName,
        version: Version,
        effective_from: datetime | None,
    ) -> Released:
        """Make a version the active one for its scope, from a plant time on (default: now).

        Raises:
            ForbiddenError: The caller may not approve models, or is no person.
            NotFoundError: No such version.
            PreconditionFailedError: Not approved, or its period would overlap another one's.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            model = _get(versions, name, version)
            others = [v for v in versions if v.version != version]
            return releases.activate(
                model,
                others,
                effective_from=effective_from or self._clock.plant_now(principal.tenant),
                by=principal.subject,
                at=self._clock.wall_now(),
            )

        return await self._step(principal, "model.activate", name, version, decide)

    async def retire(self, principal: Principal, *, name: ModelName, version: Version) -> Released:
        """End a version.

        Raises:
            ForbiddenError: The caller may not approve models, or is no person.
            NotFoundError: No such version.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            model = _get(versions, name, version)
            return releases.retire(model, at=self._clock.plant_now(principal.tenant))

        return await self._step(principal, "model.retire", name, version, decide)

    async def _step(
        self,
        principal: Principal,
        action: str,
        name: ModelName,
        version: Version,
        decide: Callable[[list[ModelVersion]], Released],
    ) -> Released:
        """Decide alone, save, audit either outcome, and publish what changed."""
        released: Released | None = None
        refused: TwinError | None = None
        async with self._registry.exclusive() as session:
            try:
                versions = await session.models(str(name))
                known = _find(versions, version)
                thing = Thing(
                    "Model", f"{name} {version}", author=known.submitted_by if known else ""
                )
                self._authority.require(principal, action, thing)
                released = decide(versions)
                await session.save_models(released.changed)
            except TwinError as error:
                refused = error
            outcome = "REFUSED"
            if released is not None:
                outcome = "ACCEPTED" if released.changed else "UNCHANGED"
            await session.record(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=principal.subject,
                    tenant=str(principal.tenant),
                    action=action,
                    subject=f"{name} {version}",
                    outcome=outcome,
                    detail={"reason": str(refused)} if refused else {},
                )
            )
        if refused is not None:
            raise refused
        assert released is not None
        if released.changed:
            await self._publish()
        return released


def _find(versions: list[ModelVersion], version: Version) -> ModelVersion | None:
    return next((m for m in versions if m.version == version), None)


def _get(versions: list[ModelVersion], name: ModelName, version: Version) -> ModelVersion:
    if (model := _find(versions, version)) is None:
        raise NotFoundError(f"no model {name} {version}", hint="submit it first")
    return model
