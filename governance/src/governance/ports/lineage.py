"""Where governance keeps what was derived from what, and who consumed it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from governance.model.lineage import Derived, Receipt, ReportId
from twinmesh_sdk.core.consumption import OutputState
from twinmesh_sdk.core.ids import Tenant


class LineageStore(Protocol):
    """Receipts and derivations, apart from the registry: they arrive all the time."""

    async def add_receipts(
        self, tenant: Tenant, report: ReportId, receipts: Sequence[Receipt]
    ) -> bool:
        """Add up the receipts of a report; False when it was added before.

        Raises:
            UnavailableError: The store does not answer; safe to repeat.
        """
        ...

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
        """Return who consumed what a model version derived, the last first."""
        ...

    async def put_derived(self, derived: Sequence[Derived]) -> None:
        """Keep outputs as announced, in this order; see `Derived.replaces`.

        Raises:
            UnavailableError: The store does not answer; safe to repeat.
        """
        ...

    async def derived(
        self,
        tenant: Tenant,
        model: str,
        version: str,
        states: Collection[OutputState],
        *,
        limit: int,
    ) -> list[Derived]:
        """Return what a model version derived and stands so, open decisions first, newest first."""
        ...

    async def derived_about(
        self, tenant: Tenant, subjects: Collection[str], *, per_subject: int
    ) -> dict[str, list[Derived]]:
        """Return what was derived about each subject, newest first."""
        ...

    async def tenants_of(self, model: str, version: str) -> set[Tenant]:
        """Return the tenants for whom a model version derived something, or who consumed it."""
        ...

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Forget receipts last used, and ended outputs announced, before a wall time."""
        ...
