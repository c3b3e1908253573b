from datetime import timedelta

from telemetry.adapters.memory import MemoryReadingStore
from telemetry.usecases.retention import ObeyRetention
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.testing.clock import START, SimulatedClock


class Asked(MemoryReadingStore):
    """Remembers since when it was told to keep."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def forget(self, *, before_us):
        self.asked.append(before_us)
        return 7


async def test_each_class_is_forgotten_by_its_own_policy_and_without_one_never():
    readings, hourly = Asked(), Asked()
    obey = ObeyRetention(
        {"readings": readings, "readings-hourly": hourly},
        {"readings": 30.0}.get,
        SimulatedClock(),
    )

    assert await obey() == {"readings": 7}
    assert readings.asked == [to_us(START - timedelta(days=30))]
    assert hourly.asked == []
