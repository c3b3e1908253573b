"""What two versions of a subgraph both serve: all that may be routed while both run."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from graphql import (
    ConstDirectiveNode,
    DefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
)

from governance.decide.sdl import parse_sdl

SCALARS: Final = frozenset({"Int", "Float", "String", "Boolean", "ID"})
_MACHINERY: Final = ("_", "federation__", "link__")

Fielded = ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode
Definitions = dict[str, DefinitionNode]


@lru_cache(maxsize=64)
def common_sdl(newest: str, others: tuple[str, ...]) -> str:
    """Return an SDL with what every one of these serves, in the words of the newest.

    A field stays when all have it with the same type and can be asked in the same way; an argument
    that one lacks goes, and with it the field if the argument is needed. Of enums and unions, what
    all have; of input types, what all take. Empty when nothing is left.

    Raises:
        InvalidInputError: One of them is no SDL.
    """
    merged = newest
    for other in others:
        merged = _common(merged, other)
    return merged


def _common(one: str, other: str) -> str:
    if not one or not other:
        return ""
    mine, theirs = _types(one), _types(other)
    both = {
        name: joined
        for name, definition in mine.items()
        if (joined := _joined(definition, theirs.get(name))) is not None
    }
    both = _pruned(both)
    if not any(isinstance(d, ObjectTypeDefinitionNode) for d in both.values()):
        return ""
    kept: list[DefinitionNode] = []
    for definition in parse_sdl(one).definitions:
        name = getattr(getattr(definition, "name", None), "value", "")
        if not _is_type(definition):
            kept.append(definition)  # the schema's @link, and directive definitions
        elif name in both:
            kept.append(both.pop(name))
    return print_ast(DocumentNode(definitions=tuple(kept)))


def _is_type(definition: DefinitionNode) -> bool:
    return definition.kind.endswith(("type_definition", "type_extension"))


def _types(sdl: str) -> Definitions:
    """Return types by name, extensions as if they were definitions; a second one adds to it."""
    text = "\n".join(
        print_ast(d).removeprefix("extend ") for d in parse_sdl(sdl).definitions if _is_type(d)
    )
    found: Definitions = {}
    for definition in parse(text).definitions if text else ():
        name = definition.name.value  # type: ignore[attr-defined]  # every type has a name
        found[name] = _merged(found[name], definition) if name in found else definition
    return found


def _merged(first: DefinitionNode, second: DefinitionNode) -> DefinitionNode:
    """Return a type and its extension as one."""
    parts = {
        key: (*(getattr(first, key, None) or ()), *(getattr(second, key, None) or ()))
        for key in ("fields", "values", "types", "interfaces", "directives")
        if key in first.keys
    }
    return _with(first, **parts)


def _with(node: DefinitionNode, **parts: object) -> DefinitionNode:
    values = {key: getattr(node, key) for key in node.keys if hasattr(node, key)} | parts
    return type(node)(**values)


def _joined(mine: DefinitionNode, theirs: DefinitionNode | None) -> DefinitionNode | None:
    """Return what two definitions have in common; None when they are of different kinds."""
    if theirs is None or type(mine) is not type(theirs):
        return None
    match mine:
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            assert isinstance(theirs, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
            return _joined_fields(mine, theirs)
        case InputObjectTypeDefinitionNode():
            assert isinstance(theirs, InputObjectTypeDefinitionNode)
            return _joined_inputs(mine, theirs)
        case EnumTypeDefinitionNode():
            assert isinstance(theirs, EnumTypeDefinitionNode)
            names = {value.name.value for value in theirs.values or ()}
            return _with_some(mine, "values", names)
        case UnionTypeDefinitionNode():
            assert isinstance(theirs, UnionTypeDefinitionNode)
            names = {member.name.value for member in theirs.types or ()}
            return _with_some(mine, "types", names)
        case _:
            return mine if isinstance(mine, ScalarTypeDefinitionNode) else None


def _with_some(node: DefinitionNode, key: str, names: set[str]) -> DefinitionNode | None:
    """Return a definition with those of its members that have these names; None without any."""
    kept = tuple(each for each in getattr(node, key) or () if each.name.value in names)
    return _with(node, **{key: kept}) if kept else None


def _joined_fields(mine: Fielded, theirs: Fielded) -> DefinitionNode | None:
    known = {field.name.value: field for field in theirs.fields or ()}
    fields = tuple(
        joined
        for field in mine.fields or ()
        if (joined := _joined_field(field, known.get(field.name.value))) is not None
    )
    interfaces = {each.name.value for each in theirs.interfaces or ()}
    kept = tuple(i for i in mine.interfaces or () if i.name.value in interfaces)
    return _with(mine, fields=fields, interfaces=kept) if fields else None


def _joined_field(
    mine: FieldDefinitionNode, theirs: FieldDefinitionNode | None
) -> FieldDefinitionNode | None:
    if theirs is None or print_ast(mine.type) != print_ast(theirs.type):
        return None
    known = {argument.name.value: argument for argument in theirs.arguments or ()}
    kept = []
    for argument in mine.arguments or ():
        other = known.pop(argument.name.value, None)
        if other is not None and print_ast(argument.type) == print_ast(other.type):
            kept.append(argument)
        elif _needed(argument) or (other is not None and _needed(other)):
            return None
    if any(_needed(argument) for argument in known.values()):
        return None
    return _field(mine, tuple(kept))


def _field(
    field: FieldDefinitionNode, arguments: tuple[InputValueDefinitionNode, ...]
) -> FieldDefinitionNode:
    values = {key: getattr(field, key) for key in field.keys if hasattr(field, key)}
    return FieldDefinitionNode(**(values | {"arguments": arguments}))


def _needed(value: InputValueDefinitionNode) -> bool:
    return isinstance(value.type, NonNullTypeNode) and value.default_value is None


def _joined_inputs(
    mine: InputObjectTypeDefinitionNode, theirs: InputObjectTypeDefinitionNode
) -> DefinitionNode | None:
    """Return what both take; None when one needs what the other does not know."""
    known = {field.name.value: field for field in theirs.fields or ()}
    kept = []
    for field in mine.fields or ():
        other = known.pop(field.name.value, None)
        if other is not None and print_ast(field.type) == print_ast(other.type):
            kept.append(field)
        elif _needed(field) or (other is not None and _needed(other)):
            return None
    if not kept or any(_needed(field) for field in known.values()):
        return None
    return _with(mine, fields=tuple(kept))


def _pruned(types: Definitions) -> Definitions:
    """Leave out what refers to a type that is not there any more, until nothing does."""
    while True:
        kept: Definitions = {}
        for name, definition in types.items():
            if (left := _left(definition, types)) is not None:
                kept[name] = left
        if {n: print_ast(d) for n, d in kept.items()} == {
            n: print_ast(d) for n, d in types.items()
        }:
            return kept
        types = kept


def _left(definition: DefinitionNode, types: Definitions) -> DefinitionNode | None:
    match definition:
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            fields = tuple(
                left
                for field in definition.fields or ()
                if (left := _left_field(field, types)) is not None
            )
            interfaces = tuple(i for i in definition.interfaces or () if i.name.value in types)
            names = {field.name.value for field in fields}
            directives = tuple(d for d in definition.directives or () if _holds(d, names))
            if not fields:
                return None
            return _with(definition, fields=fields, interfaces=interfaces, directives=directives)
        case InputObjectTypeDefinitionNode():
            inputs = definition.fields or ()
            gone = [field for field in inputs if not _known(field.type, types)]
            if len(gone) == len(inputs) or any(_needed(field) for field in gone):
                return None
            return _with(definition, fields=tuple(f for f in inputs if f not in gone))
        case UnionTypeDefinitionNode():
            members = tuple(m for m in definition.types or () if m.name.value in types)
            return _with(definition, types=members) if members else None
    return definition


def _left_field(field: FieldDefinitionNode, types: Definitions) -> FieldDefinitionNode | None:
    if not _known(field.type, types):
        return None
    gone = [a for a in field.arguments or () if not _known(a.type, types)]
    if any(_needed(argument) for argument in gone):
        return None
    return _field(field, tuple(a for a in field.arguments or () if a not in gone))


def _known(type_: TypeNode, types: Definitions) -> bool:
    while isinstance(type_, ListTypeNode | NonNullTypeNode):
        type_ = type_.type
    name = type_.name.value  # type: ignore[attr-defined]  # a named type is left
    return name in types or name in SCALARS or name.startswith(_MACHINERY)


def _holds(directive: ConstDirectiveNode, fields: set[str]) -> bool:
    """Tell whether a `@key` can still be asked for; every other directive stays."""
    if directive.name.value.removeprefix("federation__") != "key":
        return True
    for argument in directive.arguments or ():
        if argument.name.value == "fields":
            text = str(getattr(argument.value, "value", ""))
            return _top_level(text) <= fields
    return False


def _top_level(field_set: str) -> set[str]:
    names, depth = set(), 0
    for word in field_set.replace("{", " { ").replace("}", " } ").split():
        if word in "{}":
            depth += 1 if word == "{" else -1
        elif depth == 0:
            names.add(word)
    return names


def both_serve(sdls: Sequence[str]) -> str:
    """Return `common_sdl` of several, the newest first."""
    return common_sdl(sdls[0], tuple(sdls[1:])) if sdls else ""
