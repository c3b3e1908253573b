"""Rule: a new SDL breaks no query that the old one answers."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from graphql import (
    BreakingChangeType,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    SchemaChange,
    find_schema_changes,
    get_named_type,
    print_ast,
)

from governance.decide.breaches import GRAPHQL, Breach
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
    bundle: Bundle, previous: Bundle, others: Iterable[Bundle] = ()
) -> tuple[list[Breach], list[Finding]]:
    """Return the changes of a subgraph that break a query valid before, and what only moves.

    What another subgraph serves in the same words stays in the graph: that is only to know.

    Source: GraphQL specification as graphql-js's `findBreakingChanges` reads it.
    """
    if not previous.sdl or bundle.sdl == previous.sdl:
        return [], []
    if not bundle.sdl:
        return [_subgraph_removed(bundle, previous)], []
    changes = [
        change
        for change in _changes(previous.sdl, bundle.sdl)
        if not subject_of(change).lstrip("@").startswith(_MACHINERY)
    ]
    if not changes:
        return [], []
    before = _served(previous.sdl)
    elsewhere: dict[str, set[str]] = {}
    for other in others:
        for coordinate, words in _served(other.sdl).items() if other.sdl else ():
            elsewhere.setdefault(coordinate, set()).add(words)
    breaches, moved = [], []
    for change in changes:
        breach = _breach(bundle, previous.sdl, change)
        subject = breach.finding.subject
        if change.type.name in _REMOVALS and _moved(subject, before, elsewhere):
            moved.append(breach.finding.warned())
        else:
            breaches.append(breach)
    return breaches, moved


@lru_cache(maxsize=256)
def _changes(old: str, new: str) -> tuple[SchemaChange, ...]:
    """Compare once per pair of contents."""
    return tuple(
        change
        for change in find_schema_changes(schema_of(old), schema_of(new))
        if isinstance(change.type, BreakingChangeType)
        and not change.description.startswith(_UNUSED_SCALAR)
    )


def _subgraph_removed(bundle: Bundle, previous: Bundle) -> Breach:
    finding = Finding(
        code="SUBGRAPH_REMOVED",
        subject=bundle.service,
        message=f"{bundle.service} {previous.version} serves a subgraph, this version none",
        hint=_HINT,
        service=bundle.service,
    )
    return Breach(finding, kinds=GRAPHQL)


def _breach(bundle: Bundle, sdl: str, change: SchemaChange) -> Breach:
    subject = subject_of(change)
    finding = Finding(
        code=change.type.name,
        subject=subject,
        message=change.description,
        hint=_HINT,
        service=bundle.service,
    )
    owner = re.split(r"[.(]", subject)[0]
    match change.type:
        case (
            BreakingChangeType.TYPE_REMOVED
            | BreakingChangeType.TYPE_CHANGED_KIND
            | BreakingChangeType.TYPE_REMOVED_FROM_UNION
            | BreakingChangeType.IMPLEMENTED_INTERFACE_REMOVED
        ):
            return Breach(finding, _leading_to(sdl, owner), within=(owner,), coordinate=subject)
        case BreakingChangeType.REQUIRED_INPUT_FIELD_ADDED:
            return Breach(finding, within=(owner,))
        case BreakingChangeType.REQUIRED_ARG_ADDED:
            return Breach(finding, frozenset({subject.partition("(")[0]}))
        case BreakingChangeType.VALUE_REMOVED_FROM_ENUM:
            return Breach(finding, _leading_to(sdl, owner) | {subject}, coordinate=subject)
        case _ if subject.startswith("@"):
            return Breach(finding, kinds=GRAPHQL)
        case _:
            return Breach(finding, frozenset({subject}), coordinate=subject)


def _leading_to(sdl: str, name: str) -> frozenset[str]:
    """Return the fields that give a type: who asks for them would meet the change."""
    return frozenset(
        f"{kind.name}.{field}"
        for kind in schema_of(sdl).type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for field, definition in kind.fields.items()
        if get_named_type(definition.type).name == name
    )


def deprecated_coordinates(sdl: str) -> dict[str, str]:
    """Return what an SDL marks as deprecated, with the reasons."""
    return {
        coordinate: part.deprecation_reason
        for coordinate, part in _parts(sdl)
        if part.deprecation_reason is not None
    }


def coordinates_of(sdl: str) -> set[str]:
    """Return every field, argument and enum value of an SDL."""
    return {coordinate for coordinate, _ in _parts(sdl)}


def _parts(sdl: str) -> Iterator[tuple[str, Any]]:
    for kind in schema_of(sdl).type_map.values():
        if kind.name.startswith(_MACHINERY):
            continue
        members: dict[str, Any] = (
            kind.values if isinstance(kind, GraphQLEnumType) else getattr(kind, "fields", {})
        )
        for name, member in members.items():
            yield f"{kind.name}.{name}", member
            for argument, each in getattr(member, "args", {}).items():
                yield f"{kind.name}.{name}({argument}:)", each


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
