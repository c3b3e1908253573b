"""Who may do what: policy sets with their tests, and what they are asked."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from twinmesh_sdk.core.errors import InvalidInputError

MAX_CEDAR_BYTES: Final = 64 * 1024
MAX_TESTS: Final = 500
MAX_NOTE: Final = 2000


@dataclass(frozen=True, slots=True)
class Thing:
    """What somebody wants to act on.

    Attributes:
        kind: An entity type of the policies' schema, for example Model.
        tenant: Whose it is; empty for what belongs to the mesh.
        author: Who made it or asked for it; empty where nobody is named.
    """

    kind: str
    id: str
    tenant: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """What a policy set must answer before it is put in force."""

    name: str
    subject: str
    tenant: str
    roles: frozenset[str]
    action: str
    thing: Thing
    permitted: bool


@dataclass(frozen=True, slots=True)
class PolicySet:
    """One version of the policies.

    Attributes:
        version: 0 is the set that comes with the release.
        cedar: The policies' text.
        tests: As written, a list of mappings.
        digest: SHA-256 of text and tests.
        approved_by: Empty until a second person put it in force.
    """

    version: int
    cedar: str
    tests: tuple[Mapping[str, Any], ...]
    digest: str
    author: str = ""
    put_at: datetime | None = None
    note: str = ""
    approved_by: str = ""
    approved_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse texts without a bound."""
        if len(self.cedar.encode()) > MAX_CEDAR_BYTES:
            raise InvalidInputError(f"a policy set has at most {MAX_CEDAR_BYTES} bytes")
        if len(self.tests) > MAX_TESTS or len(self.note) > MAX_NOTE:
            raise InvalidInputError(
                f"a policy set has at most {MAX_TESTS} tests and a note of {MAX_NOTE} characters"
            )

    @property
    def approved(self) -> bool:
        """Whether it was put in force, now or earlier."""
        return self.approved_at is not None or self.version == 0

    def approve(self, *, by: str, at: datetime) -> Self:
        """Return this set as approved."""
        return replace(self, approved_by=by, approved_at=at)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policies say.

    Attributes:
        why: For a denial: what forbids it, or what would be needed.
    """

    permitted: bool
    why: str = ""
