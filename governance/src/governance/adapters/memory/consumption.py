"""Who uses what, in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

from governance.adapters.memory.changes import MemoryChanges
from governance.adapters.memory.contracts import MemoryContracts
from governance.adapters.memory.state import Part
from governance.model.changes import Deprecation
from governance.model.consumption import ClientOwner, Report, Use


class MemoryUses(Part):
    """See `UseSession`."""

    async def uses(self, *, since: datetime, service: str = "", tenant: str = "") -> list[Use]:
        """See `UseSession.uses`."""
        joined: dict[tuple[str, str, str, str], Use] = {}
        for (whose, *key), use in self.state.uses.items():
            place = (key[0], key[1], key[2], key[3])
            if (
                tenant in ("", whose)
                and use.last_at >= since
                and (not service or use.service in {service, ""})
            ):
                joined[place] = joined[place].joined(use) if place in joined else use
        return [joined[key] for key in sorted(joined)]

    async def uses_by_tenant(self, *, since: datetime, service: str) -> dict[str, list[Use]]:
        """See `UseSession.uses_by_tenant`."""
        found: dict[str, list[Use]] = {}
        for key in sorted(self.state.uses):
            use = self.state.uses[key]
            if use.last_at >= since and use.service in {service, ""}:
                found.setdefault(key[0], []).append(use)
        return found

    async def observed_since(self) -> datetime | None:
        """See `UseSession.observed_since`."""
        return min((use.first_at for use in self.state.uses.values()), default=None)

    async def owners(self) -> list[ClientOwner]:
        """See `UseSession.owners`."""
        return list(self.state.owners.values())

    async def save_owner(self, owner: ClientOwner) -> None:
        """See `UseSession.save_owner`."""
        self.state.owners[owner.client] = owner


class MemoryConsumption(MemoryUses, MemoryChanges, MemoryContracts):
    """See `ConsumptionSession`."""

    async def first_time(self, report: Report) -> bool:
        """See `ConsumptionSession.first_time`."""
        name = (report.tenant, report.reporter, report.instance, report.sequence)
        first = name not in self.state.reports
        self.state.reports.add(name)
        return first

    async def add_uses(self, tenant: str, uses: Sequence[Use]) -> list[Use]:
        """See `ConsumptionSession.add_uses`."""
        first = []
        for use in uses:
            key = (tenant, use.client, str(use.kind), use.coordinate, use.service)
            known = self.state.uses.get(key)
            self.state.uses[key] = known.joined(use) if known else use
            first += [] if known else [use]
        return first

    async def deprecated(self, coordinates: Collection[str]) -> list[Deprecation]:
        """See `ConsumptionSession.deprecated`."""
        return [d for d in self.state.deprecations.values() if d.coordinate in coordinates]

    async def forget(
        self, *, uses_before: datetime, reports_before: datetime, at_most: int, limit: int
    ) -> int:
        """See `ConsumptionSession.forget`. Reports have no time here: they are kept."""
        del reports_before
        old = [key for key, use in self.state.uses.items() if use.last_at < uses_before][:limit]
        newest = sorted(self.state.uses.items(), key=lambda pair: pair[1].last_at, reverse=True)
        over = [key for key, _ in newest[at_most:]][:limit]
        for key in {*old, *over}:
            del self.state.uses[key]
        return len({*old, *over})
