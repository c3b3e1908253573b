"""Where governance keeps how versions did on live events, and what was ruled about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    ComparedWindow,
    MeasuredWindow,
    RetrainingRequest,
    Ruling,
    WindowFigures,
)
from twinmesh_sdk.core.ids import Tenant


@dataclass(frozen=True, slots=True)
class Measured:
    """Which windows are asked for.

    Attributes:
        domains: Of the twins that run the model: what others say about it does not count.
        version: That was active.
    """

    tenant: Tenant
    domains: frozenset[str]
    model: ModelName
    version: Version


class ShadowStore(Protocol):
    """Windows that twins measured, apart from the registry: they arrive all the time."""

    async def add(self, windows: Sequence[MeasuredWindow]) -> None:
        """Keep windows; one that is held already changes nothing.

        Raises:
            UnavailableError: The store does not answer; safe to repeat.
        """
        ...

    async def measured(self) -> list[tuple[Tenant, ModelName]]:
        """Return whose models were measured."""
        ...

    async def compared(
        self, of: Measured, challenger: Version, *, since: datetime, limit: int
    ) -> list[ComparedWindow]:
        """Return the first windows from a plant time on of a challenger beside a champion."""
        ...

    async def figures(
        self,
        of: Measured,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        first: bool = False,
        limit: int,
    ) -> list[WindowFigures]:
        """Return the last, or first, windows of a version between two plant times, in order."""
        ...

    async def forget(self, *, before: datetime, limit: int) -> int:
        """Forget windows recorded before a wall time."""
        ...


class RulingSession(Protocol):
    """Rulings and requests to retrain, in a transaction."""

    async def rulings(self, model: str | None = None) -> list[Ruling]:
        """Return what was ruled, about one model or all."""
        ...

    async def save_ruling(self, ruling: Ruling) -> None:
        """Keep a ruling, and tell its tenant beside the state."""
        ...

    async def retrainings(self, model: str | None = None) -> list[RetrainingRequest]:
        """Return the requests to retrain, about one model or all, the newest first."""
        ...

    async def save_retraining(self, request: RetrainingRequest) -> None:
        """Keep a request; when it is new, tell its tenant beside the state."""
        ...
