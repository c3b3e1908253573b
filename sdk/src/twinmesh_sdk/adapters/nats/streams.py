"""The mesh's streams, buckets and object stores: whoever starts first makes them."""

from typing import Final

from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StreamConfig

from twinmesh_sdk.adapters.nats.connection import MeshNats, translated

DAY_S: Final = 86_400
GIB: Final = 2**30
TELE_PARTITIONS: Final = 4
DUPLICATE_WINDOW_S: Final = 120

BUCKETS: Final = ("plant-clock", "contracts", "models", "leases", "replicas")
KEPT_S: Final = {"replicas": 120.0}
"""Buckets that forget: a heartbeat that is not repeated."""

OBJECT_STORES: Final = ("bundles",)


def _stream(name: str, subject: str, *, days: int, gib: int) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[subject],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,  # never NEW: MQTT acknowledges what the stream then refuses
        max_age=days * DAY_S,
        max_bytes=gib * GIB,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
    )


STREAMS: Final = (
    _stream("RAW", "raw.>", days=7, gib=2),
    _stream("TELE", "tele.>", days=7, gib=2),
    _stream("EVENTS", "tm.>", days=30, gib=2),
    _stream("QUARANTINE", "quarantine.>", days=30, gib=1),
    _stream("REPLAY", "replay.>", days=7, gib=1),
    _stream("USE", "use.>", days=7, gib=1),
    # Signed tree heads of the audit log: nothing is deleted, purged or forgotten.
    StreamConfig(
        name="AUDIT_HEADS",
        subjects=["audit.heads.>"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        deny_delete=True,
        deny_purge=True,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
    ),
)


async def ensure_streams(bus: MeshNats) -> None:
    """Make what is missing of the mesh's streams, buckets and object stores; safe to repeat.

    What exists stays as it is: an operator may have given it replicas or other limits.

    Raises:
        UnavailableError: The server does not answer, or refuses.
    """
    with translated("streams of the mesh"):
        for stream in STREAMS:
            await _ensure_stream(bus.js, stream)
        for bucket in BUCKETS:
            await _ensure_bucket(bus.js, bucket)
        for store in OBJECT_STORES:
            await _ensure_objects(bus.js, store)


async def _ensure_stream(js: JetStreamContext, stream: StreamConfig) -> None:
    try:
        await js.stream_info(str(stream.name))
    except js_errors.NotFoundError:
        try:
            await js.add_stream(stream)
        except js_errors.BadRequestError:
            await js.stream_info(str(stream.name))  # another process was faster


async def _ensure_bucket(js: JetStreamContext, bucket: str) -> None:
    try:
        await js.key_value(bucket)
    except js_errors.NotFoundError:
        try:
            config = KeyValueConfig(bucket=bucket, history=1, ttl=KEPT_S.get(bucket))
            await js.create_key_value(config)
        except js_errors.BadRequestError:
            await js.key_value(bucket)


async def _ensure_objects(js: JetStreamContext, store: str) -> None:
    try:
        await js.object_store(store)
    except js_errors.NotFoundError:
        try:
            await js.create_object_store(store)
        except js_errors.BadRequestError:
            await js.object_store(store)
