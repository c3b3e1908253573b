"""Field sets of @key, @requires and @provides, resolved against a subgraph's types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import (
    FieldNode,
    GraphQLError,
    InlineFragmentNode,
    SelectionSetNode,
)

from twinmesh_federation.composition.model import Applied, FieldDef, SubgraphSchema, TypeDef
from twinmesh_federation.selection import parse_field_set_node
from twinmesh_federation.supergraph import model as kinds


@dataclass(slots=True)
class FieldSet:
    """A parsed field set with what is wrong with it, as (code suffix, message)."""

    text: str
    selections: SelectionSetNode | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    for_key: bool = False


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field that a field set selects, and the type it is selected on."""

    owner: TypeDef
    definition: FieldDef
    node: FieldNode
    depth: int
    within_external: bool


def read_field_set(applied: Applied, owner: TypeDef, schema: SubgraphSchema) -> FieldSet:
    """Parse the field set of an application and check it against the schema."""
    value = applied.args.get("fields")
    if isinstance(value, list) and schema.is_v1 and all(isinstance(v, str) for v in value):
        value = " ".join(value)
        applied.args["fields"] = value
    node = next((a.value for a in applied.node.arguments or () if a.name.value == "fields"), None)
    is_text = node is not None and node.kind in ("string_value", "list_value")
    if not isinstance(value, str) or not is_text:
        if node is not None and node.kind == "enum_value" and schema.is_v1:
            value = str(value)
            applied.args["fields"] = value
        else:
            return FieldSet("", None, [("INVALID_FIELDS_TYPE", "fields must be a string")])
    found = FieldSet(value, for_key=applied.name == "key")
    try:
        found.selections = parse_field_set_node(value)
    except (GraphQLError, ValueError, RecursionError) as error:
        found.problems.append(("INVALID_FIELDS", f"{value!r}: {error}"))
        return found
    _check(found.selections, owner, schema, found)
    return found


def _check(
    selections: SelectionSetNode, owner: TypeDef, schema: SubgraphSchema, found: FieldSet
) -> None:
    for node in selections.selections:
        if node.directives:
            name = node.directives[0].name.value
            known = name in schema.directive_definitions or name in ("include", "skip")
            found.problems.append(
                ("DIRECTIVE_IN_FIELDS_ARG", f"cannot have directive @{name}")
                if known
                else ("INVALID_FIELDS", f"unknown directive @{name}")
            )
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else owner.name
            target = schema.types.get(name)
            if target is None or target.kind not in (kinds.OBJECT, kinds.INTERFACE, kinds.UNION):
                found.problems.append(("INVALID_FIELDS", f"unknown type {name}"))
            else:
                _check(node.selection_set, target, schema, found)
        elif isinstance(node, FieldNode):
            _check_field(node, owner, schema, found)
        else:
            found.problems.append(("INVALID_FIELDS", "a field set takes no named fragments"))


def _check_field(node: FieldNode, owner: TypeDef, schema: SubgraphSchema, found: FieldSet) -> None:
    name = node.name.value
    if name == "__typename":
        return
    if node.alias is not None:
        found.problems.append(("INVALID_FIELDS", f"cannot alias {name}"))
    definition = owner.fields.get(name)
    if definition is None:
        found.problems.append(
            ("INVALID_FIELDS", f"Cannot query field {name!r} on type {owner.name!r}")
        )
        return
    known = definition.args
    for argument in node.arguments or ():
        if argument.name.value not in known:
            found.problems.append(
                ("INVALID_FIELDS", f"Unknown argument {argument.name.value!r} on {name!r}")
            )
    target = schema.types.get(definition.type.name)
    composite = target is not None and target.kind in (
        kinds.OBJECT, kinds.INTERFACE, kinds.UNION,
    )  # fmt: skip
    if node.selection_set is None:
        # A key may not select what is abstract at all, which is told elsewhere.
        abstract = target is not None and target.kind != kinds.OBJECT
        if composite and not (found.for_key and abstract):
            found.problems.append(("INVALID_FIELDS", f"{owner.name}.{name} needs subselections"))
    elif not composite or target is None:
        found.problems.append(("INVALID_FIELDS", f"{owner.name}.{name} has no subfields"))
    else:
        _check(node.selection_set, target, schema, found)


def selected_fields(
    selections: SelectionSetNode,
    owner: TypeDef,
    schema: SubgraphSchema,
    depth: int = 0,
    *,
    within_external: bool = False,
) -> Iterator[SelectedField]:
    """Yield every field that a valid field set selects, outermost first."""
    for node in selections.selections:
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else owner.name
            target = schema.types.get(name)
            if target is not None:
                yield from selected_fields(
                    node.selection_set, target, schema, depth, within_external=within_external
                )
        elif isinstance(node, FieldNode):
            definition = owner.fields.get(node.name.value)
            if definition is None:
                continue
            yield SelectedField(owner, definition, node, depth, within_external)
            target = schema.types.get(definition.type.name)
            if node.selection_set is not None and target is not None:
                yield from selected_fields(
                    node.selection_set,
                    target,
                    schema,
                    depth + 1,
                    within_external=within_external
                    or definition.external
                    or _external_somewhere(owner, definition.name, schema),
                )


def _external_somewhere(owner: TypeDef, name: str, schema: SubgraphSchema) -> bool:
    """Tell whether an implementation of an interface marks the field external."""
    if owner.kind != kinds.INTERFACE:
        return False
    return any(
        (own := schema.types[t].fields.get(name)) is not None and own.external
        for t in schema.possible.get(owner.name, ())
    )


__all__ = ["FieldSet", "SelectedField", "read_field_set", "selected_fields"]
