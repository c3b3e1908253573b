"""Subgraphs derived from an expected answer: they know it, and invent whatever else is asked.

Given a query and the data that it should yield, the oracle serves every subgraph of a
supergraph so that a correct plan, and only a correct one, yields that data. It notes what a
subgraph of the real world could not have answered: external fields that were not provided,
required fields that a representation lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    print_ast,
    value_from_ast_untyped,
)

from twinmesh_federation.composition import read_subgraph
from twinmesh_federation.composition.model import SubgraphSchema
from twinmesh_federation.issues import Subgraph
from twinmesh_federation.planning.operation import normalise, select_operation
from twinmesh_federation.selection import Field, Fragment, Selections, parse_field_set_node
from twinmesh_federation.supergraph.model import FieldInfo, Supergraph
from twinmesh_federation.testing.local import LocalSubgraph, LocalSubgraphs


@dataclass(eq=False)
class Node:
    """An object of the expected answer, or one invented on demand."""

    type_name: str
    number: int
    known: dict[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(eq=False)
class View:
    """One object as some subgraph sees it: all nodes that are the same object."""

    nodes: list[Node]
    provided: tuple[SelectionSetNode, ...] = ()
    given: Mapping[str, Any] | None = None
    """The representation it was looked up by."""

    @property
    def type_name(self) -> str:
        """Return the object's type."""
        return self.nodes[0].type_name


class Oracle:
    """The objects behind one expected answer."""

    def __init__(
        self,
        supergraph: Supergraph,
        document: DocumentNode,
        data: Mapping[str, Any] | None,
        variables: Mapping[str, Any] | None = None,
        operation_name: str | None = None,
    ) -> None:
        self._supergraph = supergraph
        self._variables = variables or {}
        self.nodes: list[Node] = []
        self._same: dict[int, list[Node]] = {}
        self.violations: list[str] = []
        operation = normalise(document, select_operation(document, operation_name), supergraph)
        defaults = select_operation(document, operation_name).variable_definitions or ()
        self._flags = {
            d.variable.name.value: value_from_ast_untyped(d.default_value)
            for d in defaults
            if d.default_value is not None
        } | dict(self._variables)
        self.root = self._node(operation.root)
        if data is not None:
            self._learn(self.root, operation.selections, data)

    # ----------------------------------------------------------------- learning

    def _node(self, type_name: str) -> Node:
        node = Node(type_name, len(self.nodes))
        self.nodes.append(node)
        return node

    def _fields(self, selections: Selections, type_name: str) -> Iterator[Field]:
        for selection in selections:
            if any(bool(self._flags.get(n)) != wanted for n, wanted in selection.conditions):
                continue
            if isinstance(selection, Fragment):
                if type_name in self._supergraph.possible.get(selection.type_name, ()):
                    yield from self._fields(selection.selections, type_name)
            else:
                yield selection

    def _learn(self, node: Node, selections: Selections, data: Mapping[str, Any]) -> None:
        for item in self._fields(selections, node.type_name):
            if item.name == "__typename" or item.key not in data:
                continue
            info = self._supergraph.types[node.type_name].fields[item.name]
            value = self._value(item, info, data[item.key])
            at = (item.name, item.args)
            known = node.known.get(at)
            if isinstance(known, Node) and isinstance(value, Node):
                known.known.update(value.known)
            elif isinstance(known, list) and isinstance(value, list):
                for old, new in zip(known, value, strict=False):
                    if isinstance(old, Node) and isinstance(new, Node):
                        old.known.update(new.known)
            else:
                node.known[at] = value

    def _value(self, item: Field, info: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, list):
            return [self._value(item, info, v) for v in value]
        if value is None or item.selections is None:
            return value
        node = self._node(self._runtime_type(item.selections, info, value))
        self._learn(node, item.selections, value)
        return node

    def _runtime_type(
        self, selections: Selections, info: FieldInfo, value: Mapping[str, Any]
    ) -> str:
        possible = self._supergraph.ordered_possible[info.type.name]
        returned = {
            name
            for join in info.joins.values()
            for name in self._supergraph.possible_in((join.type or info.type).name, join.graph)
        }
        fitting = []
        for name in possible:
            fields = list(self._fields(selections, name))
            if {f.key for f in fields} != set(value):
                continue
            typed = [f for f in fields if f.name == "__typename"]
            if all(value[f.key] == name for f in typed):
                fitting.append(name)
        for item in self._all_fields(selections):
            if item.name == "__typename" and value.get(item.key) in possible:
                return str(value[item.key])
        assert fitting, f"no type of {info.type} fits {sorted(value)}"
        return next((name for name in fitting if name in returned), fitting[0])

    def _all_fields(self, selections: Selections) -> Iterator[Field]:
        for selection in selections:
            if isinstance(selection, Fragment):
                yield from self._all_fields(selection.selections)
            else:
                yield selection

    # ---------------------------------------------------------------- answering

    def view(self, node: Node) -> View:
        """Join a node with those that are the same object by a key known to both."""
        nodes = self._same.get(node.number)
        if nodes is None:
            nodes = self._same[node.number] = self._joined(node)
        return View(list(nodes))

    def _joined(self, node: Node) -> list[Node]:
        same = [node]
        for join in self._supergraph.types[node.type_name].joins.values():
            for key in join.keys:
                names = [s.name for s in key.fields if isinstance(s, Field) and not s.selections]
                if len(names) != len(key.fields):
                    continue
                mine = [node.known.get((n, "")) for n in names]
                if None in mine:
                    continue
                for other in self.nodes:
                    if (
                        other not in same
                        and other.type_name == node.type_name
                        and [other.known.get((n, "")) for n in names] == mine
                    ):
                        same.append(other)
        same.sort(key=lambda n: n.number)
        return same

    def resolve(self, view: View, name: str, args: str, shape: Any, graph_types: Any) -> Any:  # noqa: ANN401
        """Return a field's value: known, or invented once and for all."""
        found = [n.known[name, args] for n in view.nodes if (name, args) in n.known]
        if found:
            # A null that one of several views expects may stand for something it cannot see.
            return next((f for f in found if f is not None), None)
        invented = self._invent(view, name, args, shape, graph_types)
        view.nodes[0].known[name, args] = invented
        return invented

    def _invent(self, view: View, name: str, args: str, shape: Any, graph_types: Any) -> Any:  # noqa: ANN401
        if is_non_null_type(shape):
            return self._invent(view, name, args, shape.of_type, graph_types)
        if is_list_type(shape):
            return [self._invent(view, name, args, shape.of_type, graph_types)]
        if is_composite_type(shape):
            names = sorted(graph_types(shape))
            return self._node(names[0])
        if is_enum_type(shape):
            info = self._supergraph.types[shape.name]
            public = [v for v in shape.values if info.enum_values.get(v)]
            return public[0] if public else None
        number = view.nodes[0].number
        invented: dict[str, Any] = {
            "Int": number + 1_000, "Float": number + 0.5, "Boolean": True,
        }  # fmt: skip
        return invented.get(shape.name, f"{name}-of-{number}")

    def subgraphs(self, subgraphs: list[Subgraph]) -> LocalSubgraphs:
        """Serve all subgraphs."""
        return LocalSubgraphs({s.name: OracleSubgraph(self, s).local() for s in subgraphs})


