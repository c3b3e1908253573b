"""How versions did on live events, and what was ruled, in memory."""

from collections.abc import Sequence
from datetime import datetime

from governance.adapters.memory.state import Part
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    Comparison,
    MeasuredWindow,
    Measurement,
    RetrainingRequest,
    Ruling,
)
from governance.ports.shadows import Measured
from governance.wire.shadow_events import drifted_envelope, ruled_envelope
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.ports.clock import Clock


class MemoryShadows:
    """See `ShadowStore`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[object, ...], tuple[datetime, MeasuredWindow]] = {}

    async def add(self, windows: Sequence[MeasuredWindow]) -> None:
        """See `ShadowStore.add`."""
        for window in windows:
            key = (
                window.tenant,
                window.domain,
                window.model,
                window.version,
                window.measurement.from_at,
                window.asset,
            )
            self._held.setdefault(key, (self._clock.wall_now(), window))

    async def measured(self) -> list[tuple[Tenant, ModelName]]:
        """See `ShadowStore.measured`."""
        return sorted({(w.tenant, w.model) for _, w in self._held.values()})

    async def comparisons(self, of: Measured, challenger: Version) -> list[Comparison]:
        """See `ShadowStore.comparisons`."""
        return [w.challengers[challenger] for w in self._of(of) if challenger in w.challengers]

    async def measurements(self, of: Measured, *, since: datetime) -> list[Measurement]:
        """See `ShadowStore.measurements`."""
        found = (w.measurement for w in self._of(of))
        return [measured for measured in found if measured.from_at >= since]

    async def last_measurements(
        self, of: Measured, *, before: datetime, windows: int
    ) -> list[Measurement]:
        """See `ShadowStore.last_measurements`."""
        held = [w.measurement for w in self._of(of)]
        earlier = [measured for measured in held if measured.from_at < before]
        last = sorted({measured.from_at for measured in earlier})[-windows:]
        return [measured for measured in earlier if measured.from_at in last]

    async def forget(self, *, before: datetime, limit: int) -> int:
        """See `ShadowStore.forget`."""
        old = [key for key, (recorded, _) in self._held.items() if recorded < before][:limit]
        for key in old:
            del self._held[key]
        return len(old)

    def _of(self, of: Measured) -> list[MeasuredWindow]:
        mine = [
            window
            for _, window in self._held.values()
            if (window.tenant, window.model, window.version) == (of.tenant, of.model, of.version)
            and window.domain in of.domains
        ]
        return sorted(mine, key=lambda w: w.measurement.from_at)


class MemoryRulings(Part):
    """See `RulingSession`."""

    async def rulings(self, model: str | None = None) -> list[Ruling]:
        """See `RulingSession.rulings`."""
        return [r for r in self.state.rulings.values() if model is None or r.model == model]

    async def save_ruling(self, ruling: Ruling) -> None:
        """See `RulingSession.save_ruling`."""
        key = (ruling.tenant, ruling.model, ruling.version, ruling.kind, ruling.against)
        self.state.rulings[*key, ruling.tenure] = ruling
        envelope = ruled_envelope(ruling)
        self.state.announced.setdefault(envelope.id, envelope)

    async def retrainings(self, model: str | None = None) -> list[RetrainingRequest]:
        """See `RulingSession.retrainings`."""
        held = self.state.retrainings.values()
        mine = [r for r in held if model is None or r.model == model]
        return sorted(mine, key=lambda r: r.recorded_at, reverse=True)

    async def save_retraining(self, request: RetrainingRequest) -> None:
        """See `RulingSession.save_retraining`."""
        if request.id not in self.state.retrainings:
            envelope = drifted_envelope(request)
            self.state.announced.setdefault(envelope.id, envelope)
        self.state.retrainings[request.id] = request
