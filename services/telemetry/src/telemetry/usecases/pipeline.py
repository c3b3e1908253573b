"""Watch the pipeline itself: a source that falls silent raises an alert, its return closes it."""

from collections import defaultdict

from telemetry.decide.pipeline import Backlog, last_moving_hop, silence_limit_us
from telemetry.model.pipeline import Hop, Movement, PipelineAlert
from telemetry.model.signal import Signal
from telemetry.ports import AlertStore, Ledger
from telemetry.usecases.board import SignalBoard
from twinmesh_sdk.core.ids import Tenant, derived_id
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.ports.clock import Clock

MAX_SIGNALS = 100
"""Signal ids that an alert names."""


class WatchPipeline:
    """Compares what each source promised with when its data last moved.

    It stands beside the ingest, not in it: when the ingest hangs, this still speaks.
    """

    def __init__(
        self,
        *,
        board: SignalBoard,
        ledger: Ledger,
        alerts: AlertStore,
        clock: Clock,
    ) -> None:
        self._board = board
        self._ledger = ledger
        self._alerts = alerts
        self._clock = clock

    async def __call__(self, backlog: Backlog) -> list[PipelineAlert]:
        """Look once; return the alerts that were opened or closed.

        Raises:
            UnavailableError: The ledger does not answer; the next look tries again.
        """
        now_us = to_us(self._clock.wall_now())
        opened = {(a.tenant, a.source): a for a in await self._alerts.open_alerts()}
        signals = self._by_source()
        changed: list[PipelineAlert] = []
        for written in await self._ledger.movements():
            movement = self._board.movement(written)
            key = (movement.tenant, movement.source)
            speed = self._clock.speed(Tenant(movement.tenant))
            limit_us = silence_limit_us(signals.get(key, []), speed)
            if limit_us is None or movement.publish_us == 0:
                continue
            hop = last_moving_hop(movement, now_us=now_us, limit_us=limit_us, backlog=backlog)
            alert = await self._next(opened.get(key), hop, movement, signals[key], now_us)
            if alert is not None:
                await self._alerts.save(alert)
                changed.append(alert)
        return changed

    def _by_source(self) -> dict[tuple[str, str], list[Signal]]:
        by_source: dict[tuple[str, str], list[Signal]] = defaultdict(list)
        for signal in self._board.signals():
            by_source[signal.tenant, signal.source].append(signal)
        return by_source

    async def _next(
        self,
        alert: PipelineAlert | None,
        hop: Hop | None,
        movement: Movement,
        signals: list[Signal],
        now_us: int,
    ) -> PipelineAlert | None:
        """Return the alert to save; None when nothing changed."""
        tenant = Tenant(movement.tenant)
        now = self._clock.plant_now(tenant)
        if alert is not None and hop is None:
            return alert.recovered(now)
        if hop is None or alert is not None:
            return None
        version = await self._alerts.last_version(tenant, movement.source) + 1
        silent_us = now_us - movement.publish_us
        moved_us = to_us(now) - round(silent_us * self._clock.speed(tenant))
        return PipelineAlert(
            alert_id=derived_id("alr", tenant, movement.source, version),
            tenant=tenant,
            source=movement.source,
            last_moving_hop=hop,
            last_moved_at=from_us(moved_us),
            detected_at=now,
            signal_ids=tuple(sorted(s.signal_id for s in signals))[:MAX_SIGNALS],
            version=version,
        )
