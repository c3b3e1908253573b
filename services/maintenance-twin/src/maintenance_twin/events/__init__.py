"""What comes in from the bus: readings, and events of other domains."""

from maintenance_twin.events.assets import OnConfigurationRecorded, OnSignalDefined
from maintenance_twin.events.changes import MESSAGES as CHANGES
from maintenance_twin.events.changes import WorkItemChanges
from maintenance_twin.events.recalls import RecallFollower
from maintenance_twin.events.telemetry import OnVerdictChanged, ReadingsConsumer

__all__ = [
    "CHANGES",
    "OnConfigurationRecorded",
    "OnSignalDefined",
    "OnVerdictChanged",
    "ReadingsConsumer",
    "RecallFollower",
    "WorkItemChanges",
]
