"""How long streams keep their messages."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from governance.model.retention import DataClass
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated

STREAMS: Final = {DataClass.EVENTS: "EVENTS", DataClass.QUARANTINE: "QUARANTINE"}


class NatsStreamAges:
    """See `StreamAges`."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def keep(self, data_class: DataClass, age: timedelta) -> bool:
        """See `StreamAges.keep`. Whatever else an operator has set of the stream stays."""
        name = STREAMS[data_class]
        with translated(f"the stream {name}"):
            config = (await self._bus.js.stream_info(name)).config
            if config.max_age == age.total_seconds():
                return False
            await self._bus.js.update_stream(replace(config, max_age=age.total_seconds()))
        return True
