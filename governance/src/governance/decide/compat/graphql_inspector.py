"""Profile `graphql-inspector`: the specification's changes, weighed as that tool weighs them.

Beyond the specification it judges root types and the use of directives, and takes options:
`suppressRemovalOfDeprecatedField`, `dangerousBreaking`, `safeUnreachable`; `simplifyChanges` and
others that only shorten the report change no verdict.

Source: GraphQL Inspector's documentation, "Rules" of the `diff` command.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from graphql import (
    BreakingChangeType,
    DangerousChangeType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLUnionType,
    SchemaChange,
    find_schema_changes,
    get_named_type,
    is_specified_scalar_type,
)

from governance.decide.compat.verdict import Change
from governance.decide.graphql_changes import subject_of

OPTIONS: Final = frozenset(
    {
        "suppressRemovalOfDeprecatedField",
        "dangerousBreaking",
        "safeUnreachable",
        "simplifyChanges",
        "ignoreDescriptionChanges",
        "ignoreNestedAdditions",
        "suppressCommonPrefixChanges",
    }
)
_REMOVALS: Final = {BreakingChangeType.FIELD_REMOVED, BreakingChangeType.VALUE_REMOVED_FROM_ENUM}
_MILD: Final = {BreakingChangeType.DIRECTIVE_REPEATABLE_REMOVED}
_EXCLUSIVE: Final = "oneOf"
_HARMLESS: Final = {"deprecated", "specifiedBy"}


def compare_graphql_inspector(
    old: GraphQLSchema, new: GraphQLSchema, options: Iterable[str] = ()
) -> list[Change]:
    """Return breaking and dangerous changes; with `dangerousBreaking` both are incompatible."""
    chosen = frozenset(options)
    reachable = _reachable(old) if "safeUnreachable" in chosen else None
    changes = []
    for change in [*_from_specification(old, new, chosen), *_roots(old, new), *_uses(old, new)]:
        place = change.path.partition(".")[0]
        if reachable is not None and place in old.type_map and place not in reachable:
            continue
        changes.append(change)
    if "dangerousBreaking" in chosen:
        return [replace(change, breaking=True) for change in changes]
    return changes


def _from_specification(
    old: GraphQLSchema, new: GraphQLSchema, options: frozenset[str]
) -> Iterator[Change]:
    for change in find_schema_changes(old, new):
        if not isinstance(change.type, BreakingChangeType | DangerousChangeType):
            continue
        path = subject_of(change)
        if change.type is BreakingChangeType.TYPE_REMOVED and _is_standard(old, path):
            continue
        breaking = isinstance(change.type, BreakingChangeType) and change.type not in _MILD
        if "suppressRemovalOfDeprecatedField" in options and _was_deprecated(old, change, path):
            breaking = False
        yield Change(change.type.name, path, breaking=breaking, why=change.description)


def _is_standard(schema: GraphQLSchema, name: str) -> bool:
    known = schema.type_map.get(name)
    return known is not None and is_specified_scalar_type(known)


def _was_deprecated(schema: GraphQLSchema, change: SchemaChange, path: str) -> bool:
    if change.type not in _REMOVALS:
        return False
    owner, _, member = path.partition(".")
    kind = schema.type_map.get(owner)
    members: dict[str, Any] = (
        kind.values if isinstance(kind, GraphQLEnumType) else getattr(kind, "fields", {})
    )
    return member in members and members[member].deprecation_reason is not None


def _roots(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for root in ("query", "mutation", "subscription"):
        before, after = getattr(old, f"{root}_type"), getattr(new, f"{root}_type")
        if before is not None and (after is None or after.name != before.name):
            yield Change(
                f"SCHEMA_{root.upper()}_TYPE_CHANGED",
                f"schema.{root}",
                breaking=True,
                old=before.name,
                new=after.name if after else "",
                why=f"every {root} of clients is validated against another type",
            )


def _uses(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    """Find directives put on, or taken off, what both schemas have."""
    before, after = _directives(old), _directives(new)
    for path in sorted(before.keys() & after.keys()):
        for name in sorted((after[path] - before[path]).keys() - _HARMLESS):
            yield Change(
                "DIRECTIVE_USAGE_ADDED",
                f"{path}.@{name}",
                breaking=name == _EXCLUSIVE,
                why=f"@{name} was added: what the server does here may change",
            )
        for name in sorted((before[path] - after[path]).keys() - _HARMLESS):
            yield Change(
                "DIRECTIVE_USAGE_REMOVED",
                f"{path}.@{name}",
                breaking=False,
                why=f"@{name} was removed: what the server does here may change",
            )


def _directives(schema: GraphQLSchema) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {"schema": _named([schema.ast_node])}
    found["schema"] += _named(schema.extension_ast_nodes)
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        found[name] = _named([kind.ast_node]) + _named(kind.extension_ast_nodes)
        if isinstance(kind, GraphQLEnumType):
            for value, definition in kind.values.items():
                found[f"{name}.{value}"] = _named([definition.ast_node])
        for field, definition in getattr(kind, "fields", {}).items():
            found[f"{name}.{field}"] = _named([definition.ast_node])
            for argument, each in getattr(definition, "args", {}).items():
                found[f"{name}.{field}({argument}:)"] = _named([each.ast_node])
    return found


def _named(nodes: Iterable[Any]) -> Counter[str]:
    return Counter(
        directive.name.value
        for node in nodes or ()
        if node is not None
        for directive in node.directives or ()
    )


def _reachable(schema: GraphQLSchema) -> set[str]:
    """Return the names of all types that a client can meet, beginning at the roots."""
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    waiting: list[GraphQLNamedType] = [root for root in roots if root is not None]
    for directive in schema.directives:
        waiting += [get_named_type(argument.type) for argument in directive.args.values()]
    seen: set[str] = set()
    while waiting:
        kind = waiting.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        waiting += _leads_to(schema, kind)
    return seen


def _leads_to(schema: GraphQLSchema, kind: GraphQLNamedType) -> list[GraphQLNamedType]:
    if isinstance(kind, GraphQLUnionType):
        return list(kind.types)
    found: list[GraphQLNamedType] = []
    for field in getattr(kind, "fields", {}).values():
        found.append(get_named_type(field.type))
        found += [get_named_type(argument.type) for argument in getattr(field, "args", {}).values()]
    if not isinstance(kind, GraphQLInputObjectType):
        found += getattr(kind, "interfaces", ())
    if isinstance(kind, GraphQLInterfaceType):
        found += schema.get_implementations(kind).objects
    return found
