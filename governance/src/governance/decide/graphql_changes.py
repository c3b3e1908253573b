"""Rule: a new SDL breaks no query that the old one answers."""

import re
from collections.abc import Iterable
from typing import Final

from graphql import BreakingChangeType, SchemaChange, find_schema_changes, print_ast

from governance.decide.sdl import object_types, schema_of
from governance.model.contracts import Bundle
from governance.model.findings import Finding

_HINT: Final = "keep it, mark it @deprecated, and add the new one beside it"
_LEADING: Final = re.compile(
    r"^(?:An? (?:required|optional) (?:field|argument)|Field|Argument|Enum value|Standard scalar"
    r"|Description of(?: \w+)?) +"
)
_COORDINATE: Final = re.compile(r"\w+(?:\.\w+)?(?:\(\w+:\))?")
_DIRECTIVE: Final = re.compile(r"@\w+(?:\(\w+:\))?")
_REMOVALS: Final = {"FIELD_REMOVED", "TYPE_REMOVED"}
_UNUSED_SCALAR: Final = "Standard scalar"
_MACHINERY: Final = ("_Any", "_Entity", "_Service", "federation__", "link__")


def check_graphql_changes(
    bundle: Bundle, previous: Bundle | None, others: Iterable[Bundle] = ()
) -> list[Finding]:
    """Return a finding per change of the subgraph that breaks a query valid before.

    What another subgraph serves in the same words stays in the graph: then it only warns.

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
    found = [
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
    if not found:
        return []
    before = _served(previous.sdl)
    elsewhere: dict[str, set[str]] = {}
    for other in others:
        for coordinate, words in _served(other.sdl).items() if other.sdl else ():
            elsewhere.setdefault(coordinate, set()).add(words)
    return [
        finding.warned()
        if finding.code in _REMOVALS and _moved(finding.subject, before, elsewhere)
        else finding
        for finding in found
    ]


def _served(sdl: str) -> dict[str, str]:
    """Return what a subgraph serves: types by name, fields by coordinate, without directives."""
    served: dict[str, str] = {}
    for definition in object_types(sdl):
        name = definition.name.value
        served[name] = ""
        for field in definition.fields or ():
            arguments = sorted(
                f"{a.name.value}: {print_ast(a.type)}" for a in field.arguments or ()
            )
            served[f"{name}.{field.name.value}"] = f"({arguments}) {print_ast(field.type)}"
    return served


def _moved(subject: str, before: dict[str, str], elsewhere: dict[str, set[str]]) -> bool:
    """Tell whether another subgraph serves a type with all its fields, or a field."""
    wanted = [c for c in before if c == subject or c.startswith(f"{subject}.")]
    return bool(wanted) and all(before[c] in elsewhere.get(c, ()) for c in wanted)


def subject_of(change: SchemaChange) -> str:
    """Return the coordinate that a change is about: `Type`, `Type.field`, `Type.field(arg:)`."""
    if match := _DIRECTIVE.search(change.description):
        return match[0]
    bare = _LEADING.sub("", change.description)
    match = _COORDINATE.match(bare)
    return match[0] if match else change.type.name
