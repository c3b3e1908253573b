"""NATS: the connection, streams, mirrored buckets, events out and in."""

from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.adapters.nats.consumer import EventConsumer
from twinmesh_sdk.adapters.nats.consumption import ConsumptionReporter, UsedTogether
from twinmesh_sdk.adapters.nats.feed import EventFeed
from twinmesh_sdk.adapters.nats.mirror import KvMirror
from twinmesh_sdk.adapters.nats.publisher import EventPublisher
from twinmesh_sdk.adapters.nats.relay import OutboxRelay
from twinmesh_sdk.adapters.nats.replicas import ReplicaHeartbeat
from twinmesh_sdk.adapters.nats.snapshots import ContractSnapshot, ModelSnapshot
from twinmesh_sdk.adapters.nats.streams import ensure_streams

__all__ = [
    "ConsumptionReporter",
    "ContractSnapshot",
    "EventConsumer",
    "EventFeed",
    "EventPublisher",
    "KvMirror",
    "MeshNats",
    "ModelSnapshot",
    "OutboxRelay",
    "ReplicaHeartbeat",
    "UsedTogether",
    "ensure_streams",
]
