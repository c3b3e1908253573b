"""The registry and the noticeboard in memory: for tests, held to the same contract suite."""

from governance.adapters.memory.audit import MemoryHeads, MemoryTrail
from governance.adapters.memory.lineage import MemoryLineage
from governance.adapters.memory.noticeboard import MemoryNoticeboard
from governance.adapters.memory.registry import MemoryRegistry, MemorySession
from governance.adapters.memory.shadows import MemoryShadows

__all__ = [
    "MemoryHeads",
    "MemoryLineage",
    "MemoryNoticeboard",
    "MemoryRegistry",
    "MemorySession",
    "MemoryShadows",
    "MemoryTrail",
]
