"""Receipts and derivations in memory: for tests, held to the same contract suite."""

from collections.abc import Collection, Sequence
from datetime import datetime

from governance.model.lineage import Derived, Receipt, ReportId
from twinmesh_sdk.core.consumption import Door, Output, OutputState
from twinmesh_sdk.core.ids import Tenant

_ENDED = (OutputState.ENDED, OutputState.WITHDRAWN)


class MemoryLineage:
    """See `LineageStore`."""

    def __init__(self) -> None:
        self._reports: set[ReportId] = set()
        self._receipts: dict[tuple[Tenant, str, Door, Output], Receipt] = {}
        self._derived: dict[tuple[str, str, str], Derived] = {}

    async def add_receipts(
        self, tenant: Tenant, report: ReportId, receipts: Sequence[Receipt]
    ) -> bool:
        """See `LineageStore.add_receipts`."""
        if report in self._reports:
            return False
        self._reports.add(report)
        for receipt in receipts:
            key = (tenant, receipt.client, receipt.door, receipt.output)
            known = self._receipts.get(key)
            self._receipts[key] = receipt if known is None else known.merged(receipt)
        return True

    async def receipts(
        self,
        tenant: Tenant,
        model: str,
        version: str,
        *,
        output_id: str = "",
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> list[Receipt]:
        """See `LineageStore.receipts`."""
        found = [
            receipt
            for (owner, *_), receipt in self._receipts.items()
            if owner == tenant
            and (receipt.output.model, receipt.output.model_version) == (model, version)
            and output_id in {"", receipt.output.id}
            and (after is None or _place(receipt) < after)
        ]
        return sorted(found, key=_place, reverse=True)[:limit]

    async def put_derived(self, derived: Sequence[Derived]) -> None:
        """See `LineageStore.put_derived`."""
        for one in derived:
            key = (str(one.tenant), one.output.type, one.output.id)
            held = self._derived.get(key)
            if held is None or one.replaces(held):
                self._derived[key] = one

    async def derived(
        self,
        tenant: Tenant,
        model: str,
        version: str,
        states: Collection[OutputState],
        *,
        limit: int,
    ) -> list[Derived]:
        """See `LineageStore.derived`."""
        found = [
            one
            for one in self._derived.values()
            if one.tenant == tenant
            and (one.output.model, one.output.model_version) == (model, version)
            and one.state in states
        ]
        found.sort(key=lambda one: one.output.id)
        found.sort(key=lambda one: one.at, reverse=True)
        return sorted(found, key=lambda one: one.state is not OutputState.OPEN)[:limit]

    async def derived_about(
        self, tenant: Tenant, subjects: Collection[str], *, per_subject: int
    ) -> dict[str, list[Derived]]:
        """See `LineageStore.derived_about`."""
        found: dict[str, list[Derived]] = {}
        for one in sorted(self._derived.values(), key=lambda held: held.at, reverse=True):
            if one.tenant == tenant and one.subject in subjects:
                about = found.setdefault(one.subject, [])
                about += [one] if len(about) < per_subject else []
        return found

    async def tenants_of(self, model: str, version: str) -> set[Tenant]:
        """See `LineageStore.tenants_of`."""
        told = [(one.tenant, one.output) for one in self._derived.values()]
        told += [(tenant, receipt.output) for (tenant, *_), receipt in self._receipts.items()]
        return {t for t, o in told if (o.model, o.model_version) == (model, version)}

    async def forget(self, *, before: datetime, limit: int) -> int:
        """See `LineageStore.forget`; an output counts as announced when it became true."""
        receipts = [k for k, r in self._receipts.items() if r.last_at < before][:limit]
        outputs = [
            key for key, one in self._derived.items() if one.at < before and one.state in _ENDED
        ][:limit]
        for key in receipts:
            del self._receipts[key]
        for output in outputs:
            del self._derived[output]
        return len(receipts) + len(outputs)


def _place(receipt: Receipt) -> tuple[datetime, str]:
    output = receipt.output
    key = (output.type, output.id, str(output.version), receipt.client, str(receipt.door))
    return receipt.last_at, "\x1f".join(key)
