"""Reading a subgraph's SDL as a plain schema: what two rules need, and no more of federation."""

import re
from functools import lru_cache
from typing import Final

from graphql import (
    ConstDirectiveNode,
    DefinitionNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    StringValueNode,
    build_ast_schema,
    extend_schema,
    parse,
)

from twinmesh_sdk.core.errors import InvalidInputError

MAX_TOKENS: Final = 50_000
_COMMENT: Final = re.compile(r"#[^\n]*")


@lru_cache(maxsize=64)
def parse_sdl(sdl: str) -> DocumentNode:
    """Parse an SDL.

    Raises:
        InvalidInputError: It is not SDL; the message names line and column.
    """
    try:
        return parse(sdl, no_location=False, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        at = error.locations[0] if error.locations else None
        where = f" at line {at.line}, column {at.column}" if at else ""
        raise InvalidInputError(f"the SDL does not parse{where}: {error.message}") from error
    except RecursionError as error:
        raise InvalidInputError("the SDL is nested too deeply") from error


@lru_cache(maxsize=64)
def schema_of(sdl: str) -> GraphQLSchema:
    """Build a schema from a subgraph's SDL; an extension without its type becomes the type.

    Raises:
        InvalidInputError: The SDL refers to types that it does not define.
    """
    if not _COMMENT.sub("", sdl).strip():
        return GraphQLSchema()
    document = parse_sdl(sdl)
    defined = {_name(d) for d in document.definitions if not _is_extension(d)}
    bases: dict[str, DefinitionNode] = {}
    definitions: list[DefinitionNode] = []
    extensions: list[DefinitionNode] = []
    for definition in document.definitions:
        name = _name(definition)
        if name == "schema" and name not in defined:
            continue  # `extend schema @link(…)`: root types have their usual names
        if _is_extension(definition) and name not in defined and name not in bases:
            bases[name] = _as_definition(definition)
            definitions.append(bases[name])
        elif _is_extension(definition):
            extensions.append(definition)
        else:
            definitions.append(definition)
    try:
        schema = build_ast_schema(
            DocumentNode(definitions=tuple(definitions)),
            assume_valid=True,
            assume_valid_sdl=True,
        )
        if extensions:
            schema = extend_schema(
                schema,
                DocumentNode(definitions=tuple(extensions)),
                assume_valid=True,
                assume_valid_sdl=True,
            )
        return schema
    except (TypeError, KeyError, GraphQLError, RecursionError) as error:
        raise InvalidInputError(f"the SDL is no schema: {error}") from error


def object_types(
    sdl: str,
) -> list[
    ObjectTypeDefinitionNode
    | ObjectTypeExtensionNode
    | InterfaceTypeDefinitionNode
    | InterfaceTypeExtensionNode
]:
    """Return the definitions and extensions of object and interface types, in order."""
    return [
        definition
        for definition in parse_sdl(sdl).definitions
        if isinstance(
            definition,
            ObjectTypeDefinitionNode
            | ObjectTypeExtensionNode
            | InterfaceTypeDefinitionNode
            | InterfaceTypeExtensionNode,
        )
    ]


def directive_names(directives: "tuple[ConstDirectiveNode, ...] | None") -> set[str]:
    """Return the names of directives, without a `federation__` prefix."""
    return {d.name.value.removeprefix("federation__") for d in directives or ()}


def key_fields(directives: "tuple[ConstDirectiveNode, ...] | None") -> set[str]:
    """Return the top-level names in all `@key(fields:)` of a type."""
    names: set[str] = set()
    for directive in directives or ():
        if directive.name.value.removeprefix("federation__") != "key":
            continue
        for argument in directive.arguments or ():
            if argument.name.value == "fields" and isinstance(argument.value, StringValueNode):
                names.update(_top_level(argument.value.value))
    return names


def _top_level(field_set: str) -> set[str]:
    names = set()
    depth = 0
    for word in re.findall(r"[{}]|\w+", field_set):
        if word in "{}":
            depth += 1 if word == "{" else -1
        elif depth == 0:
            names.add(word)
    return names


def _name(definition: DefinitionNode) -> str:
    name = getattr(definition, "name", None)
    kind = "@" if definition.kind == "directive_definition" else ""
    return kind + (name.value if name is not None else "schema")


def _is_extension(definition: DefinitionNode) -> bool:
    return definition.kind.endswith("_extension")


def _as_definition(extension: DefinitionNode) -> DefinitionNode:
    import graphql  # noqa: PLC0415 - the one place that needs the classes by name

    kind = type(extension).__name__.replace("ExtensionNode", "DefinitionNode")
    definition: type[DefinitionNode] = getattr(graphql, kind)
    fields = {key: getattr(extension, key) for key in extension.keys if hasattr(extension, key)}
    return definition(**fields)
