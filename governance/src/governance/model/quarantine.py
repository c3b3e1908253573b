"""Events that a consumer could not take."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One event put aside.

    Attributes:
        id: Its number in quarantine.
        service: Whose consumer put it aside.
        code: An error code of the mesh, or INTERNAL.
        at: RFC 3339.
        size: Of the payload as it arrived, bytes.
        digest: Of the payload as it arrived.
        payload: What was kept of it; empty in lists.
    """

    id: int
    service: str
    tenant: str
    type: str
    event_id: str
    code: str
    reason: str
    at: str
    deliveries: int
    digest: str
    size: int
    whole: bool
    dataschema: str
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class QuarantinePage:
    """Some of the events put aside.

    Attributes:
        remaining: How many wait after these.
    """

    events: tuple[Quarantined, ...]
    remaining: int
