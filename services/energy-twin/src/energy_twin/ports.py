"""What the energy twin needs from outside."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline
from energy_twin.model.estimate import Window
from energy_twin.model.series import Segment, Series, SignalUse
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US

LATEST: int = OPEN_US - 1
"""All that is known."""


@dataclass(frozen=True, slots=True)
class BaselineChange:
    """What becomes of an asset's baselines: some are no longer held, others are from now on."""

    ended: tuple[HeldBaseline, ...] = ()
    begun: tuple[Baseline, ...] = ()
    announced: tuple[tuple[Baseline, str], ...] = ()
    """Those begun that say something new, each with the id of the one it replaces, or nothing."""


class EnergyStore(Protocol):
    """Keeps readings as they came, and baselines with valid and recorded time."""

    def claim(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> AbstractAsyncContextManager[None]:
        """Open a transaction that nobody else has about these assets; all inside is saved together.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def add(self, segments: Sequence[Segment]) -> None:
        """Save readings; a segment that is there already changes nothing."""
        ...

    async def uses(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, dict[SignalId, SignalUse]]:
        """Return the signals of which there are readings, per asset."""
        ...

    async def extent(
        self, tenant: Tenant, asset_id: AssetId, signals: Collection[SignalId]
    ) -> tuple[int, int] | None:
        """Return the times of the first and the last reading; None without any."""
        ...

    async def series(
        self,
        tenant: Tenant,
        windows: Sequence[Window],
        signals: Sequence[Collection[SignalId]],
        *,
        known_at_us: int = LATEST,
    ) -> list[dict[SignalId, Series]]:
        """Return the readings of each window's signals, as known at a wall time.

        One call costs a constant number of queries.

        Raises:
            LimitExceededError: The windows hold more readings than one call returns.
        """
        ...

    async def baselines(
        self,
        tenant: Tenant,
        windows: Sequence[Window],
        *,
        known_at_us: int = LATEST,
    ) -> list[tuple[HeldBaseline, ...]]:
        """Return the baselines valid at any time in each window, in order of valid time."""
        ...

    async def baseline(
        self, tenant: Tenant, baseline_id: str, *, known_at_us: int = LATEST
    ) -> HeldBaseline | None:
        """Return a baseline by its id, the last version held of it."""
        ...

    async def forget(self, *, known_before_us: int) -> int:
        """Forget readings known since before a wall time; returns how many segments went."""
        ...

    async def change(self, change: BaselineChange) -> None:
        """Save what becomes of baselines, and announce it, at one recorded time."""
        ...


class AssetDirectory(Protocol):
    """The registry, as far as this twin needs it."""

    async def uses(
        self, tenant: Tenant, signals: Mapping[AssetId, Collection[SignalId]]
    ) -> Mapping[SignalId, SignalUse]:
        """Return those of the signals that this twin uses.

        Raises:
            UnavailableError: The registry does not answer.
        """
        ...

    async def periods(self, tenant: Tenant, asset_id: AssetId) -> tuple[ConfigurationPeriod, ...]:
        """Return the configuration versions of an asset, as known now, by valid time.

        Raises:
            UnavailableError: The registry does not answer.
        """
        ...

    def forget(self, tenant: Tenant, asset_id: AssetId) -> None:
        """Ask the registry again about this asset when it is next needed."""
        ...
