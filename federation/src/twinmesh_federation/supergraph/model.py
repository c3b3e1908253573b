"""What a supergraph says: types, and which subgraph resolves which field how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from graphql import GraphQLSchema

if TYPE_CHECKING:
    from twinmesh_federation.selection import Selections

OBJECT: Final = "OBJECT"
INTERFACE: Final = "INTERFACE"
UNION: Final = "UNION"
ENUM: Final = "ENUM"
SCALAR: Final = "SCALAR"
INPUT: Final = "INPUT_OBJECT"


@dataclass(frozen=True, slots=True)
class TypeRef:
    """A type as written at a field: a name, or a list of one, possibly non-null."""

    name: str
    of: TypeRef | None = None
    non_null: bool = False

    @property
    def list_depth(self) -> int:
        """Count the lists around the named type."""
        return 0 if self.of is None else 1 + self.of.list_depth

    def __str__(self) -> str:
        inner = self.name if self.of is None else f"[{self.of}]"
        return inner + "!" if self.non_null else inner


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """One subgraph: `id` is its join__Graph value, `name` and `url` its own."""

    id: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class KeyJoin:
    """One key of a type in one subgraph."""

    fields: Selections
    text: str
    resolvable: bool = True


@dataclass(slots=True)
class TypeJoin:
    """What one subgraph knows of a type."""

    keys: list[KeyJoin] = field(default_factory=list)
    extension: bool = False
    interface_object: bool = False
    implements: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class FieldJoin:
    """How one subgraph takes part in a field."""

    graph: str
    type: TypeRef | None = None
    external: bool = False
    requires: Selections | None = None
    provides: Selections | None = None
    override: str | None = None
    override_label: str | None = None
    used_overridden: bool = False


@dataclass(frozen=True, slots=True)
class ArgumentInfo:
    """An argument or input field."""

    name: str
    type: TypeRef
    default: str | None = None


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Who may have a field or type: all three conditions hold.

    Attributes:
        scopes: Alternatives, each a set of scopes that must all be there; empty means any.
        policies: The same with policies.
    """

    authenticated: bool = False
    scopes: tuple[frozenset[str], ...] = ()
    policies: tuple[frozenset[str], ...] = ()


@dataclass(slots=True)
class FieldInfo:
    """A field of the supergraph with its joins by subgraph."""

    name: str
    type: TypeRef
    args: dict[str, ArgumentInfo]
    joins: dict[str, FieldJoin]
    inaccessible: bool = False
    access: AccessRule | None = None


@dataclass(slots=True)
class TypeInfo:
    """A type of the supergraph."""

    name: str
    kind: str
    fields: dict[str, FieldInfo] = field(default_factory=dict)
    joins: dict[str, TypeJoin] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    enum_values: dict[str, bool] = field(default_factory=dict)
    """Value to whether the public API shows it."""
    inaccessible: bool = False
    access: AccessRule | None = None

    @property
    def is_composite(self) -> bool:
        """Tell whether selections may follow."""
        return self.kind in (OBJECT, INTERFACE, UNION)

    @property
    def is_abstract(self) -> bool:
        """Tell whether run-time types differ from it."""
        return self.kind in (INTERFACE, UNION)


@dataclass
class Supergraph:
    """A composed schema, ready to plan over. Never changed after loading."""

    sdl: str
    graphs: dict[str, GraphInfo]
    types: dict[str, TypeInfo]
    roots: dict[str, str]
    """Operation kind ("query", "mutation", "subscription") to root type name."""
    print_api: Callable[[], str]
    """Prints the public schema, which composing alone does not need."""

    def __post_init__(self) -> None:
        possible: dict[str, set[str]] = {}
        for info in self.types.values():
            if info.kind == OBJECT:
                possible.setdefault(info.name, set()).add(info.name)
                for interface in info.interfaces:
                    possible.setdefault(interface, set()).add(info.name)
            elif info.kind == UNION:
                possible.setdefault(info.name, set()).update(info.members)
            else:
                possible.setdefault(info.name, set())
        self.possible: dict[str, frozenset[str]] = {k: frozenset(v) for k, v in possible.items()}
        self._possible_in: dict[tuple[str, str], frozenset[str]] = {}

    @cached_property
    def api_sdl(self) -> str:
        """Print the public schema: without joins, and without what is inaccessible."""
        return self.print_api()

    @cached_property
    def api_schema(self) -> GraphQLSchema:
        """Build the public schema: what clients see, validate against and introspect."""
        from graphql import build_schema  # noqa: PLC0415 - costs time only the server needs

        return build_schema(self.api_sdl, assume_valid=True)

    @cached_property
    def contested(self) -> frozenset[tuple[str, str]]:
        """(type, field) where an override says who is in charge."""
        return frozenset(
            (info.name, item.name)
            for info in self.types.values()
            for item in info.fields.values()
            for join in item.joins.values()
            if join.override is not None or join.override_label or join.used_overridden
        )

    @cached_property
    def override_labels(self) -> frozenset[str]:
        """Labels of progressive overrides."""
        return frozenset(
            join.override_label
            for name, item in self.contested
            for join in self.types[name].fields[item].joins.values()
            if join.override_label is not None
        )

    @cached_property
    def ordered_possible(self) -> dict[str, tuple[str, ...]]:
        """Possible object types by type, in a stable order."""
        return {name: tuple(sorted(types)) for name, types in self.possible.items()}

    def possible_in(self, type_name: str, graph: str) -> frozenset[str]:
        """Return the object types that `type_name` can be when `graph` resolves it."""
        key = (type_name, graph)
        known = self._possible_in.get(key)
        if known is None:
            known = self._possible_in[key] = self._compute_possible(type_name, graph)
        return known

    def _compute_possible(self, type_name: str, graph: str) -> frozenset[str]:
        info = self.types[type_name]
        join = info.joins.get(graph)
        if join is None:
            return frozenset()
        if info.kind == OBJECT:
            return frozenset((type_name,))
        if info.kind == UNION:
            return frozenset(join.members)
        if join.interface_object:
            return self.possible[type_name]
        return frozenset(
            name
            for name in self.possible[type_name]
            if (own := self.types[name].joins.get(graph)) and type_name in own.implements
        )

    def is_interface_object(self, type_name: str, graph: str) -> bool:
        """Tell whether `graph` sees the interface as an object."""
        join = self.types[type_name].joins.get(graph)
        return join is not None and join.interface_object
