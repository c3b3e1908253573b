"""Events of the asset registry."""

from collections.abc import Sequence

from maintenance_twin.ports import AssetDirectory
from maintenance_twin.usecases import ReviseHistory
from twinmesh.assets.v1 import events_pb2
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import AssetId


class OnConfigurationRecorded:
    """Decides again what a configuration version, recorded late, puts in another light.

    Twice, or out of order: each time the registry is asked for the whole history, and only a
    difference to what was decided on changes anything.
    """

    event_types: Sequence[str] = ("assets.configuration.recorded.v1",)

    def __init__(self, revise_history: ReviseHistory) -> None:
        self._revise_history = revise_history

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        message = events_pb2.ConfigurationRecorded.FromString(event.data)
        await self._revise_history(
            event.tenant,
            AssetId(message.configuration.asset_id),
            traceparent=event.traceparent,
        )


class OnSignalDefined:
    """Forgets the signals of an asset, so that they are asked for again.

    Twice, or out of order: forgetting is harmless.
    """

    event_types: Sequence[str] = ("assets.signal.defined.v1",)

    def __init__(self, directory: AssetDirectory) -> None:
        self._directory = directory

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        message = events_pb2.SignalDefined.FromString(event.data)
        self._directory.forget(event.tenant, AssetId(message.signal.asset_id))
