"""A subgraph's schema as composition works on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import DirectiveDefinitionNode, DirectiveNode

from twinmesh_federation.composition.links import Links
from twinmesh_federation.supergraph.model import TypeRef

UNKNOWN: Final = TypeRef("")


@dataclass(slots=True)
class Applied:
    """A directive as applied; `name` is the specification's where it is a federation one."""

    name: str
    args: dict[str, Any]
    node: DirectiveNode
    is_federation: bool


@dataclass(slots=True)
class Element:
    """Anything that can carry directives and a description."""

    name: str
    directives: list[Applied] = field(default_factory=list)
    description: str | None = None

    def applied(self, name: str) -> Iterator[Applied]:
        """Yield the applications of a federation directive."""
        for directive in self.directives:
            if directive.is_federation and directive.name == name:
                yield directive

    def has(self, name: str) -> bool:
        """Tell whether a federation directive is applied."""
        return next(self.applied(name), None) is not None

    def drop(self, name: str) -> None:
        """Remove a federation directive."""
        self.directives = [d for d in self.directives if not (d.is_federation and d.name == name)]


@dataclass(slots=True)
class Argument(Element):
    """An argument or input field; `default` is printed."""

    type: TypeRef = UNKNOWN
    default: str | None = None


@dataclass(slots=True)
class FieldDef(Element):
    """A field of an object or interface type."""

    type: TypeRef = UNKNOWN
    args: dict[str, Argument] = field(default_factory=dict)
    external: bool = False
    shareable: bool = False
    in_extension: bool = False


@dataclass(slots=True)
class TypeDef(Element):
    """A type, its definition and extensions joined.

    Attributes:
        extension: There is no plain definition, or it says @extends.
    """

    kind: str = ""
    fields: dict[str, FieldDef] = field(default_factory=dict)
    inputs: dict[str, Argument] = field(default_factory=dict)
    values: dict[str, Element] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    extension: bool = False
    defined: bool = False

    @property
    def interface_object(self) -> bool:
        """Tell whether an object stands for an interface."""
        return self.has("interfaceObject")


@dataclass(slots=True)
class SubgraphSchema:
    """One subgraph, read and brought to federation 2 terms."""

    name: str
    url: str
    graph: str
    links: Links
    types: dict[str, TypeDef]
    roots: dict[str, str]
    schema_directives: list[Applied] = field(default_factory=list)
    directive_definitions: dict[str, DirectiveDefinitionNode] = field(default_factory=dict)
    possible: dict[str, set[str]] = field(default_factory=dict)
    provided: set[tuple[str, str]] = field(default_factory=set)
    """(type, field) that some @provides of this subgraph selects."""

    @property
    def is_v1(self) -> bool:
        """Tell whether it is written for federation 1."""
        return not self.links.is_v2
