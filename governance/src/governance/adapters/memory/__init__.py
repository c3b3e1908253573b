"""The registry and the noticeboard in memory: for tests, held to the same contract suite."""

from governance.adapters.memory.audit import MemoryHeads, MemoryTrail
from governance.adapters.memory.noticeboard import MemoryNoticeboard
from governance.adapters.memory.registry import MemoryRegistry, MemorySession

__all__ = [
    "MemoryHeads",
    "MemoryNoticeboard",
    "MemoryRegistry",
    "MemorySession",
    "MemoryTrail",
]
