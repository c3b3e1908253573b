"""Where promises stand."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.reality import Kind, Measure, Promise, Reality, Report, Standing


def reality_row(given: Reality) -> dict[str, Any]:
    """Return a standing as columns."""
    promise, measure = given.promise, given.measure
    return {
        "tenant": given.tenant,
        "service": promise.service,
        "kind": promise.kind.value,
        "name": promise.name,
        "at_least": promise.at_least,
        "at_most": promise.at_most,
        "achieved": measure.achieved if measure else None,
        "samples": measure.samples if measure else 0,
        "standing": given.standing.value,
        "since": given.since,
        "turned_at": given.turned_at,
        "version": given.version,
    }


def reality_of(row: Row) -> Reality:
    """Return the standing in a row."""
    achieved, turned_at = row["achieved"], row["turned_at"]
    return Reality(
        tenant=row["tenant"],
        promise=Promise(
            row["service"], Kind(row["kind"]), row["name"], row["at_least"], row["at_most"]
        ),
        measure=None if achieved is None else Measure(achieved, row["samples"]),
        standing=Standing(row["standing"]),
        since=utc(row["since"]),
        turned_at=utc(turned_at) if turned_at else None,
        version=row["version"],
    )


def report_of(row: Row) -> Report:
    """Return the report in a row."""
    return Report(
        tenant=row["tenant"],
        service=row["service"],
        metric=row["metric"],
        value=row["value"],
        samples=row["samples"],
        at=utc(row["at"]),
    )
