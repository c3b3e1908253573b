"""What is held true about assets, and when."""

from asset_registry.model.bitemporal import (
    Announcement,
    Interval,
    Record,
    Recorded,
    Statement,
    Unchanged,
    Window,
)
from asset_registry.model.facts import (
    Address,
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Fact,
    Lane,
    Lifecycle,
    RelationFact,
    RelationKind,
    SignalFact,
    SignalKind,
)

__all__ = [
    "Address",
    "AliasFact",
    "AliasKey",
    "Announcement",
    "AssetFact",
    "ConfigurationFact",
    "Fact",
    "Interval",
    "Lane",
    "Lifecycle",
    "Record",
    "Recorded",
    "RelationFact",
    "RelationKind",
    "SignalFact",
    "SignalKind",
    "Statement",
    "Unchanged",
    "Window",
]
