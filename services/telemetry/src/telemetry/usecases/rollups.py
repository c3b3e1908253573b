"""Make hours again that readings touched since the last time."""

from telemetry.ports import Ledger, RollupStore


class RefreshRollups:
    """Re-aggregates touched hours up to the ledger's newest record.

    Twice, or interrupted: the same hours are made again, with the same result. Readings that are
    stored but not yet written down in the ledger have a later record, and wait for the next time.
    """

    def __init__(self, *, stream: str, ledger: Ledger, rollups: RollupStore) -> None:
        self._stream = stream
        self._ledger = ledger
        self._rollups = rollups

    async def __call__(self) -> int:
        """Refresh; return how many hours were made.

        Raises:
            UnavailableError: A store does not answer; the next call tries again.
        """
        cursor = await self._ledger.processed(self._stream)
        since_us = await self._ledger.rollup_mark()
        if cursor is None or cursor.recorded_us <= since_us:
            return 0
        hours = await self._rollups.refresh(
            since_recorded_us=since_us, until_recorded_us=cursor.recorded_us
        )
        await self._ledger.set_rollup_mark(cursor.recorded_us)
        return hours
