"""Say how long what is kept, and let the bus obey; telemetry obeys what it reads in KV."""

from datetime import timedelta
from typing import Any, Final

from governance.model.audit import MESH_LOG, AuditEntry
from governance.model.policies import Thing
from governance.model.retention import DataClass, Retention
from governance.ports import Registry
from governance.ports.retention import StreamAges
from governance.usecases.auditing import AuditQueue
from governance.usecases.authority import Authority
from governance.usecases.publishing import Publish
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

ON_THE_BUS: Final = frozenset({DataClass.EVENTS, DataClass.QUARANTINE})
ACTOR: Final = "governance"


class ReadRetention:
    """Show retention policies."""

    def __init__(self, registry: Registry, authority: Authority) -> None:
        self._registry = registry
        self._authority = authority

    async def __call__(self, principal: Principal) -> list[Retention]:
        """Return every policy, by class."""
        self._authority.require(principal, "retention.read", Thing("Retention", "all"))
        async with self._registry.snapshot() as session:
            return await session.retentions()


class SetRetention:
    """Set how long a class of data is kept; audited, refused or not."""

    def __init__(
        self, registry: Registry, publish: Publish, authority: Authority, clock: Clock
    ) -> None:
        self._registry = registry
        self._publish = publish
        self._authority = authority
        self._clock = clock

    async def __call__(
        self, principal: Principal, data_class: DataClass, keep_days: float, *, reason: str
    ) -> Retention:
        """Set it, and spread it.

        Raises:
            ForbiddenError: The caller may not.
            InvalidInputError: Too short or too long, or no reason is given.
        """
        made: Retention | None = None
        refused: TwinError | None = None
        detail: dict[str, Any] = {"keep_days": f"{keep_days:g}", "reason": reason}
        async with self._registry.exclusive() as session:
            known = {r.data_class: r for r in await session.retentions()}
            before = known.get(data_class)
            try:
                thing = Thing("Retention", data_class.value)
                self._authority.require(principal, "retention.put", thing)
                now = self._clock.wall_now()
                made = Retention(data_class, keep_days, reason, principal.subject, now)
                await session.save_retention(made)
            except TwinError as error:
                refused = error
                detail["reason"] = str(error)
            if before is not None:
                detail["before_days"] = before.keep_days
            await session.record(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=principal.subject,
                    tenant=str(principal.tenant),
                    action="retention.put",
                    subject=data_class.value,
                    outcome="REFUSED" if refused else "ACCEPTED",
                    detail=detail,
                )
            )
        if refused is not None:
            raise refused
        assert made is not None
        await self._publish()
        return made


class ObeyRetention:
    """Let the bus keep its streams as long as the policies say; repeating it changes nothing."""

    def __init__(
        self, registry: Registry, streams: StreamAges, audit: AuditQueue, clock: Clock
    ) -> None:
        self._registry = registry
        self._streams = streams
        self._audit = audit
        self._clock = clock

    async def __call__(self) -> int:
        """Apply the policies; returns how many streams changed, each an entry of the mesh's log.

        Raises:
            UnavailableError: The store or the bus does not answer.
        """
        async with self._registry.snapshot() as session:
            policies = await session.retentions()
        changed = 0
        for policy in policies:
            if policy.data_class not in ON_THE_BUS:
                continue
            if not await self._streams.keep(policy.data_class, timedelta(days=policy.keep_days)):
                continue
            changed += 1
            await self._audit.append(
                AuditEntry(
                    recorded_at=self._clock.wall_now(),
                    actor=ACTOR,
                    tenant=MESH_LOG,
                    action="retention.apply",
                    subject=policy.data_class.value,
                    outcome="ACCEPTED",
                    detail={"keep_days": policy.keep_days},
                )
            )
        return changed
