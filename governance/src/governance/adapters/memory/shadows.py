"""How versions did on live events, and what was ruled, in memory."""

from collections.abc import Sequence
from datetime import datetime

from governance.adapters.memory.state import Part
from governance.decide.drift import figures_of
from governance.decide.promotion import joined
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    ComparedWindow,
    MeasuredWindow,
    RetrainingRequest,
    Ruling,
    WindowFigures,
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

    async def compared(
        self, of: Measured, challenger: Version, *, since: datetime, limit: int
    ) -> list[ComparedWindow]:
        """See `ShadowStore.compared`."""
        mine = (w for w in self._of(of) if w.measurement.from_at >= since)
        found = (w.challengers[challenger] for w in mine if challenger in w.challengers)
        return joined(found)[:limit]

    async def figures(
        self,
        of: Measured,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        first: bool = False,
        limit: int,
    ) -> list[WindowFigures]:
        """See `ShadowStore.figures`."""
        found = [
            w.measurement
            for w in self._of(of)
            if (since is None or w.measurement.from_at >= since)
            and (before is None or w.measurement.from_at < before)
        ]
        windows = figures_of(found)
        return windows[:limit] if first else windows[-limit:]

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
