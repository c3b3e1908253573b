"""Recall a model version, and wait until nobody decides by it any more."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from governance.decide.replicas import withdrawal_of
from governance.model.contracts import Version
from governance.model.lineage import Impact
from governance.model.releases import ModelName, ModelVersion
from governance.ports import ReplicaBoard
from governance.usecases.lineage import ReadLineage
from governance.usecases.models import ReleaseModel
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

WAIT_S: Final = 15.0
LOOK_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Recalled:
    """What became of a recall.

    Attributes:
        acknowledged_by: Services in which no decision of the version can be made any more.
        waiting_for: Services that have not said so in time.
        impact: What stood on it when it was recalled, and who consumed it.
    """

    model: ModelVersion
    changed: bool
    acknowledged_by: frozenset[str]
    waiting_for: frozenset[str]
    impact: Impact


class RecallModel:
    """Recall a version, and return when every twin that runs it has withdrawn it.

    The recall stands whether or not they answer in time; repeating it waits on.
    """

    def __init__(
        self,
        release: ReleaseModel,
        replicas: ReplicaBoard,
        lineage: ReadLineage,
        clock: Clock,
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        self._release = release
        self._replicas = replicas
        self._lineage = lineage
        self._clock = clock
        self._wait_s = wait_s

    async def __call__(
        self, principal: Principal, *, name: ModelName, version: Version, reason: str
    ) -> Recalled:
        """Recall it.

        Raises:
            ForbiddenError: The caller may not, or is no person.
            NotFoundError: No such version.
            InvalidInputError: No reason is given.
        """
        before = await self._lineage.impact(principal, name, version)
        released = await self._release.recall(principal, name=name, version=version, reason=reason)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_s
        while True:
            done, waiting = withdrawal_of(
                self._replicas.heartbeats(), str(name), str(version), now=self._clock.wall_now()
            )
            if not waiting or loop.time() >= until:
                break
            await self._replicas.changed(within_s=LOOK_S)
        # Receipts once more: some of what was consumed up to the recall was reported meanwhile.
        after = await self._lineage.impact(principal, name, version)
        impact = replace(before, receipts=after.receipts)
        return Recalled(released.model, bool(released.changed), done, waiting, impact)
