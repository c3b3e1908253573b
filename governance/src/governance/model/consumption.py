"""Who used which part of a contract, as the mesh saw it."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from twinmesh_sdk.core.errors import InvalidInputError

MAX_CLIENT_CHARS: Final = 128
MAX_COORDINATE_CHARS: Final = 300
MAX_USES: Final = 5_000
"""How many one report holds."""

_CLIENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}")
_COORDINATE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(?:/[A-Za-z_]\w*)?(?:\(\w+:\))?")


class UseKind(StrEnum):
    """Which part of a contract was used."""

    FIELD = "FIELD"  # Type.field
    ARGUMENT = "ARGUMENT"  # Type.field(argument:), or Input.field
    ENUM_VALUE = "ENUM_VALUE"  # Enum.VALUE, given in an operation
    RPC_METHOD = "RPC_METHOD"  # package.Service/Method
    EVENT = "EVENT"  # an event type


@dataclass(frozen=True, slots=True)
class Use:
    """One client used one part of a contract, once or more often.

    Attributes:
        client: The client id of its token, or the name of the consuming service.
        service: Whose contract it is; empty where the reporter could not tell.
        first_at: Wall time.
        last_at: Wall time.
    """

    client: str
    kind: UseKind
    coordinate: str
    service: str
    first_at: datetime
    last_at: datetime
    count: int

    def __post_init__(self) -> None:
        """Refuse what no contract could contain."""
        if not _CLIENT.fullmatch(self.client):
            raise InvalidInputError(f"{self.client[:60]!r} is no client")
        if len(self.coordinate) > MAX_COORDINATE_CHARS or not _COORDINATE.fullmatch(
            self.coordinate
        ):
            raise InvalidInputError(f"{self.coordinate[:60]!r} is no part of a contract")
        if self.last_at < self.first_at or self.count < 1:
            raise InvalidInputError("a use has a first time, a last one, and a count")

    @property
    def consumer(self) -> str:
        """The service's name where the client is one; else the client."""
        return self.client.removeprefix("svc-")

    def not_after(self, now: datetime) -> Self:
        """Return this use with no time in the future."""
        return replace(self, first_at=min(self.first_at, now), last_at=min(self.last_at, now))

    def joined(self, other: Self) -> Self:
        """Return both as one."""
        return replace(
            self,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            count=self.count + other.count,
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What one process saw since its last report.

    Attributes:
        tenant: From the subject that permissions bind to the reporter's credential.
        reporter: The service that reports.
        instance: Which of its processes; with the sequence it names the report.
    """

    tenant: str
    reporter: str
    instance: str
    sequence: int
    uses: tuple[Use, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a report without a name, or one without a bound."""
        if not 0 < len(self.reporter) <= 64 or not 0 < len(self.instance) <= 64:
            raise InvalidInputError("a report names its reporter and its instance")
        if len(self.uses) > MAX_USES:
            raise InvalidInputError(f"a report holds at most {MAX_USES} uses")


@dataclass(frozen=True, slots=True)
class ClientOwner:
    """Whom to ask about a client that is no service of the mesh.

    Attributes:
        team: The team that owns it.
        contact: Where to reach the team.
    """

    client: str
    team: str
    contact: str

    def __post_init__(self) -> None:
        """Refuse what cannot be a name."""
        if not _CLIENT.fullmatch(self.client):
            raise InvalidInputError(f"{self.client[:60]!r} is no client")
        if not 0 < len(self.team) <= 128 or not 0 < len(self.contact) <= 256:
            raise InvalidInputError("a client's owner has a team and a contact")
