"""Events put aside, and the way back to the one consumer that could not take them.

`quarantine.<service>.<tenant>.<type>` holds what a service's consumer gave up, in the stream
QUARANTINE. `replay.<service>.<tenant>.<type>` leads back, in the stream REPLAY: to that consumer
and to no other. Only governance may publish there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twinmesh_sdk.adapters.nats.cloudevents import MAX_HEADER_CHARS, encode_header
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import MAX_EVENT_BYTES

QUARANTINE: Final = "QUARANTINE"
REPLAY: Final = "REPLAY"
MAX_KEPT_HEADERS: Final = 32
MAX_REASON_CHARS: Final = 300
KEPT_BYTES: Final = 64 * 1024

CODE: Final = "tm-reason-code"
REASON: Final = "tm-reason"
SUBJECT: Final = "tm-subject"
SEQUENCE: Final = "tm-stream-sequence"
DELIVERIES: Final = "tm-deliveries"
AT: Final = "tm-quarantined-at"
DIGEST: Final = "tm-digest"
SIZE: Final = "tm-size"
_OURS: Final = frozenset({CODE, REASON, SUBJECT, SEQUENCE, DELIVERIES, AT, DIGEST, SIZE})


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why, and after what, a consumer gave an event up.

    Attributes:
        at: RFC 3339.
        sequence: In the stream that it came from.
    """

    code: str
    reason: str
    sequence: int
    deliveries: int
    at: str


def quarantine_subject(service: str, subject: str) -> str:
    """Return where a service puts an event of this subject aside."""
    return f"quarantine.{service}.{event_subject(subject).removeprefix('tm.')}"


def replay_subject(subject: str) -> str:
    """Return where an event goes that was put aside under this subject."""
    head, _, rest = subject.partition(".")
    if head != "quarantine":
        raise InvalidInputError("only what is in quarantine is replayed")
    return f"replay.{rest}"


def event_subject(subject: str) -> str:
    """Return the subject under which an event was published, also of a replayed one."""
    head, _, rest = subject.partition(".")
    return f"tm.{rest.partition('.')[2]}" if head == "replay" else subject


def kept_headers(
    headers: Mapping[str, str] | None, subject: str, data: bytes, given_up: GivenUp
) -> dict[str, str]:
    """Return the headers of a message put aside: its own, bounded, and why it is there."""
    own = {
        name: value[:MAX_HEADER_CHARS]
        for name, value in list((headers or {}).items())[:MAX_KEPT_HEADERS]
        if not name.startswith("Nats-") and name not in _OURS and len(name) <= 64
    }
    return own | {
        CODE: given_up.code,
        REASON: encode_header(given_up.reason[:MAX_REASON_CHARS]),
        SUBJECT: event_subject(subject),
        SEQUENCE: str(given_up.sequence),
        DELIVERIES: str(given_up.deliveries),
        AT: given_up.at,
        DIGEST: f"sha256:{hashlib.sha256(data).hexdigest()}",
        SIZE: str(len(data)),
    }


def kept_payload(data: bytes) -> bytes:
    """Return what is kept of a payload: all of it, unless no event may be so large."""
    return data if len(data) <= MAX_EVENT_BYTES - KEPT_BYTES else data[:KEPT_BYTES]


def replayed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with which a message goes back: its own only."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _OURS and not name.startswith("Nats-")
    }
