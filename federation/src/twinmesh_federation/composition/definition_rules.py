"""Whether a subgraph defines the federation's directives as the specification does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphql import (
    DirectiveDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    TypeNode,
    print_ast,
)

from twinmesh_federation.composition.federation_spec import definitions
from twinmesh_federation.composition.model import SubgraphSchema
from twinmesh_federation.composition.read import federation_names

_BUILT_IN: Final = frozenset(("Int", "Float", "String", "Boolean", "ID"))


def definition_problems(schema: SubgraphSchema) -> Iterator[tuple[str, str]]:
    """Yield coordinate and message of definitions of federation directives that deviate.

    A subgraph may define fewer arguments and locations, and demand an argument that is optional.
    """
    names = federation_names(schema.links)
    for local, own in schema.directive_definitions.items():
        expected = definitions().get(names.get(local, ""))
        if expected is not None:
            for problem in _argument_problems(local, own, expected, lax=schema.is_v1):
                yield f"@{local}", problem
            allowed = {x.value for x in expected.locations}
            further = [x.value for x in own.locations if x.value not in allowed]
            if further:
                yield (
                    f"@{local}",
                    f"@{local} should have locations of {sorted(allowed)}, not {further}",
                )


def _argument_problems(
    local: str, own: DirectiveDefinitionNode, expected: DirectiveDefinitionNode, *, lax: bool
) -> Iterator[str]:
    given = {a.name.value: a.type for a in own.arguments or ()}
    known = {a.name.value: a for a in expected.arguments or ()}
    for name, argument in known.items():
        found = given.get(name)
        if found is None:
            if isinstance(argument.type, NonNullTypeNode):
                yield f"@{local} lacks the required argument {name!r}"
        elif not _same(argument.type, found, lax=lax):
            yield (
                f"@{local}({name}:) should have type {print_ast(argument.type)}, not "
                f"{print_ast(found)}"
            )
    for name in given.keys() - known.keys():
        yield f"@{local} has an unknown argument {name!r}"


def _same(expected: TypeNode, own: TypeNode, *, lax: bool) -> bool:
    """Compare types; the specification's own scalars may go by any name, also as lists."""
    name = _named(expected)
    if name not in _BUILT_IN:
        return lax or isinstance(own, NonNullTypeNode) or not isinstance(expected, NonNullTypeNode)
    if isinstance(own, NonNullTypeNode) and not isinstance(expected, NonNullTypeNode):
        own = own.type
    if isinstance(expected, NonNullTypeNode):
        return isinstance(own, NonNullTypeNode) and _same(expected.type, own.type, lax=lax)
    if isinstance(expected, ListTypeNode):
        return isinstance(own, ListTypeNode) and _same(expected.type, own.type, lax=lax)
    return isinstance(own, NamedTypeNode) and own.name.value == name


def _named(node: TypeNode) -> str:
    while isinstance(node, (NonNullTypeNode, ListTypeNode)):
        node = node.type
    assert isinstance(node, NamedTypeNode)
    return node.name.value
