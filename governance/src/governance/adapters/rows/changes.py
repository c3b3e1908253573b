"""Deprecations and overrides."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.changes import Deprecation, Override, OverrideId
from governance.model.contracts import Version


def deprecation_row(deprecation: Deprecation) -> dict[str, Any]:
    """Return a deprecation as columns."""
    return {
        "service": deprecation.service,
        "coordinate": deprecation.coordinate,
        "since": deprecation.since,
        "version": deprecation.version,
        "reason": deprecation.reason,
    }


def deprecation_of(row: Row) -> Deprecation:
    """Return the deprecation in a row."""
    return Deprecation(
        row["service"], row["coordinate"], utc(row["since"]), row["version"], row["reason"]
    )


def override_row(override: Override) -> dict[str, Any]:
    """Return an override as columns."""
    return {
        "id": str(override.id),
        "service": override.service,
        "version": str(override.version),
        "digest": override.digest,
        "findings": [{"code": code, "subject": subject} for code, subject in override.findings],
        "reason": override.reason,
        "requested_by": override.requested_by,
        "requested_at": override.requested_at,
        "expires_at": override.expires_at,
        "approved_by": override.approved_by,
        "approved_at": override.approved_at,
    }


def override_of(row: Row) -> Override:
    """Return the override in a row."""
    return Override(
        id=OverrideId(row["id"]),
        service=row["service"],
        version=Version.parse(row["version"]),
        digest=row["digest"],
        findings=tuple((each["code"], each["subject"]) for each in row["findings"]),
        reason=row["reason"],
        requested_by=row["requested_by"],
        requested_at=utc(row["requested_at"]),
        expires_at=utc(row["expires_at"]),
        approved_by=row["approved_by"],
        approved_at=utc(row["approved_at"]) if row["approved_at"] else None,
    )
