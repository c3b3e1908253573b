"""The public schema of a supergraph: without joins, and without what is inaccessible."""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    DocumentNode,
    SchemaDefinitionNode,
    print_ast,
)

_INTERNAL_PREFIXES: Final = ("join__", "link__", "core__", "federation__", "connect__", "context__")
_PUBLIC_DIRECTIVES: Final = ("deprecated", "specifiedBy", "oneOf")
_EXECUTABLE: Final = frozenset(
    ("QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION", "FRAGMENT_SPREAD",
     "INLINE_FRAGMENT", "VARIABLE_DEFINITION")
)  # fmt: skip


def public_sdl(document: DocumentNode, inaccessible: str) -> str:
    """Print the definitions that clients may see."""
    hidden_types = {
        str(getattr(d, "name").value)  # noqa: B009 - nodes with directives have names
        for d in document.definitions
        if _hidden(d, inaccessible) and not isinstance(d, DirectiveDefinitionNode)
    }
    parts: list[str] = []
    for definition in document.definitions:
        name = getattr(getattr(definition, "name", None), "value", "")
        if name.startswith(_INTERNAL_PREFIXES) or name in hidden_types:
            continue
        if isinstance(definition, DirectiveDefinitionNode):
            public = _public_directive(definition)
        elif isinstance(definition, SchemaDefinitionNode):
            public = _rebuilt(definition, directives=(), operation_types=tuple(
                o for o in definition.operation_types if o.type.name.value not in hidden_types
            ))  # fmt: skip
        else:
            public = _public_type(definition, inaccessible, hidden_types)
        if public is not None:
            parts.append(print_ast(public))
    return "\n\n".join(parts)


def _hidden(node: Any, inaccessible: str) -> bool:  # noqa: ANN401 - any AST node
    return any(d.name.value == inaccessible for d in getattr(node, "directives", None) or ())


def _rebuilt(node: Any, **changes: Any) -> Any:  # noqa: ANN401 - any AST node
    values = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
    values.update(changes)
    return type(node)(**values)


def _public_directives(node: Any) -> tuple[ConstDirectiveNode, ...]:  # noqa: ANN401
    return tuple(d for d in node.directives or () if d.name.value in _PUBLIC_DIRECTIVES)


def _public_directive(node: DirectiveDefinitionNode) -> DirectiveDefinitionNode | None:
    if node.name.value in ("include", "skip", "deprecated", "specifiedBy", "oneOf"):
        return None
    locations = tuple(x for x in node.locations if x.value in _EXECUTABLE)
    if not locations:
        return None
    rebuilt: DirectiveDefinitionNode = _rebuilt(node, locations=locations)
    return rebuilt


def _named(node: Any) -> str:  # noqa: ANN401 - any type node
    while not hasattr(node, "name"):
        node = node.type
    name: str = node.name.value
    return name


def _public_type(node: Any, inaccessible: str, hidden: set[str]) -> Any:  # noqa: ANN401
    changes: dict[str, Any] = {"directives": _public_directives(node)}
    if getattr(node, "interfaces", None):
        changes["interfaces"] = tuple(i for i in node.interfaces if i.name.value not in hidden)
    if node.kind == "union_type_definition":
        changes["types"] = tuple(t for t in node.types or () if t.name.value not in hidden)
    if node.kind == "enum_type_definition":
        changes["values"] = tuple(
            _rebuilt(v, directives=_public_directives(v))
            for v in node.values or ()
            if not _hidden(v, inaccessible)
        )
    if hasattr(node, "fields"):
        changes["fields"] = tuple(
            _public_field(f, inaccessible, hidden)
            for f in node.fields or ()
            if not _hidden(f, inaccessible) and _named(f.type) not in hidden
        )
    return _rebuilt(node, **changes)


def _public_field(node: Any, inaccessible: str, hidden: set[str]) -> Any:  # noqa: ANN401
    changes: dict[str, Any] = {"directives": _public_directives(node)}
    if getattr(node, "arguments", None):
        changes["arguments"] = tuple(
            _rebuilt(a, directives=_public_directives(a))
            for a in node.arguments
            if not _hidden(a, inaccessible) and _named(a.type) not in hidden
        )
    return _rebuilt(node, **changes)
