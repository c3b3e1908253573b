"""Logged audit entries and what is kept beside them."""

from collections.abc import Mapping
from typing import Any

from governance.adapters.rows.row import Row
from governance.decide.merkle import Frontier
from governance.model.audit import LoggedEntry, LogName, Secret


def frontier_of(row: Row) -> Frontier:
    """Return the frontier in a row."""
    return Frontier(row["size"], tuple(row["peaks"]))


def entry_rows(entry: LoggedEntry) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an entry as columns, and the texts beside it."""
    key = {"log": str(entry.log), "sequence": entry.sequence}
    texts = [
        key | {"name": name, "text": secret.text, "salt": secret.salt}
        for name, secret in entry.personal.items()
    ]
    return key | {"leaf": entry.leaf, "person": entry.person}, texts


def entry_of(row: Row, texts: Mapping[str, Secret]) -> LoggedEntry:
    """Return the entry in a row that is joined with its person."""
    actor = None if row["subject"] is None else Secret(row["salt"], row["subject"])
    return LoggedEntry(
        log=LogName(row["log"]),
        sequence=row["sequence"],
        leaf=row["leaf"],
        person=row["person"],
        actor=actor,
        personal=texts,
    )
