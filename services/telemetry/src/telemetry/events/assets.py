"""What the registry announces: names that lead somewhere else now."""

import logging
from collections.abc import Sequence
from typing import Final

from telemetry.ports import SignalDirectory
from telemetry.usecases.quarantine import ReplayQuarantine
from telemetry.wire.definitions import signal_from_pb
from twinmesh.assets.v1 import events_pb2 as pb
from twinmesh_sdk.core.events import Envelope

log = logging.getLogger(__name__)

SIGNAL_DEFINED: Final = "assets.signal.defined.v1"


class OnSignalDefined:
    """Forgets what was known of a source, and replays what waited for the new name.

    Twice: the second time nothing waits any more. Out of order: what is asked next is the
    registry as it stands, not the event.
    """

    def __init__(self, directory: SignalDirectory, replay: ReplayQuarantine) -> None:
        self._directory = directory
        self._replay = replay

    @property
    def event_types(self) -> Sequence[str]:
        """See `EventHandler.event_types`."""
        return (SIGNAL_DEFINED,)

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        message = pb.SignalDefined.FromString(event.data)
        signal = signal_from_pb(event.tenant, message.signal)
        self._directory.forget(event.tenant, signal.source)
        replayed = await self._replay.defined(signal.foreign_name)
        if replayed:
            log.info(
                "readings were waiting for a signal",
                extra={"signal.id": signal.signal_id, "readings": replayed},
            )