class OracleSubgraph:
    """One subgraph over an oracle's objects."""

    def __init__(self, oracle: Oracle, subgraph: Subgraph) -> None:
        self._oracle = oracle
        self._name = subgraph.name
        self._schema: SubgraphSchema = read_subgraph(subgraph)
        self._subgraph = subgraph

    def local(self) -> LocalSubgraph:
        """Make it executable."""
        return LocalSubgraph(self._subgraph.sdl, self._resolve, self._resolve_entity, self._type_of)

    def _type_of(self, view: View, _info: GraphQLResolveInfo[Any]) -> str:
        if view.type_name in self._schema.types:
            return view.type_name
        for name in self._oracle._supergraph.types[view.type_name].interfaces:  # noqa: SLF001
            info = self._schema.types.get(name)
            if info is not None and info.interface_object:
                return name
        return view.type_name

    def _possible(self, shape: Any) -> list[str]:  # noqa: ANN401 - a GraphQL type
        name = get_named_type(shape).name
        if is_abstract_type(shape):
            return sorted(self._schema.possible.get(name, ())) or [name]
        supergraph = self._oracle._supergraph  # noqa: SLF001
        return list(supergraph.ordered_possible.get(name) or [name])

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:  # noqa: ANN401
        view = source if isinstance(source, View) else View([self._oracle.root])
        node = info.field_nodes[0]
        args = _arguments(node, info.variable_values)
        definition = self._schema.types[info.parent_type.name].fields[info.field_name]
        below: tuple[SelectionSetNode, ...] = _provided_below(view.provided, info.field_name)
        if definition.external and not _provides(view.provided, info.field_name):
            self._violate(f"{info.parent_type.name}.{info.field_name} is external")
        for applied in definition.applied("provides"):
            below = (*below, parse_field_set_node(str(applied.args["fields"])))
        for applied in definition.applied("requires"):
            given = view.given or {}
            lacking = _lacking(parse_field_set_node(str(applied.args["fields"])), given)
            if lacking:
                self._violate(f"{info.parent_type.name}.{info.field_name} lacks {lacking}")
        if info.return_type is not None and definition.type.name in self._schema.types:
            pass
        value = self._oracle.resolve(view, info.field_name, args, info.return_type, self._possible)
        return self._wrap(value, below, info)

    def _wrap(
        self,
        value: Any,  # noqa: ANN401 - JSON or a node
        below: tuple[SelectionSetNode, ...],
        info: GraphQLResolveInfo[Any],
    ) -> Any:  # noqa: ANN401 - what graphql-core resolves on
        if isinstance(value, list):
            return [self._wrap(v, below, info) for v in value]
        if isinstance(value, Node):
            view = self._oracle.view(value)
            view.provided = below
            if not self._knows(view, info):
                return None
            return view
        return value

    def _knows(self, view: View, info: GraphQLResolveInfo[Any]) -> bool:
        named = get_named_type(info.return_type)
        if is_abstract_type(named):
            return self._type_of(view, info) in self._schema.possible.get(named.name, ())
        return True

    def _violate(self, message: str) -> None:
        self._oracle.violations.append(f"{self._name}: {message}")

    def _resolve_entity(self, representation: dict[str, Any]) -> View | None:
        type_name = str(representation["__typename"])
        own = self._schema.types.get(type_name)
        if own is None:
            self._violate(f"representation of unknown type {type_name}")
            return None
        names = self._oracle._supergraph.possible.get(type_name, frozenset((type_name,)))  # noqa: SLF001
        keys = [
            parse_field_set_node(str(k.args["fields"]))
            for k in own.applied("key")
            if k.args.get("resolvable") is not False
        ]
        complete = [k for k in keys if not _lacking(k, representation)]
        if not complete:
            self._violate(f"representation of {type_name} has no key: {representation}")
            return None
        for node in self._oracle.nodes:
            if node.type_name not in names:
                continue
            view = self._oracle.view(node)
            if all(self._matches(view, key, representation) for key in complete):
                view.given = representation
                return view
        return None

    def _matches(self, view: View, key: SelectionSetNode, given: Any) -> bool:  # noqa: ANN401
        for selection in key.selections:
            if isinstance(selection, InlineFragmentNode):
                continue
            assert isinstance(selection, FieldNode)
            name = selection.name.value
            if name == "__typename":
                continue
            found = [n.known[name, ""] for n in view.nodes if (name, "") in n.known]
            if not found:
                return False
            if not self._equal(found[0], given.get(name), selection.selection_set):
                return False
        return True

    def _equal(self, known: Any, given: Any, below: SelectionSetNode | None) -> bool:  # noqa: ANN401
        if isinstance(known, list):
            return (
                isinstance(given, list)
                and len(known) == len(given)
                and all(self._equal(k, g, below) for k, g in zip(known, given, strict=True))
            )
        if isinstance(known, Node):
            return (
                isinstance(given, dict)
                and below is not None
                and self._matches(self._oracle.view(known), below, given)
            )
        return bool(known == given)


