"""Overrides: what may be taken back, by whom."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from governance.model.changes import Override
from governance.model.contracts import Bundle
from governance.model.findings import Finding, Severity
from twinmesh_sdk.core.errors import ForbiddenError, PreconditionFailedError
from twinmesh_sdk.core.times import format_time

OVERRIDABLE: Final = (
    "PROTO_", "FIELD_", "ARG_", "TYPE_", "VALUE_", "REQUIRED_", "IMPLEMENTED_", "DIRECTIVE_",
    "EVENT_REMOVED", "EVENT_MESSAGE_CHANGED", "MODEL_", "SUBGRAPH_REMOVED",
)  # fmt: skip
"""Beginnings of the codes of breaking changes: what two persons may answer for.

Everything else is a mistake that no approval makes right: a charter without answers, a version
that is taken, an event type of another service, a supergraph that does not compose.
"""


def overridable(bundle: Bundle, findings: Iterable[Finding]) -> tuple[tuple[str, str], ...]:
    """Return which findings of a refusal an override would take back.

    Raises:
        PreconditionFailedError: Nothing refuses it, or something that no override can take back.
    """
    refusing = [f for f in findings if f.severity is Severity.ERROR]
    fixed = [f for f in refusing if f.looked_since is None or not f.code.startswith(OVERRIDABLE)]
    if fixed:
        raise PreconditionFailedError(
            f"{fixed[0].code} {fixed[0].subject} cannot be overridden: {fixed[0].message}",
            hint=fixed[0].hint,
        )
    if not refusing:
        raise PreconditionFailedError(
            f"nothing refuses {bundle.service} {bundle.version}: push it",
        )
    return tuple((f.code, f.subject) for f in refusing)


def approve(override: Override, *, by: str, at: datetime) -> Override:
    """Return an override as approved by a second person.

    Raises:
        ForbiddenError: By the one who requested it.
        PreconditionFailedError: It has expired, or is approved already.
    """
    if by == override.requested_by:
        raise ForbiddenError(
            f"{by} requested {override.id}", hint="a second person has to approve it"
        )
    if at >= override.expires_at:
        raise PreconditionFailedError(
            f"{override.id} expired at {format_time(override.expires_at)}", hint="request it anew"
        )
    if override.approved_by:
        raise PreconditionFailedError(f"{override.id} is approved by {override.approved_by}")
    return override.approved(by=by, at=at)
