"""Take refusals back for a time: one asks, another approves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from governance.decide import overriding
from governance.decide.registration import judge
from governance.model.audit import AuditEntry
from governance.model.changes import Override, OverrideId
from governance.model.contracts import Bundle
from governance.model.policies import Thing
from governance.ports import Composer, Registry, Session
from governance.usecases.authority import Authority
from governance.usecases.evidence import Windows, gather
from twinmesh_sdk.core.errors import NotFoundError, TwinError
from twinmesh_sdk.core.ids import derived_id
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.times import format_time, to_us
from twinmesh_sdk.ports.clock import Clock

LASTS: Final = timedelta(days=1)


class OverrideRefusals:
    """Request and approve overrides; every step is audited, refused or not."""

    def __init__(
        self,
        registry: Registry,
        composer: Composer,
        clock: Clock,
        windows: Windows,
        authority: Authority,
    ) -> None:
        self._registry = registry
        self._composer = composer
        self._clock = clock
        self._windows = windows
        self._authority = authority

    async def request(
        self, principal: Principal, bundle: Bundle, *, reason: str, expires_at: datetime | None
    ) -> Override:
        """Ask that what refuses a bundle now is taken back for this bundle.

        Raises:
            ForbiddenError: The caller may not push.
            PreconditionFailedError: Nothing refuses it, or something that cannot be taken back.
            InvalidInputError: No reason, or a time that is over or too far away.
        """
        now = self._clock.wall_now()
        subject = f"{bundle.service} {bundle.version}"

        async def decide(session: Session) -> Override:
            self._authority.require(principal, "override.request", Thing("Override", subject))
            judgement = await asyncio.to_thread(
                judge,
                await session.mesh(),
                [bundle],
                self._composer.compose,
                evidence=await gather(session, now, self._windows),
                pushed_by=principal.subject,
                now=now,
            )
            return Override(
                id=OverrideId(derived_id("ovr", bundle.digest, principal.subject, to_us(now))),
                service=str(bundle.service),
                version=bundle.version,
                digest=bundle.digest,
                findings=overriding.overridable(bundle, judgement.outcomes[0].findings),
                reason=reason,
                requested_by=principal.subject,
                requested_at=now,
                expires_at=expires_at or now + LASTS,
            )

        return await self._step(principal, "contract.override.request", subject, decide)

    async def approve(self, principal: Principal, id: OverrideId) -> Override:
        """Approve an override as a second person.

        Raises:
            ForbiddenError: The caller may not approve, is no person, or asked for it.
            NotFoundError: No such override.
            PreconditionFailedError: It has expired, or is approved already.
        """

        async def decide(session: Session) -> Override:
            found = next((o for o in await session.overrides() if o.id == id), None)
            if found is None:
                raise NotFoundError(f"no override {id}")
            thing = Thing("Override", str(id), author=found.requested_by)
            self._authority.require(principal, "override.approve", thing)
            return overriding.approve(found, by=principal.subject, at=self._clock.wall_now())

        return await self._step(principal, "contract.override.approve", str(id), decide)

    async def all(self, *, expired: bool = False) -> list[Override]:
        """Return overrides, the newest first; expired ones only when asked for."""
        async with self._registry.snapshot() as session:
            now = None if expired else self._clock.wall_now()
            return await session.overrides(unexpired_at=now)

    async def _step(
        self,
        principal: Principal,
        action: str,
        subject: str,
        decide: Callable[[Session], Awaitable[Override]],
    ) -> Override:
        """Decide alone, save, and audit either outcome."""
        override: Override | None = None
        refused: TwinError | None = None
        async with self._registry.exclusive() as session:
            try:
                override = await decide(session)
                await session.save_override(override)
            except TwinError as error:
                refused = error
            await session.record(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=principal.subject,
                    tenant=str(principal.tenant),
                    action=action,
                    subject=subject,
                    outcome="ACCEPTED" if override else "REFUSED",
                    detail=_detail(override) if override else {"reason": str(refused)},
                )
            )
        if refused is not None:
            raise refused
        assert override is not None
        return override


def _detail(override: Override) -> dict[str, object]:
    return {
        "override": str(override.id),
        "contract": f"{override.service} {override.version}",
        "digest": override.digest,
        "reason": override.reason,
        "requested_by": override.requested_by,
        "expires_at": format_time(override.expires_at),
        "findings": [{"code": code, "subject": at} for code, at in override.findings],
    }
