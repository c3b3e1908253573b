"""Take model versions from a draft to their end."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.decide import releases
from governance.decide.releases import Approval, Released
from governance.model.audit import AuditEntry
from governance.model.contracts import Version
from governance.model.lineage import Impact
from governance.model.policies import Thing
from governance.model.releases import (
    ArtefactDigest,
    BackTest,
    ModelName,
    ModelSchema,
    ModelState,
    ModelVersion,
    Recall,
    Scope,
)
from governance.ports import ArtefactStore, Registry, Session
from governance.usecases.authority import Authority
from governance.usecases.lineage import ReadLineage
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PreconditionFailedError,
    TwinError,
)
from twinmesh_sdk.core.models import signed_text
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

MAX_ARTEFACT_BYTES: Final = 6 * 2**20
APPROVED_FOR: Final = timedelta(days=365)

Decide = Callable[[list[ModelVersion]], Released]


@dataclass(frozen=True, slots=True)
class Submission:
    """What an author hands in.

    Attributes:
        digest: Of the artefact; None to compute it.
        artefact: The bytes; empty where they were handed in before.
        draft: May still change.
    """

    name: ModelName
    version: Version
    digest: ArtefactDigest | None
    artefact: bytes = b""
    scope: Scope = field(default_factory=Scope)
    back_test: BackTest = field(default_factory=BackTest)
    description: str = ""
    training_data: str = ""
    signature: ModelSchema = field(default_factory=ModelSchema)
    draft: bool = False

    def artefact_digest(self) -> ArtefactDigest:
        """Return the digest, computed anew where the artefact is at hand.

        Raises:
            LimitExceededError: It is too large for this door.
            InvalidInputError: There is neither, or they do not agree.
        """
        if not self.artefact:
            if self.digest is None:
                raise InvalidInputError("hand in the artefact, or its digest")
            return self.digest
        if len(self.artefact) > MAX_ARTEFACT_BYTES:
            raise LimitExceededError(f"an artefact has at most {MAX_ARTEFACT_BYTES} bytes")
        found = ArtefactDigest(f"sha256:{hashlib.sha256(self.artefact).hexdigest()}")
        if self.digest is not None and self.digest != found:
            raise InvalidInputError("the artefact has another digest than is said")
        return found


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A version that decides no more, the one that decides again, and what the first leaves."""

    ended: ModelVersion
    again: ModelVersion
    affected: Impact


