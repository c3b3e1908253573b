"""Counts events on the bus, without reading them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time

STREAM: Final = "EVENTS"
IDLE_S: Final = 5.0


class NatsEventCounter:
    """See `EventCounter`: a consumer that begins at a time knows how much lies before it."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def counts(self, types: Sequence[str], since: datetime) -> Mapping[Tenant, int]:
        """See `EventCounter.counts`."""
        found: dict[Tenant, int] = {}
        with translated("the stream of events"):
            for kind in types:
                info = await self._bus.js.stream_info(STREAM, subjects_filter=f"tm.*.{kind}")
                for subject in sorted(info.state.subjects or {}):
                    tenant = Tenant(subject.split(".")[1])
                    found[tenant] = found.get(tenant, 0) + await self._since(subject, since)
        return found

    async def _since(self, subject: str, since: datetime) -> int:
        subscription = await self._bus.js.pull_subscribe(
            subject,
            stream=STREAM,
            config=ConsumerConfig(
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_TIME,
                opt_start_time=format_time(since),  # type: ignore[arg-type]  # sent as it is
                filter_subject=subject,
                inactive_threshold=IDLE_S,
                mem_storage=True,
            ),
        )
        try:
            return (await subscription.consumer_info()).num_pending or 0
        finally:
            await subscription.unsubscribe()