def _arguments(node: FieldNode, variables: Any) -> str:  # noqa: ANN401
    del variables
    if not node.arguments:
        return ""
    parts = sorted((a.name.value, print_ast(a.value)) for a in node.arguments)
    return "(" + ", ".join(f"{n}: {v}" for n, v in parts) + ")"


def _provides(provided: tuple[SelectionSetNode, ...], name: str) -> bool:
    return any(f.name.value == name for s in provided for f in _fields_of(s))


def _provided_below(
    provided: tuple[SelectionSetNode, ...], name: str
) -> tuple[SelectionSetNode, ...]:
    return tuple(
        f.selection_set
        for s in provided
        for f in _fields_of(s)
        if f.name.value == name and f.selection_set is not None
    )


def _fields_of(selections: SelectionSetNode) -> Iterator[FieldNode]:
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _fields_of(selection.selection_set)


def _lacking(selections: SelectionSetNode, given: Any) -> str:  # noqa: ANN401 - JSON
    """Name the first selected field that a representation lacks, or return ""."""
    for selection in selections.selections:
        if not isinstance(selection, FieldNode) or selection.name.value == "__typename":
            continue
        name = selection.name.value
        if not isinstance(given, dict) or name not in given:
            return name
        if selection.selection_set is None or given[name] is None:
            continue
        values = given[name] if isinstance(given[name], list) else [given[name]]
        for value in values:
            if value is not None and (lacking := _lacking(selection.selection_set, value)):
                return f"{name}.{lacking}"
    return ""
