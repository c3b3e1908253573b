"""Watch whether every process runs what the schedule says."""

from collections.abc import Sequence

from governance.decide import replicas
from governance.model.replicas import ReplicaAlarm
from governance.ports import Registry, ReplicaBoard
from governance.usecases.authority import Authority
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock


class WatchReplicas:
    """Compare heartbeats with the schedule.

    Attributes:
        alarms: As of the last look.
    """

    def __init__(
        self,
        registry: Registry,
        board: ReplicaBoard,
        clock: Clock,
        authority: Authority | None = None,
    ) -> None:
        self._authority = authority or Authority()
        self._registry = registry
        self._board = board
        self._clock = clock
        self.alarms: tuple[ReplicaAlarm, ...] = ()

    async def __call__(self) -> list[ReplicaAlarm]:
        """Look once; returns the alarms that are new, announced beside.

        Raises:
            UnavailableError: The store does not answer.
        """
        known = {alarm.key: alarm for alarm in self.alarms}
        async with self._registry.snapshot() as session:
            models = await session.models()
        found = replicas.alarms(
            self._board.heartbeats(), models, known=known, now=self._clock.wall_now()
        )
        fresh = [alarm for alarm in found if alarm.key not in known]
        if fresh:
            async with self._registry.exclusive() as session:
                await session.announce_alarms(fresh)
        self.alarms = tuple(found)
        return fresh

    def of(self, principal: Principal) -> Sequence[ReplicaAlarm]:
        """Return the alarms of the caller's tenant, the oldest first.

        Raises:
            ForbiddenError: The caller may not read.
        """
        self._authority.reads(principal, "all")
        mine = [alarm for alarm in self.alarms if alarm.tenant == str(principal.tenant)]
        return sorted(mine, key=lambda alarm: (alarm.since, alarm.key))
