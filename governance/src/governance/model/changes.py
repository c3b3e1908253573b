"""What governs changes of contracts: deprecations, and overrides of refusals."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from governance.model.consumption import Use
from governance.model.contracts import Version
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import TypedId

MAX_OVERRIDE: Final = timedelta(days=14)
MAX_REASON_CHARS: Final = 2_000
MAX_OVERRIDDEN: Final = 500


@dataclass(frozen=True, slots=True)
class Deprecation:
    """A part of a contract that its owner asks nobody to use any more.

    Attributes:
        coordinate: `Type.field`, `Type.field(arg:)`, `Enum.VALUE`, or `package.Message.field`.
        since: Wall time at which the first version that says so was registered.
        version: That version.
    """

    service: str
    coordinate: str
    since: datetime
    version: str
    reason: str = ""

    def ends(self, window: timedelta) -> datetime:
        """Return from when on it may be removed, if nobody uses it."""
        return self.since + window


@dataclass(frozen=True, slots=True)
class UsedPartDeprecated:
    """A client uses what has just been deprecated: its owner has to be told.

    Attributes:
        tenant: Whose client it is.
        removal_from: From when on it may be removed, if nobody uses it.
        at: Plant time of the tenant.
        team: Who owns the client; empty where nobody has said.
        contact: Where to reach the team.
    """

    tenant: str
    deprecation: Deprecation
    use: Use
    removal_from: datetime
    at: datetime
    team: str = ""
    contact: str = ""


class OverrideId(TypedId):
    """An override of a refusal."""

    __slots__ = ()
    pattern = re.compile(r"ovr_[0-9a-f]{16,40}")


@dataclass(frozen=True, slots=True)
class Override:
    """Permission to register one bundle in spite of named findings, by two persons, for a time.

    Attributes:
        digest: The one bundle that it permits.
        findings: Code and subject of each finding that it takes back.
        approved_by: The second person; empty before.
        expires_at: Wall time from which it permits nothing any more.
    """

    id: OverrideId
    service: str
    version: Version
    digest: str
    findings: tuple[tuple[str, str], ...]
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    approved_by: str = ""
    approved_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody could take responsibility for."""
        if not self.reason.strip() or len(self.reason) > MAX_REASON_CHARS:
            raise InvalidInputError(
                f"an override needs a reason of at most {MAX_REASON_CHARS} characters"
            )
        if not 0 < len(self.findings) <= MAX_OVERRIDDEN:
            raise InvalidInputError(f"an override names 1 to {MAX_OVERRIDDEN} findings")
        lasts = self.expires_at - self.requested_at
        if not timedelta(0) < lasts <= MAX_OVERRIDE:
            raise InvalidInputError(
                f"an override expires within {MAX_OVERRIDE.days} days of its request"
            )

    def approved(self, *, by: str, at: datetime) -> Self:
        """Return this override as approved."""
        return replace(self, approved_by=by, approved_at=at)

    def permits(self, digest: str, code: str, subject: str, *, now: datetime) -> bool:
        """Tell whether it takes back a finding about a bundle, now."""
        return (
            bool(self.approved_by)
            and now < self.expires_at
            and self.digest == digest
            and (code, subject) in self.findings
        )
