"""Selections: the small tree that operations, keys and requirements are planned as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    parse,
    print_ast,
)

Condition = tuple[str, bool]
"""A variable, and the value it must have for the selection to count."""

Conditions = tuple[Condition, ...]

MAX_FIELD_SET_LENGTH = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field as selected; identity is by object, so decisions can be remembered by it."""

    key: str
    name: str
    args: str = ""
    variables: tuple[str, ...] = ()
    selections: Selections | None = None
    conditions: Conditions = ()
    parent: str | None = None
    """The composite type on which the client selected it; None in keys and requirements."""
    directives: str = ""

    @property
    def signature(self) -> tuple[str, str]:
        """Tell apart two fields that answer under one key."""
        return (self.name, self.args)

    def with_selections(self, selections: Selections | None) -> Field:
        """Copy the field with other children."""
        return Field(
            self.key, self.name, self.args, self.variables, selections,
            self.conditions, self.parent, self.directives,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """Selections under a type condition."""

    type_name: str
    selections: Selections
    conditions: Conditions = ()


Selection = Field | Fragment


@dataclass(frozen=True, slots=True, eq=False)
class Selections:
    """An ordered set of selections on one composite type."""

    items: tuple[Selection, ...] = field(default=())

    def __iter__(self) -> Iterator[Selection]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def variables_in(node: ValueNode) -> Iterable[str]:
    """Yield the names of the variables that a value mentions."""
    if isinstance(node, VariableNode):
        yield node.name.value
    for child in getattr(node, "values", None) or ():
        yield from variables_in(child)
    for child in getattr(node, "fields", None) or ():
        yield from variables_in(child.value)


def print_arguments(node: FieldNode) -> tuple[str, tuple[str, ...]]:
    """Return the arguments as text in name order, and the variables they use."""
    if not node.arguments:
        return "", ()
    parts = sorted((a.name.value, print_ast(a.value)) for a in node.arguments)
    used: dict[str, None] = {}
    for argument in node.arguments:
        used.update(dict.fromkeys(variables_in(argument.value)))
    return "(" + ", ".join(f"{name}: {value}" for name, value in parts) + ")", tuple(used)


def parse_field_set(text: str) -> Selections:
    """Parse the text of a key, requirement or provision.

    Raises:
        GraphQLSyntaxError: The text is not a selection set.
    """
    return convert_field_set(parse_field_set_node(text))


def parse_field_set_node(text: str) -> SelectionSetNode:
    """Parse a field set as graphql-core's node.

    Raises:
        GraphQLSyntaxError: The text is not a selection set.
    """
    if len(text) > MAX_FIELD_SET_LENGTH:
        raise ValueError(f"field set longer than {MAX_FIELD_SET_LENGTH} characters")
    stripped = text.strip()
    source = stripped if stripped.startswith("{") else "{" + text + "}"
    document = parse(source, no_location=True, max_tokens=20_000)
    definition = document.definitions[0]
    if len(document.definitions) != 1:
        raise ValueError("a field set is one selection set")
    selection_set: SelectionSetNode = definition.selection_set  # type: ignore[attr-defined]
    if not selection_set.selections:
        raise ValueError("a field set selects at least one field")
    return selection_set


def convert_field_set(node: SelectionSetNode) -> Selections:
    """Turn a parsed field set into selections."""
    items: list[Selection] = []
    for child in node.selections:
        if isinstance(child, FieldNode):
            args, variables = print_arguments(child)
            below = convert_field_set(child.selection_set) if child.selection_set else None
            items.append(Field(child.name.value, child.name.value, args, variables, below))
        elif isinstance(child, InlineFragmentNode):
            below = convert_field_set(child.selection_set)
            if child.type_condition is None:
                items.extend(below)
            else:
                items.append(Fragment(child.type_condition.name.value, below))
        elif isinstance(child, FragmentSpreadNode):
            raise ValueError("a field set cannot spread a named fragment")
    return Selections(tuple(items))


__all__ = [
    "Condition",
    "Conditions",
    "Field",
    "Fragment",
    "GraphQLSyntaxError",
    "Selection",
    "Selections",
    "convert_field_set",
    "parse_field_set",
    "parse_field_set_node",
    "print_arguments",
    "variables_in",
]
