"""Who consumed what, and what stands on a model version."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from governance.model.contracts import Version
from governance.model.lineage import Derived, Impact, Receipt, ReportId
from governance.model.policies import Thing
from governance.model.releases import ModelName
from governance.ports import LineageStore
from governance.usecases.authority import Authority
from twinmesh_sdk.core.consumption import Door, OutputState
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

MAX_RECEIPTS: Final = 5_000
MAX_LISTED: Final = 1_000
MAX_PER_ASSET: Final = 50
FORGET_AT_ONCE: Final = 5_000
STANDS: Final = (OutputState.OPEN, OutputState.STANDING, OutputState.WITHDRAWN)


class RecordReceipts:
    """Keep the receipts of a report; the same report again changes nothing."""

    def __init__(self, store: LineageStore) -> None:
        self._store = store

    async def __call__(self, tenant: Tenant, report: ReportId, receipts: Iterable[Receipt]) -> bool:
        """Add them up; False when the report was taken before.

        Raises:
            InvalidInputError: There are more than MAX_RECEIPTS.
            UnavailableError: The store does not answer; safe to repeat.
        """
        merged: dict[tuple[object, ...], Receipt] = {}
        for number, receipt in enumerate(receipts):
            if number >= MAX_RECEIPTS:
                raise InvalidInputError(f"a report has at most {MAX_RECEIPTS} receipts")
            key = (receipt.client, receipt.door, receipt.output)
            known = merged.get(key)
            merged[key] = receipt if known is None else known.merged(receipt)
        return await self._store.add_receipts(tenant, report, list(merged.values()))


class RecordDerived:
    """Keep what twins announce to have derived; the same announcements again end the same."""

    def __init__(self, store: LineageStore) -> None:
        self._store = store

    async def __call__(self, derived: Sequence[Derived]) -> None:
        """Keep it.

        Raises:
            UnavailableError: The store does not answer; safe to repeat.
        """
        await self._store.put_derived(derived)


class RecordExport:
    """Take the word of an integration that it copied outputs to another system."""

    def __init__(
        self, receipts: RecordReceipts, clock: Clock, authority: Authority | None = None
    ) -> None:
        self._authority = authority or Authority()
        self._receipts = receipts
        self._clock = clock

    async def __call__(
        self, principal: Principal, report: ReportId, exported: Sequence[Receipt]
    ) -> bool:
        """Keep a receipt per output copied; False when the report was taken before.

        Raises:
            ForbiddenError: The caller may not.
            InvalidInputError: There is none, or one is no export, or lies in the future.
        """
        thing = Thing("Receipts", "exports", str(principal.tenant))
        self._authority.require(principal, "receipt.record", thing)
        now = self._clock.wall_now()
        if not exported:
            raise InvalidInputError("name at least one output that was copied")
        for receipt in exported:
            if receipt.door is not Door.EXPORT:
                raise InvalidInputError("only exports are reported by word")
            if receipt.last_at > now + timedelta(minutes=1):
                raise InvalidInputError("an output cannot have been copied in the future")
        return await self._receipts(principal.tenant, report, exported)


class ReadLineage:
    """Say what stands on a model version, or was withdrawn with it, and who consumed it."""

    def __init__(self, store: LineageStore, authority: Authority | None = None) -> None:
        self._authority = authority or Authority()
        self._store = store

    async def impact(
        self, principal: Principal, name: ModelName, version: Version, *, limit: int = MAX_LISTED
    ) -> Impact:
        """Return open decisions and consumers, of the caller's tenant.

        Raises:
            ForbiddenError: The caller may not read.
            InvalidInputError: More is asked for than MAX_LISTED.
        """
        self._authority.reads(principal, f"{name} {version}")
        if not 1 <= limit <= MAX_LISTED:
            raise InvalidInputError(f"at most {MAX_LISTED} are listed at once, got {limit}")
        tenant, wanted = principal.tenant, (str(name), str(version))
        outputs = await self._store.derived(tenant, *wanted, STANDS, limit=limit + 1)
        receipts = await self._store.receipts(tenant, *wanted, limit=limit + 1)
        return Impact(
            model=wanted[0],
            version=wanted[1],
            outputs=tuple(outputs[:limit]),
            receipts=tuple(receipts[:limit]),
            truncated=max(len(outputs), len(receipts)) > limit,
        )

    async def told(self, name: ModelName, version: Version) -> set[Tenant]:
        """Return the tenants whom a recall of a version concerns."""
        return await self._store.tenants_of(str(name), str(version))

    async def about(
        self, principal: Principal, assets: Sequence[str], *, per_asset: int
    ) -> dict[str, list[Derived]]:
        """Return what was derived about assets of the caller's tenant, newest first."""
        self._authority.reads(principal, "all")
        return await self._store.derived_about(
            principal.tenant, assets, per_subject=min(per_asset, MAX_PER_ASSET)
        )


class ForgetLineage:
    """Obey the retention of receipts."""

    def __init__(self, store: LineageStore, clock: Clock, *, kept: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._kept = kept

    async def __call__(self) -> int:
        """Forget a bounded number of what is older than is kept; returns how many."""
        before = self._clock.wall_now() - self._kept
        return await self._store.forget(before=before, limit=FORGET_AT_ONCE)
