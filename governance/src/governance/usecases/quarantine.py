"""Look at events that a consumer could not take; send them back, or give them up."""

from collections.abc import Sequence
from typing import Final

from governance.model.audit import AuditEntry
from governance.model.policies import Thing
from governance.model.quarantine import Quarantined, QuarantinePage
from governance.ports.quarantine import QuarantineBox
from governance.usecases.auditing import AuditQueue
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    PreconditionFailedError,
    TwinError,
)
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

MAX_PAGE: Final = 500
MAX_IDS: Final = 100
MAX_REASON: Final = 2000


class AdministerQuarantine:
    """What persons do about events put aside, all of it audited."""

    def __init__(
        self, box: QuarantineBox, audit: AuditQueue, authority: Authority, clock: Clock
    ) -> None:
        self._box = box
        self._audit = audit
        self._authority = authority
        self._clock = clock

    async def page(
        self, principal: Principal, *, service: str, type: str, after: int, limit: int
    ) -> QuarantinePage:
        """Return events of the caller's tenant, in the order in which they were put aside.

        Raises:
            ForbiddenError: The caller may not look.
            InvalidInputError: The page is too large, or a name is none.
        """
        self._require(principal, "quarantine.read", service or "all")
        if not 0 < limit <= MAX_PAGE:
            raise InvalidInputError(f"a page has 1 to {MAX_PAGE} events")
        return await self._box.page(
            principal.tenant, service=service, type=type, after=after, limit=limit
        )

    async def show(self, principal: Principal, id: int) -> Quarantined:
        """Return one event with headers and payload.

        Raises:
            ForbiddenError: The caller may not look.
            NotFoundError: The caller's tenant has none of this id.
        """
        self._require(principal, "quarantine.read", "all")
        event = await self._box.get(principal.tenant, id)
        self._require(principal, "quarantine.read", event.service)
        return event

    async def replay(self, principal: Principal, ids: Sequence[int]) -> int:
        """Send events back to the consumer that put them aside; returns how many.

        The consumer's inbox knows the event by its id, and the bus the message by its own: an
        event is handled once, however often it is sent back. One that fails again comes back to
        quarantine under a new number.

        Raises:
            ForbiddenError: The caller may not.
            NotFoundError: The caller's tenant has none of one of these ids.
            PreconditionFailedError: Not all of a payload was kept.
        """
        for number in _bounded(ids):
            event = await self._box.get(principal.tenant, number)
            refused: TwinError | None = None
            if not event.whole:
                refused = PreconditionFailedError(
                    f"event {number} was too large to be kept whole",
                    hint="publish it anew, or drop it",
                )
            await self._audited(principal, "quarantine.replay", event, "", refused)
            await self._box.send_back(event)
            await self._box.remove(number)
        return len(ids)

    async def drop(self, principal: Principal, ids: Sequence[int], *, reason: str) -> int:
        """Give events up for good; returns how many.

        Raises:
            ForbiddenError: The caller may not.
            InvalidInputError: No reason is given.
            NotFoundError: The caller's tenant has none of one of these ids.
        """
        if not reason.strip() or len(reason) > MAX_REASON:
            raise InvalidInputError(f"dropping needs a reason of at most {MAX_REASON} characters")
        for number in _bounded(ids):
            event = await self._box.get(principal.tenant, number)
            await self._audited(principal, "quarantine.drop", event, reason, None)
            await self._box.remove(number)
        return len(ids)

    async def _audited(
        self,
        principal: Principal,
        action: str,
        event: Quarantined,
        reason: str,
        refused: TwinError | None,
    ) -> None:
        """Record what is about to be done, or refuse it; on disk before anything is touched."""
        try:
            self._require(principal, action, event.service)
        except TwinError as error:
            refused = error
        detail = {
            "service": event.service,
            "type": event.type,
            "event": event.event_id,
            "code": event.code,
            "digest": event.digest,
        }
        if refused is not None or reason:
            detail["reason"] = str(refused) if refused else reason
        await self._audit.append(
            AuditEntry(
                recorded_at=self._clock.wall_now(),
                actor=principal.subject,
                tenant=str(principal.tenant),
                action=action,
                subject=f"quarantined event {event.id}",
                outcome="REFUSED" if refused else "ACCEPTED",
                detail=detail,
            )
        )
        if refused is not None:
            raise refused

    def _require(self, principal: Principal, action: str, service: str) -> None:
        thing = Thing("Quarantine", service, tenant=str(principal.tenant))
        self._authority.require(principal, action, thing)


def _bounded(ids: Sequence[int]) -> Sequence[int]:
    if not 0 < len(ids) <= MAX_IDS or len(set(ids)) != len(ids):
        raise InvalidInputError(f"name 1 to {MAX_IDS} events, each once")
    return ids
