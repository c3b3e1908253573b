"""Uses of contracts."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.consumption import ClientOwner, Use, UseKind


def use_row(tenant: str, use: Use) -> dict[str, Any]:
    """Return a use as columns."""
    return {
        "tenant": tenant,
        "client": use.client,
        "kind": str(use.kind),
        "coordinate": use.coordinate,
        "service": use.service,
        "first_at": use.first_at,
        "last_at": use.last_at,
        "count": use.count,
    }


def use_of(row: Row) -> Use:
    """Return the use in a row."""
    return Use(
        client=row["client"],
        kind=UseKind(row["kind"]),
        coordinate=row["coordinate"],
        service=row["service"],
        first_at=utc(row["first_at"]),
        last_at=utc(row["last_at"]),
        count=int(row["count"]),
    )


def owner_of(row: Row) -> ClientOwner:
    """Return the owner in a row."""
    return ClientOwner(row["client"], row["team"], row["contact"])
