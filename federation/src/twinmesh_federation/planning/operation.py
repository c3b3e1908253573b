"""An operation in normal form: fragments expanded, duplicates merged, dead branches gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    print_ast,
)

from twinmesh_federation.planning.errors import PlanLimitError, UnknownOperationError
from twinmesh_federation.selection import (
    Conditions,
    Field,
    Fragment,
    Selection,
    Selections,
    print_arguments,
)
from twinmesh_federation.supergraph.model import OBJECT, Supergraph

MAX_SELECTIONS = 50_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, ready to plan.

    Attributes:
        kind: "query", "mutation" or "subscription".
        variables: Name to type and default, as written.
    """

    kind: str
    name: str | None
    root: str
    variables: dict[str, tuple[str, str | None]]
    selections: Selections


def select_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Find the operation to run.

    Raises:
        UnknownOperationError: There is none of that name, or several and no name.
    """
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if name:
        for operation in operations:
            if operation.name is not None and operation.name.value == name:
                return operation
        raise UnknownOperationError(f"Unknown operation named {name!r}.")
    if len(operations) == 1:
        return operations[0]
    if not operations:
        raise UnknownOperationError("Must provide an operation.")
    raise UnknownOperationError(
        "Must provide operation name if query contains multiple operations."
    )


def normalise(
    document: DocumentNode, operation: OperationDefinitionNode, supergraph: Supergraph
) -> Operation:
    """Bring a validated operation into normal form.

    Raises:
        PlanLimitError: Expanding its fragments exceeds `MAX_SELECTIONS`.
    """
    kind = operation.operation.value
    root = supergraph.roots.get(kind)
    if root is None:
        raise UnknownOperationError(f"Schema is not configured to execute {kind} operation.")
    return Operation(
        kind=kind,
        name=operation.name.value if operation.name else None,
        root=root,
        variables={
            v.variable.name.value: (
                print_ast(v.type),
                print_ast(v.default_value) if v.default_value is not None else None,
            )
            for v in operation.variable_definitions or ()
        },
        selections=_Normaliser(document, supergraph).selections([operation.selection_set], root),
    )


class _Normaliser:
    def __init__(self, document: DocumentNode, supergraph: Supergraph) -> None:
        self._fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._supergraph = supergraph
        self._budget = MAX_SELECTIONS

    def selections(self, sets: Iterable[SelectionSetNode], type_name: str) -> Selections:  # noqa: C901 - one pass with its collector
        """Merge selection sets on one type."""
        order: list[tuple[str, object, Conditions]] = []
        fields: dict[tuple[str, Conditions], list[FieldNode]] = {}
        parents: dict[tuple[str, Conditions], str] = {}
        fragments: dict[tuple[str, Conditions], list[SelectionSetNode]] = {}

        def collect(selection_set: SelectionSetNode, parent: str, conditions: Conditions) -> None:
            for node in selection_set.selections:
                self._budget -= 1
                if self._budget < 0:
                    raise PlanLimitError(f"operation expands to over {MAX_SELECTIONS} selections")
                own = _conditions(node.directives or (), conditions)
                if own is None:
                    continue
                if isinstance(node, FieldNode):
                    key = node.alias.value if node.alias else node.name.value
                    at = (key, own)
                    if at not in fields:
                        fields[at] = []
                        parents[at] = parent
                        order.append(("field", key, own))
                    fields[at].append(node)
                    continue
                if isinstance(node, FragmentSpreadNode):
                    definition = self._fragments[node.name.value]
                    condition: str | None = definition.type_condition.name.value
                    below = definition.selection_set
                else:
                    assert isinstance(node, InlineFragmentNode)
                    condition = node.type_condition.name.value if node.type_condition else None
                    below = node.selection_set
                applies = self._applies(condition or parent, type_name)
                if applies == "inline":
                    collect(below, condition or parent, own)
                elif applies == "keep":
                    assert condition is not None
                    at = (condition, own)
                    if at not in fragments:
                        fragments[at] = []
                        order.append(("fragment", condition, own))
                    fragments[at].append(below)

        for selection_set in sets:
            collect(selection_set, type_name, ())
        items: list[Selection] = []
        for what, name, conditions in order:
            at = (str(name), conditions)
            if what == "field":
                items.append(self._field(fields[at], at, parents[at], type_name))
            else:
                below = self.selections(fragments[at], str(name))
                if below.items:
                    items.append(Fragment(str(name), below, conditions))
        return Selections(tuple(items))

    def _applies(self, condition: str, type_name: str) -> str:
        """Say whether a fragment merges into its parent, stays, or can never match."""
        if condition == type_name:
            return "inline"
        possible = self._supergraph.possible
        if self._supergraph.types[type_name].kind == OBJECT:
            return "inline" if type_name in possible.get(condition, ()) else "drop"
        if condition in self._supergraph.types[type_name].interfaces:
            return "inline"
        return "keep" if possible[type_name] & possible.get(condition, frozenset()) else "drop"

    def _field(
        self, nodes: list[FieldNode], at: tuple[str, Conditions], parent: str, type_name: str
    ) -> Field:
        node = nodes[0]
        name = node.name.value
        args, variables = print_arguments(node)
        below: Selections | None = None
        if name not in ("__typename", "__schema", "__type"):
            info = self._supergraph.types[type_name].fields.get(name) or self._supergraph.types[
                parent
            ].fields.get(name)
            if info is None:
                raise UnknownOperationError(f"Cannot query field {name!r} on type {type_name!r}.")
            child = _named(info.type)
            if self._supergraph.types[child].is_composite:
                below = self.selections(
                    [n.selection_set for n in nodes if n.selection_set is not None], child
                )
        return Field(at[0], name, args, variables, below, at[1], type_name)


def _named(ref: object) -> str:
    name: str = ref.name  # type: ignore[attr-defined]
    return name


def _conditions(directives: Iterable[DirectiveNode], outer: Conditions) -> Conditions | None:
    """Add what @include and @skip say; None means that the selection never counts."""
    found = dict.fromkeys(outer)
    for directive in directives:
        name = directive.name.value
        if name not in ("include", "skip"):
            continue
        wanted = name == "include"
        value = directive.arguments[0].value if directive.arguments else None
        if isinstance(value, BooleanValueNode):
            if value.value != wanted:
                return None
        elif isinstance(value, VariableNode):
            condition = (value.name.value, wanted)
            if (value.name.value, not wanted) in found:
                return None
            found[condition] = None
    return tuple(sorted(found))