class ReleaseModel:
    """Take a model version from a draft to its end; every step is audited, refused or not.

    Args:
        key: Signs the digests of approved artefacts; None: nothing can be approved.
    """

    def __init__(
        self,
        registry: Registry,
        publish: Publish,
        clock: Clock,
        authority: Authority,
        *,
        artefacts: ArtefactStore,
        lineage: ReadLineage,
        key: Ed25519PrivateKey | None,
    ) -> None:
        self._registry = registry
        self._authority = authority
        self._publish = publish
        self._clock = clock
        self._artefacts = artefacts
        self._lineage = lineage
        self._key = key

    async def submit(self, principal: Principal, given: Submission) -> Released:
        """Hand in a version as its author; the artefact is kept before anything is said of it.

        Raises:
            ForbiddenError: The caller may not submit, or is no person.
            ConflictError: The version exists with another content.
            PreconditionFailedError: Its signature breaks callers of the version before it.
        """
        submitted = ModelVersion(
            name=given.name,
            version=given.version,
            artefact_digest=given.artefact_digest(),
            scope=given.scope,
            back_test=given.back_test,
            description=given.description,
            submitted_by=principal.subject,
            submitted_at=self._clock.wall_now(),
            training_data=given.training_data,
            signature=given.signature,
            state=ModelState.DRAFT if given.draft else ModelState.SUBMITTED,
        )

        def decide(versions: list[ModelVersion]) -> Released:
            others = [v for v in versions if v.version != given.version]
            return releases.submit(_find(versions, given.version), submitted, others)

        async def keep() -> None:
            if given.artefact:
                await self._artefacts.put(submitted.artefact_digest, given.artefact)

        return await self._step(
            principal, "model.submit", given.name, given.version, decide, keep=keep
        )

    async def approve(
        self,
        principal: Principal,
        *,
        name: ModelName,
        version: Version,
        note: str,
        expires_at: datetime | None = None,
    ) -> Released:
        """Approve a version as a second person; governance signs its artefact's digest.

        Raises:
            ForbiddenError: The caller may not approve, is no person, or submitted it.
            NotFoundError: No such version, or its artefact was never handed in.
            PreconditionFailedError: It is no submitted version; what an approval rests on is
                missing; governance has no key.
        """
        if self._key is None:
            raise PreconditionFailedError(
                "governance has no key to sign artefacts with", hint="set TWIN_MODEL_KEY"
            )
        held = _find(await self._versions(name), version)
        digest = held.artefact_digest if held is not None else ""
        now = self._clock.wall_now()
        approval = Approval(
            by=principal.subject,
            at=now,
            note=note,
            expires_at=expires_at or now + APPROVED_FOR,
            signed=self._key.sign(signed_text(name, str(version), digest)).hex(),
        )

        def decide(versions: list[ModelVersion]) -> Released:
            model = _get(versions, name, version)
            if model.artefact_digest != digest:
                raise PreconditionFailedError(
                    f"{name} {version} changed meanwhile", hint="look at it again"
                )
            return releases.approve(model, approval)

        async def check() -> None:
            if held is not None and held.state is ModelState.SUBMITTED:
                await self._check_artefact(held)

        return await self._step(principal, "model.approve", name, version, decide, keep=check)

    async def shadow(self, principal: Principal, *, name: ModelName, version: Version) -> Released:
        """Let an approved version run beside the active one.

        Raises:
            ForbiddenError: The caller may not, or is no person.
            NotFoundError: No such version.
            PreconditionFailedError: It is not approved.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            return releases.shadow(_get(versions, name, version), now=self._clock.wall_now())

        return await self._step(principal, "model.shadow", name, version, decide)

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
            ForbiddenError: The caller may not, or is no person.
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

    async def roll_back(
        self, principal: Principal, *, name: ModelName, version: Version
    ) -> RolledBack:
        """End an active version and let the one before it decide again; say what it leaves.

        Raises:
            ForbiddenError: The caller may not, or is no person.
            NotFoundError: No such version.
            PreconditionFailedError: It is not active, or nothing can decide again.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            others = [v for v in versions if v.version != version]
            return releases.roll_back(
                _get(versions, name, version),
                others,
                now=self._clock.plant_now(principal.tenant),
                by=principal.subject,
                at=self._clock.wall_now(),
            )

        released = await self._step(principal, "model.activate", name, version, decide)
        affected = await self._lineage.impact(principal, name, version)
        return RolledBack(released.model, released.changed[1], affected)

    async def retire(self, principal: Principal, *, name: ModelName, version: Version) -> Released:
        """End a version.

        Raises:
            ForbiddenError: The caller may not, or is no person.
            NotFoundError: No such version.
        """

        def decide(versions: list[ModelVersion]) -> Released:
            model = _get(versions, name, version)
            return releases.retire(model, at=self._clock.plant_now(principal.tenant))

        return await self._step(principal, "model.retire", name, version, decide)

    async def recall(
        self, principal: Principal, *, name: ModelName, version: Version, reason: str
    ) -> Released:
        """Let a version decide nothing more: saved, announced and published when this returns.

        Raises:
            ForbiddenError: The caller may not, or is no person.
            NotFoundError: No such version.
            InvalidInputError: No reason is given.
        """
        recalled = Recall(principal.subject, self._clock.wall_now(), reason.strip())

        def decide(versions: list[ModelVersion]) -> Released:
            return releases.recall(
                _get(versions, name, version),
                recall=recalled,
                now=self._clock.plant_now(principal.tenant),
            )

        tenants = {principal.tenant, *await self._lineage.told(name, version)}

        async def announce(session: Session, released: Released) -> None:
            if released.changed:
                told = {tenant: self._clock.plant_now(tenant) for tenant in tenants}
                await session.announce_recall(released.model, told)

        return await self._step(principal, "model.recall", name, version, decide, announce=announce)

    @property
    def public_key(self) -> str:
        """The key that verifies signatures, hexadecimal; empty where governance has none."""
        return "" if self._key is None else self._key.public_key().public_bytes_raw().hex()

    async def artefact(
        self, principal: Principal, name: ModelName, version: Version
    ) -> tuple[ModelVersion, bytes]:
        """Return a version and its artefact.

        Raises:
            ForbiddenError: The caller may not read.
            NotFoundError: No such version, or its artefact was never handed in.
        """
        self._authority.reads(principal, f"{name} {version}")
        model = _get(await self._versions(name), name, version)
        return model, await self._artefacts.get(model.artefact_digest)

    async def _versions(self, name: ModelName) -> list[ModelVersion]:
        async with self._registry.snapshot() as session:
            return await session.models(str(name))

    async def _check_artefact(self, model: ModelVersion) -> None:
        """Pass silently when the artefact is there and whole.

        Raises:
            NotFoundError: It is not there.
            PreconditionFailedError: It is another one.
        """
        try:
            data = await self._artefacts.get(model.artefact_digest)
        except NotFoundError as error:
            raise NotFoundError(
                f"the artefact of {model.name} {model.version} was never handed in",
                hint="submit it again with --artefact FILE",
            ) from error
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != model.artefact_digest:
            raise PreconditionFailedError("the stored artefact does not match its digest")

    async def _step(
        self,
        principal: Principal,
        action: str,
        name: ModelName,
        version: Version,
        decide: Decide,
        *,
        keep: Callable[[], Awaitable[None]] | None = None,
        announce: Callable[[Session, Released], Awaitable[None]] | None = None,
    ) -> Released:
        """Decide alone, save, audit either outcome, and publish what changed.

        Args:
            keep: Stores or checks what the step rests on; once permitted, before it is saved.
            announce: Saves what is told beside the state.
        """
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
                if keep is not None:
                    await keep()
                await session.save_models(released.changed)
                if announce is not None:
                    await announce(session, released)
            except TwinError as error:
                refused = error
            outcome = "REFUSED"
            if released is not None and refused is None:
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
