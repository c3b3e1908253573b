"""Domain events: CloudEvents 1.0 in NATS binary mode, with ids that make repetition harmless."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from twinmesh_sdk.core.consumption import Derivation
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant, derived_id

_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.v[1-9][0-9]*")
MAX_EVENT_BYTES: Final = 1_000_000


class EventType(str):
    """`<domain>.<noun>.<past-verb>.v<major>`."""

    __slots__ = ()

    def __new__(cls, text: str) -> "EventType":
        """Check the form."""
        if not _TYPE.fullmatch(text):
            raise InvalidInputError(f"{text[:80]!r} is not <domain>.<noun>.<past-verb>.v<major>")
        return super().__new__(cls, text)


def event_id(
    *, tenant: Tenant, type: EventType, aggregate_id: str, aggregate_version: int, ordinal: int = 0
) -> str:
    """Return the id of one change: two true changes never collapse, one change never doubles."""
    return derived_id("evt", tenant, type, aggregate_id, aggregate_version, ordinal)


def subject_of(tenant: str, type: str) -> str:
    """Return the NATS subject of an event."""
    return f"tm.{tenant}.{type}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event, as published or received.

    Attributes:
        subject: What it is about: the asset id, or the aggregate's.
        time: Plant time at which it became true.
        dataschema: `<protobuf message>#<digest>`; filled in by the publisher.
        data: The protobuf message.
        traceparent: W3C trace context of the cause; empty when there is none.
        derivation: The derived output that it announces; filled in by the publisher, None for
            others.
    """

    id: str
    type: EventType
    source: str
    tenant: Tenant
    subject: str
    time: datetime
    data: bytes
    dataschema: str = ""
    traceparent: str = ""
    derivation: Derivation | None = None

    def __post_init__(self) -> None:
        """Refuse what the bus would refuse, before it is saved in an outbox."""
        if self.time.tzinfo is None:
            raise InvalidInputError("an event's time needs a zone")
        if len(self.data) > MAX_EVENT_BYTES:
            raise InvalidInputError(f"an event carries at most {MAX_EVENT_BYTES} bytes")
