"""Policy sets."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.policies import PolicySet


def policy_set_row(given: PolicySet) -> dict[str, Any]:
    """Return a policy set as columns."""
    return {
        "version": given.version,
        "cedar": given.cedar,
        "tests": list(given.tests),
        "digest": given.digest,
        "author": given.author,
        "put_at": given.put_at,
        "note": given.note,
        "approved_by": given.approved_by,
        "approved_at": given.approved_at,
    }


def policy_set_of(row: Row) -> PolicySet:
    """Return the policy set in a row."""
    approved_at = row["approved_at"]
    return PolicySet(
        version=row["version"],
        cedar=row["cedar"],
        tests=tuple(row["tests"]),
        digest=row["digest"],
        author=row["author"],
        put_at=utc(row["put_at"]),
        note=row["note"],
        approved_by=row["approved_by"],
        approved_at=utc(approved_at) if approved_at else None,
    )
