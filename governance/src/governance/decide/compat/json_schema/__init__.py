"""JSON Schema compatibility: the profile `confluent`, strict and lenient, with witnesses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from governance.decide.compat.json_schema.differences import Comparison
from governance.decide.compat.json_schema.nodes import Document
from governance.decide.compat.json_schema.witness import find_witness
from governance.decide.compat.verdict import Change

__all__ = ["compare_json_schema"]


def compare_json_schema(
    old: Any,  # noqa: ANN401 - any JSON value that is a schema
    new: Any,  # noqa: ANN401 - see above
    *,
    lenient: bool = False,
    old_refs: Mapping[str, Any] | None = None,
    new_refs: Mapping[str, Any] | None = None,
    witness: bool = True,
) -> list[Change]:
    """Return every difference; the incompatible ones are breaking.

    Args:
        old: The schema that data was written with.
        new: The schema that shall read it.
        lenient: Let optional properties be added to, and additional ones be closed off from, an
            open content model.
        old_refs: Further schemas by the name that `$ref` uses.
        new_refs: The same for the new schema.
        witness: Look for an instance that the old schema accepts and the new one rejects.

    Raises:
        InvalidInputError: One of them is no schema, or a `$ref` leads nowhere.
        LimitExceededError: Comparing them takes too many steps.
    """
    before, after = Document(old, old_refs or {}), Document(new, new_refs or {})
    changes = Comparison(lenient=lenient).compare(before.root(), after.root())
    if witness and any(change.breaking for change in changes):
        found, instance = find_witness(before, after)
        if found:
            changes = [
                replace(change, witness=instance, has_witness=True) if change.breaking else change
                for change in changes
            ]
    return changes
