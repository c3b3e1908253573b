"""What must hold of the merged schema: implementations, accessibility, authorisation, cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import ListValueNode, ObjectValueNode, ValueNode, parse_value

from twinmesh_federation.composition.field_sets import read_field_set, selected_fields
from twinmesh_federation.composition.graphql_rules import implementation_problems
from twinmesh_federation.composition.merge import MergedType
from twinmesh_federation.composition.merge_fields import MergedField
from twinmesh_federation.composition.merge_inputs import MergedArgument
from twinmesh_federation.composition.model import Element, SubgraphSchema
from twinmesh_federation.composition.placement_rules import ACCESS
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.model import TypeRef


class SupergraphRules:
    """Checks merged types."""

    def __init__(self, types: dict[str, MergedType], schemas: list[SubgraphSchema]) -> None:
        self._types = types
        self._schemas = {s.graph: s for s in schemas}
        self.issues: list[CompositionIssue] = []

    def _add(
        self, code: str, message: str, graphs: Iterable[str], coordinate: str, hint: str = ""
    ) -> None:
        names = tuple(self._schemas[g].name for g in graphs)
        self.issues.append(CompositionIssue(code, message, names, coordinate, hint))

    def check(self) -> list[CompositionIssue]:
        """Return what is wrong."""
        for merged in self._types.values():
            self._check_implementations(merged)
            self._check_auth(merged)
        if not self.issues:
            self._check_accessibility()
        return self.issues

    # --------------------------------------------------------- implementations

    def _is_subtype(self, name: str, of: str) -> bool:
        if name == of:
            return True
        merged, other = self._types.get(of), self._types.get(name)
        if merged is None or other is None:
            return False
        return name in merged.members or of in other.interfaces

    def _check_implementations(self, merged: MergedType) -> None:
        if merged.kind not in (kinds.OBJECT, kinds.INTERFACE):
            return
        for name in merged.interfaces:
            interface = self._types.get(name)
            if interface is None or interface.kind != kinds.INTERFACE:
                continue
            missing = [f for f in interface.fields if f not in merged.fields]
            for field in missing:
                self._add(
                    "INTERFACE_FIELD_NO_IMPLEM",
                    f"Interface field {name}.{field} is not implemented by {merged.name} in any "
                    "subgraph",
                    interface.fields[field].sources,
                    f"{merged.name}.{field}",
                    "Implement it, or drop it from the interface.",
                )
            if missing:
                continue
            for problem in implementation_problems(merged, interface, self._is_subtype):
                self._add(
                    "INVALID_GRAPHQL", problem, merged.sources, merged.name,
                    "Align the types over all subgraphs.",
                )  # fmt: skip

    # ----------------------------------------------------------- authorisation

    def _check_auth(self, merged: MergedType) -> None:
        if merged.kind == kinds.INTERFACE:
            return
        for item in merged.fields.values():
            for graph, source in () if item.spread else item.sources.items():
                for applied in source.applied("requires"):
                    self._check_transitive(merged, item, graph, applied)

    def _check_transitive(
        self,
        merged: MergedType,
        item: MergedField,
        graph: str,
        applied: Any,  # noqa: ANN401
    ) -> None:
        schema = self._schemas[graph]
        owner = schema.types[merged.name]
        found = read_field_set(applied, owner, schema)
        if found.selections is None:
            return
        own = _joined(self._auth(merged, item))
        for selected in selected_fields(found.selections, owner, schema):
            for other in self._concrete(selected.owner.name):
                needed = other.fields.get(selected.definition.name)
                if needed is None:
                    continue
                for requirement in self._auth(other, needed):
                    if not any(_covers(mine, requirement) for mine in own):
                        self._add(
                            "MISSING_TRANSITIVE_AUTH_REQUIREMENTS",
                            f"{merged.name}.{item.name} requires {other.name}.{needed.name} but "
                            f"not its @{requirement[0]}",
                            (graph,),
                            f"{merged.name}.{item.name}",
                            "Repeat the access requirements of what it requires.",
                        )
                        return

    def _concrete(self, name: str) -> Iterator[MergedType]:
        merged = self._types.get(name)
        if merged is None:
            return
        if merged.kind == kinds.OBJECT:
            yield merged
            return
        for other in self._types.values():
            if other.kind == kinds.OBJECT and (
                name in other.interfaces or other.name in merged.members
            ):
                yield other

    def _auth(
        self, merged: MergedType, item: MergedField
    ) -> Iterator[tuple[str, tuple[frozenset[str], ...]]]:
        elements: list[Element] = [*merged.sources.values(), *item.sources.values()]
        target = self._types.get(item.type.name)
        if target is not None:
            elements += list(target.sources.values())
        for element in elements:
            for directive in element.directives:
                if directive.is_federation and directive.name in ACCESS:
                    groups = directive.args.get("scopes") or directive.args.get("policies") or []
                    yield directive.name, tuple(frozenset(map(str, g)) for g in groups)

    # ----------------------------------------------------------- accessibility

    def _check_accessibility(self) -> None:
        hidden = {m.name for m in self._types.values() if _hidden(m.sources.values())}
        if "Query" in hidden:
            self._add(
                "QUERY_ROOT_TYPE_INACCESSIBLE", "The query root is @inaccessible",
                self._types["Query"].sources, "Query", "Remove @inaccessible.",
            )  # fmt: skip
            return
        for merged in self._types.values():
            if merged.name not in hidden:
                self._check_children(merged, hidden)

    def _check_children(self, merged: MergedType, hidden: set[str]) -> None:
        children: dict[str, bool] = {}
        for item in merged.fields.values():
            children[item.name] = _hidden(item.sources.values())
            if not children[item.name]:
                self._check_reference(f"{merged.name}.{item.name}", item.type, item, hidden)
                self._check_arguments(merged, item, hidden)
        for given in merged.inputs.values():
            children[given.name] = _hidden(given.sources.values())
            where = f"{merged.name}.{given.name}"
            if children[given.name]:
                self._check_required(where, given)
            else:
                self._check_reference(where, given.type, given, hidden)
                self._check_default(where, given)
        for name, found in merged.values.items():
            children[name] = _hidden(found.values())
        for member in merged.members:
            children[member] = member in hidden
        if children and all(children.values()):
            self._add(
                "ONLY_INACCESSIBLE_CHILDREN",
                f"{merged.name} is in the API but all of its parts are @inaccessible",
                merged.sources,
                merged.name,
                "Mark the type @inaccessible too, or show a part.",
            )
        if merged.kind in (kinds.OBJECT, kinds.INTERFACE):
            self._check_implemented(merged, children, hidden)

    def _check_implemented(
        self, merged: MergedType, children: dict[str, bool], hidden: set[str]
    ) -> None:
        for name in merged.interfaces:
            interface = self._types.get(name)
            if interface is None or name in hidden:
                continue
            for field in interface.fields.values():
                if children.get(field.name) and not _hidden(field.sources.values()):
                    self._add(
                        "IMPLEMENTED_BY_INACCESSIBLE",
                        f"{merged.name}.{field.name} is @inaccessible but implements {name}",
                        merged.fields[field.name].sources,
                        f"{merged.name}.{field.name}",
                        "Hide the interface's field too.",
                    )
                own = merged.fields.get(field.name)
                for argument in field.args.values():
                    mine = own.args.get(argument.name) if own is not None else None
                    if (
                        mine is not None
                        and _hidden(mine.sources.values())
                        and not _hidden(argument.sources.values())
                    ):
                        self._add(
                            "IMPLEMENTED_BY_INACCESSIBLE",
                            f"{merged.name}.{field.name}({argument.name}:) is @inaccessible but "
                            f"implements {name}",
                            mine.sources,
                            f"{merged.name}.{field.name}",
                            "Hide the interface's argument too.",
                        )

    def _check_arguments(self, merged: MergedType, item: MergedField, hidden: set[str]) -> None:
        for argument in item.args.values():
            where = f"{merged.name}.{item.name}({argument.name}:)"
            if _hidden(argument.sources.values()):
                self._check_required(where, argument)
            else:
                self._check_reference(where, argument.type, argument, hidden)
                self._check_default(where, argument)

    def _check_required(self, where: str, item: MergedArgument) -> None:
        if item.type.non_null and item.default is None:
            self._add(
                "REQUIRED_INACCESSIBLE", f"{where} is required but @inaccessible", item.sources,
                where, "Make it optional, or show it.",
            )  # fmt: skip

    def _check_reference(
        self, where: str, ref: TypeRef, item: MergedField | MergedArgument, hidden: set[str]
    ) -> None:
        if ref.name in hidden:
            self._add(
                "REFERENCED_INACCESSIBLE", f"{where} is in the API but its type {ref.name} is not",
                item.sources, where, "Hide it too, or show the type.",
            )  # fmt: skip

    def _check_default(self, where: str, item: MergedArgument) -> None:
        if item.default is None:
            return
        for name in self._hidden_in(parse_value(item.default, no_location=True), item.type.name):
            self._add(
                "DEFAULT_VALUE_USES_INACCESSIBLE", f"The default of {where} uses {name}",
                item.sources, where, "Use a default that clients may see.",
            )  # fmt: skip

    def _hidden_in(self, value: ValueNode, type_name: str) -> Iterator[str]:
        merged = self._types.get(type_name)
        if merged is None:
            return
        if isinstance(value, ListValueNode):
            for inner in value.values:
                yield from self._hidden_in(inner, type_name)
        elif isinstance(value, ObjectValueNode):
            for field in value.fields:
                item = merged.inputs.get(field.name.value)
                if item is None:
                    continue
                if _hidden(item.sources.values()):
                    yield f"{type_name}.{item.name}"
                yield from self._hidden_in(field.value, item.type.name)
        elif merged.kind == kinds.ENUM:
            found = merged.values.get(str(getattr(value, "value", "")))
            if found is not None and _hidden(found.values()):
                yield f"{type_name}.{getattr(value, 'value', '')}"


def _hidden(elements: Iterable[Element]) -> bool:
    return any(element.has("inaccessible") for element in elements)


def _joined(
    requirements: Iterable[tuple[str, tuple[frozenset[str], ...]]],
) -> list[tuple[str, tuple[frozenset[str], ...]]]:
    """Join requirements of one kind that all hold: each way takes one of each."""
    joined: dict[str, tuple[frozenset[str], ...]] = {}
    for name, ways in requirements:
        known = joined.get(name)
        joined[name] = ways if known is None else tuple(a | b for a in known for b in ways)[:1_000]
    return list(joined.items())


def _covers(
    mine: tuple[str, tuple[frozenset[str], ...]], needed: tuple[str, tuple[frozenset[str], ...]]
) -> bool:
    """Tell whether passing `mine` implies passing `needed`: each of its ways includes one."""
    if mine[0] != needed[0]:
        return False
    if not needed[1]:
        return True
    return all(any(way <= own for way in needed[1]) for own in mine[1])
