"""Heartbeats from the bucket that forgets."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from governance.model.replicas import Heartbeat, Running
from twinmesh_sdk.adapters.nats import KvMirror
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import parse_time

log = logging.getLogger(__name__)


class KvReplicaBoard:
    """See `ReplicaBoard`. A heartbeat counts for the service whose credential wrote its key."""

    def __init__(self, bucket: KvMirror) -> None:
        self._bucket = bucket
        self._spoken = asyncio.Event()
        bucket.on_change(self._spoken.set)

    def heartbeats(self) -> Sequence[Heartbeat]:
        """See `ReplicaBoard.heartbeats`."""
        found = []
        for key, value in self._bucket.values.items():
            service, _, instance = key.partition(".")
            try:
                found.append(_heartbeat(service, instance, json.loads(value)))
            except (ValueError, TypeError, KeyError, AttributeError, InvalidInputError) as error:
                log.warning("heartbeat is unreadable", extra={"key": key, "error": repr(error)})
        return found

    async def changed(self, *, within_s: float) -> None:
        """See `ReplicaBoard.changed`."""
        self._spoken.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._spoken.wait(), within_s)


def _heartbeat(service: str, instance: str, said: dict[str, Any]) -> Heartbeat:
    models: dict[str, Any] = said["models"]
    return Heartbeat(
        service=service,
        instance=instance,
        at=parse_time(said["at"]),
        running={
            name: {
                tenant: Running(parse_time(told["plant_at"]), frozenset(map(str, told["versions"])))
                for tenant, told in model["running"].items()
            }
            for name, model in models.items()
        },
        withdrawn={name: frozenset(map(str, m["withdrawn"])) for name, m in models.items()},
    )
