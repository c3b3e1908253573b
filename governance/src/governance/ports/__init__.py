"""What governance needs from outside, in its own words."""

from governance.ports.artefacts import ArtefactStore
from governance.ports.consumption import ConsumptionSession
from governance.ports.contracts import Composer
from governance.ports.lineage import LineageStore
from governance.ports.noticeboard import Noticeboard
from governance.ports.registry import Registry, Session
from governance.ports.replicas import ReplicaBoard
from governance.ports.shadows import ShadowStore

__all__ = [
    "ArtefactStore",
    "Composer",
    "ConsumptionSession",
    "LineageStore",
    "Noticeboard",
    "Registry",
    "ReplicaBoard",
    "Session",
    "ShadowStore",
]
