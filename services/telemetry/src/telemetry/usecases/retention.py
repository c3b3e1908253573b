"""Forget what is kept no longer."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from telemetry.ports import Retained
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.ports.clock import Clock


class ObeyRetention:
    """Forgets rows older than governance's policies keep; without a policy, none.

    Age is counted in wall time from when a row was recorded: what was measured long ago and was
    recorded yesterday is one day old. Repeating it changes nothing.
    """

    def __init__(
        self,
        kept: Mapping[str, Retained],
        keep_days: Callable[[str], float | None],
        clock: Clock,
    ) -> None:
        self._kept = kept
        self._keep_days = keep_days
        self._clock = clock

    async def __call__(self) -> dict[str, int]:
        """Forget; return how many rows, by class of data.

        Raises:
            UnavailableError: A store does not answer; the next time tries again.
        """
        gone: dict[str, int] = {}
        for data_class, store in self._kept.items():
            days = self._keep_days(data_class)
            if days is None:
                continue
            before = self._clock.wall_now() - timedelta(days=days)
            if rows := await store.forget(before_us=to_us(before)):
                gone[data_class] = rows
        return gone
