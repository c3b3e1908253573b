"""Recalls, as governance publishes them."""

import asyncio
import logging

from maintenance_twin.model.tuning import MODEL_NAME
from maintenance_twin.ports import Withdrawal
from maintenance_twin.usecases import WithdrawModel
from twinmesh_sdk.adapters.nats import ModelSnapshot, ReplicaHeartbeat
from twinmesh_sdk.core.times import to_us

log = logging.getLogger(__name__)


class RecallFollower:
    """Withdraws what governance has recalled, and says so: a recall waits for that word.

    The word is given when nothing of the version can be saved any more and everything that it left
    open is marked. A failure in between is tried again from the start, which changes nothing twice.
    """

    def __init__(
        self, models: ModelSnapshot, replica: ReplicaHeartbeat, withdraw: WithdrawModel
    ) -> None:
        self._models = models
        self._replica = replica
        self._withdraw = withdraw
        self._told: set[str] = set()
        self._changed = asyncio.Event()
        models.on_change(self._changed.set)

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            TwinError: The store or the bus does not answer; begin again.
        """
        while True:
            self._changed.clear()
            await self.follow()
            await self._changed.wait()

    async def follow(self) -> None:
        """Withdraw what was recalled and is not withdrawn here.

        Raises:
            ConflictError: Another process moves the same assets; safe to repeat.
            UnavailableError: The store or the bus does not answer; safe to repeat.
        """
        for recalled in self._models.recalled(MODEL_NAME):
            if recalled.version in self._told:
                continue
            count = await self._withdraw(
                Withdrawal(recalled.version, recalled.reason, to_us(recalled.recalled_at))
            )
            await self._replica.withdrawn(MODEL_NAME, recalled.version)
            self._told.add(recalled.version)
            log.warning(
                "model version was recalled",
                extra={"version": recalled.version, "assets": count, "reason": recalled.reason},
            )
