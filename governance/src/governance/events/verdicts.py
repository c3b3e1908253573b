"""Changed verdicts of telemetry: how fresh the inputs of decisions are."""

from governance.usecases.reality import FollowVerdicts
from governance.wire.reality import VERDICT_CHANGED, told_of
from twinmesh_sdk.core.events import Envelope


class VerdictHandler:
    """Keeps verdicts. One that is repeated or older than what is known changes nothing."""

    event_types = (VERDICT_CHANGED,)

    def __init__(self, follow: FollowVerdicts) -> None:
        self._follow = follow

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        await self._follow(told_of(event))
