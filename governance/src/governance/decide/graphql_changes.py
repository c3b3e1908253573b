"""Rule: a new SDL breaks no query that the old one answers."""

import re
from typing import Final

from graphql import BreakingChangeType, SchemaChange, find_schema_changes

from governance.decide.sdl import schema_of
from governance.model.contracts import Bundle
from governance.model.findings import Finding

_HINT: Final = "keep it, mark it @deprecated, and add the new one beside it"
_LEADING: Final = re.compile(
    r"^(?:An? (?:required|optional) (?:field|argument)|Field|Argument|Enum value|Standard scalar"
    r"|Description of(?: \w+)?) +"
)
_COORDINATE: Final = re.compile(r"\w+(?:\.\w+)?(?:\(\w+:\))?")
_DIRECTIVE: Final = re.compile(r"@\w+(?:\(\w+:\))?")
_UNUSED_SCALAR: Final = "Standard scalar"
_MACHINERY: Final = ("_Any", "_Entity", "_Service", "federation__", "link__")


def check_graphql_changes(bundle: Bundle, previous: Bundle | None) -> list[Finding]:
    """Return a finding per change of the subgraph that breaks a query valid before.

    Source: GraphQL specification as graphql-js's `findBreakingChanges` reads it.
    """
    if previous is None or not previous.sdl:
        return []
    if not bundle.sdl:
        return [
            Finding(
                code="SUBGRAPH_REMOVED",
                subject=bundle.service,
                message=f"{bundle.service} {previous.version} serves a subgraph, this version none",
                hint=_HINT,
                service=bundle.service,
            )
        ]
    if bundle.sdl == previous.sdl:
        return []
    changes = [
        change
        for change in find_schema_changes(schema_of(previous.sdl), schema_of(bundle.sdl))
        if isinstance(change.type, BreakingChangeType)
        and not change.description.startswith(_UNUSED_SCALAR)
    ]
    return [
        Finding(
            code=change.type.name,
            subject=subject_of(change),
            message=change.description,
            hint=_HINT,
            service=bundle.service,
        )
        for change in changes
        if not subject_of(change).lstrip("@").startswith(_MACHINERY)
    ]


def subject_of(change: SchemaChange) -> str:
    """Return the coordinate that a change is about: `Type`, `Type.field`, `Type.field(arg:)`."""
    if match := _DIRECTIVE.search(change.description):
        return match[0]
    bare = _LEADING.sub("", change.description)
    match = _COORDINATE.match(bare)
    return match[0] if match else change.type.name
