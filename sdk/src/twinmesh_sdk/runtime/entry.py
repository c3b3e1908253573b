"""What every door does with the headers of a request, whatever the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import Deadline
from twinmesh_sdk.core.times import ReadTime, parse_time
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.runtime.auth import TokenVerifier

MAX_DEADLINE_MS: Final = 300_000

NOW: Final = "tm-now"
AS_OF: Final = "tm-as-of"
KNOWN_AT: Final = "tm-known-at"
DEADLINE_MS: Final = "tm-deadline-ms"
TENANT: Final = "tm-tenant"
CALLER: Final = "tm-caller"
READ: Final = (
    "authorization",
    "traceparent",
    NOW,
    AS_OF,
    KNOWN_AT,
    DEADLINE_MS,
    TENANT,
    CALLER,
)
"""The headers, and gRPC metadata, that a door reads."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What the headers of a request say, verified."""

    principal: Principal | None
    token: str
    read_time: ReadTime
    deadline: Deadline


class Entry:
    """Admits requests: who asks, about which times, until when."""

    def __init__(self, verifier: TokenVerifier, clock: Clock, *, timeout_s: float) -> None:
        self._verifier = verifier
        self._clock = clock
        self._timeout_s = timeout_s

    async def admit(self, headers: Mapping[str, str]) -> Admitted:
        """Return what the headers say; the principal is None when no token was sent.

        Args:
            headers: Lower-case names.

        Raises:
            TwinError: The token does not verify, or a header is malformed.
        """
        deadline = self.deadline(headers)
        found = await self._verifier.authenticate(headers)
        principal, token = found or (None, "")
        return Admitted(principal, token, self._read_time(headers, principal), deadline)

    def deadline(self, headers: Mapping[str, str]) -> Deadline:
        """Return the sooner of the caller's deadline and our own longest.

        Raises:
            InvalidInputError: `tm-deadline-ms` is no whole number from 1 to MAX_DEADLINE_MS.
        """
        own = Deadline.after(self._timeout_s)
        text = headers.get(DEADLINE_MS)
        if text is None:
            return own
        if not (text.isascii() and text.isdigit() and len(text) <= 6):
            raise InvalidInputError(f"{DEADLINE_MS} must be whole milliseconds")
        if not 1 <= int(text) <= MAX_DEADLINE_MS:
            raise InvalidInputError(f"{DEADLINE_MS} must be between 1 and {MAX_DEADLINE_MS}")
        return own.sooner(Deadline.after(int(text) / 1000))

    def _read_time(self, headers: Mapping[str, str], principal: Principal | None) -> ReadTime:
        now = _time(headers, NOW)
        if now is None:
            clock = self._clock
            now = clock.wall_now() if principal is None else clock.plant_now(principal.tenant)
        return ReadTime(
            now=now, as_of=_time(headers, AS_OF) or now, known_at=_time(headers, KNOWN_AT)
        )


def _time(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        return parse_time(text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}: {error}") from error
