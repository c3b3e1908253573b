"""What an operation may cost, estimated before it runs, by @cost and @listSize.

Two figures, as IBM's GraphQL cost directives specification has them: the *field cost* weighs what
must be resolved, the *type cost* what is returned. Fields inside lists count once per entry, and a
list has as many entries as its slicing argument asks for.

Source: IBM GraphQL Cost Directives Specification, draft of 2024 (sections "Cost", "List Size").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    parse,
    value_from_ast_untyped,
)

from twinmesh_federation.supergraph.model import INPUT, Supergraph, TypeRef

MAX_LIST: Final = 1_000_000
MAX_COST: Final = 1e15
MAX_STEPS: Final = 100_000
_COMPOSITE_WEIGHT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The two figures of one operation."""

    field: float = 0.0
    type: float = 0.0


@dataclass(frozen=True, slots=True)
class _ListSize:
    """One @listSize, as written."""

    assumed: int | None
    slicing: tuple[str, ...]
    sized: tuple[str, ...]
    require_one: bool


class _TooManyStepsError(Exception):
    """The estimate itself would cost too much; such an operation counts as the dearest."""


class SlicingError(ValueError):
    """An operation gives none, or several, of the arguments of which it must give exactly one."""


@dataclass(slots=True)
class _Weights:
    types: dict[str, float] = field(default_factory=dict)
    fields: dict[tuple[str, str], float] = field(default_factory=dict)
    arguments: dict[tuple[str, str, str], float] = field(default_factory=dict)
    inputs: dict[tuple[str, str], float] = field(default_factory=dict)
    sizes: dict[tuple[str, str], _ListSize] = field(default_factory=dict)
    defaults: dict[tuple[str, str, str], object] = field(default_factory=dict)


class CostModel:
    """The weights of one supergraph.

    Args:
        supergraph: Whose @cost and @listSize count.
        list_size: Entries assumed of a list without @listSize.
    """

    def __init__(self, supergraph: Supergraph, *, list_size: int) -> None:
        self._supergraph = supergraph
        self._list_size = list_size
        self._weights = _read(parse(supergraph.sdl, no_location=True))

    def estimate(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> Cost:
        """Estimate a valid operation with coerced variables.

        Raises:
            SlicingError: A list demands exactly one slicing argument and got another number.
        """
        root = self._supergraph.roots[operation.operation.value]
        fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        run = _Estimate(self._supergraph, self._weights, self._list_size, fragments, variables)
        try:
            below = run.selections([operation.selection_set], root, {})
        except _TooManyStepsError:
            return Cost(MAX_COST, MAX_COST)
        return Cost(below.field, min(MAX_COST, below.type + self._weights.types.get(root, 1.0)))


class _Estimate:
    """One estimation."""

    def __init__(
        self,
        supergraph: Supergraph,
        weights: _Weights,
        list_size: int,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._supergraph = supergraph
        self._weights = weights
        self._list_size = list_size
        self._fragments = fragments
        self._variables = variables
        self._steps = MAX_STEPS

    def selections(
        self, sets: Iterable[SelectionSetNode], type_name: str, sized: Mapping[str, int]
    ) -> Cost:
        """Add up selections on one type; of an abstract one, the dearest of its types counts.

        Args:
            sized: Sizes that the field above gives to fields here.
        """
        collected: dict[str | None, dict[str, list[FieldNode]]] = {}
        for selection_set in sets:
            self._collect(selection_set, None, collected)
        possible = self._supergraph.possible[type_name]
        if len(possible) <= 1 or len(collected) <= 1:
            return self._of_type(collected, type_name, possible, sized)
        fields, types = 0.0, 0.0
        for name in possible:
            cost = self._of_type(collected, name, frozenset((name,)), sized)
            fields, types = max(fields, cost.field), max(types, cost.type)
        return Cost(fields, types)

    def _of_type(
        self,
        collected: Mapping[str | None, Mapping[str, list[FieldNode]]],
        type_name: str,
        possible: frozenset[str],
        sized: Mapping[str, int],
    ) -> Cost:
        merged: dict[str, tuple[str, list[FieldNode]]] = {}
        for condition, groups in collected.items():
            if condition is not None and not possible & self._supergraph.possible[condition]:
                continue
            on = type_name if condition is None else condition
            for key, nodes in groups.items():
                merged.setdefault(key, (on, []))[1].extend(nodes)
        fields, types = 0.0, 0.0
        for on, nodes in merged.values():
            cost = self._field(nodes, on if self._has(on, nodes[0]) else type_name, sized)
            fields, types = fields + cost.field, types + cost.type
        return Cost(min(MAX_COST, fields), min(MAX_COST, types))

    def _has(self, type_name: str, node: FieldNode) -> bool:
        return node.name.value in self._supergraph.types[type_name].fields

    def _collect(
        self,
        selection_set: SelectionSetNode,
        condition: str | None,
        into: dict[str | None, dict[str, list[FieldNode]]],
    ) -> None:
        for node in selection_set.selections:
            if _left_out(node.directives or (), self._variables):
                continue
            if isinstance(node, FieldNode):
                if not node.name.value.startswith("__"):
                    key = node.alias.value if node.alias else node.name.value
                    into.setdefault(condition, {}).setdefault(key, []).append(node)
                continue
            if isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                narrowed: str | None = fragment.type_condition.name.value
                below = fragment.selection_set
            else:
                assert isinstance(node, InlineFragmentNode)
                on = node.type_condition
                narrowed = on.name.value if on else condition
                below = node.selection_set
            self._collect(below, narrowed, into)

    def _field(self, nodes: list[FieldNode], type_name: str, sized: Mapping[str, int]) -> Cost:
        self._steps -= len(nodes)
        if self._steps < 0:
            raise _TooManyStepsError
        node = nodes[0]
        name = node.name.value
        info = self._supergraph.types[type_name].fields[name]
        target = self._supergraph.types[info.type.name]
        weight = self._weights.fields.get((type_name, name))
        if weight is None:
            weight = _COMPOSITE_WEIGHT if target.is_composite else 0.0
        weight += self._arguments(node, type_name)
        for_children, own = self._sizes(node, type_name, info.type, sized)
        below = Cost()
        if target.is_composite:
            sets = [n.selection_set for n in nodes if n.selection_set is not None]
            below = self.selections(sets, target.name, for_children)
        return Cost(
            min(MAX_COST, max(0.0, weight + own * below.field)),
            min(MAX_COST, own * max(0.0, self._type_weight(target.name) + below.type)),
        )

    def _type_weight(self, name: str) -> float:
        """Return the weight of one value; of an abstract type, the dearest possible."""
        info = self._supergraph.types[name]
        default = _COMPOSITE_WEIGHT if info.is_composite else 0.0
        if info.is_abstract:
            possible = self._supergraph.possible[name]
            return max((self._weights.types.get(n, default) for n in possible), default=default)
        return self._weights.types.get(name, default)

    def _sizes(
        self, node: FieldNode, type_name: str, ref: TypeRef, sized: Mapping[str, int]
    ) -> tuple[dict[str, int], int]:
        """Return the sizes given to fields below, and how many values this field returns."""
        name = node.name.value
        is_list = ref.list_depth > 0
        rule = self._weights.sizes.get((type_name, name))
        if rule is None:
            if not is_list:
                return {}, 1
            return {}, sized.get(name, self._list_size) * self._list_size ** (ref.list_depth - 1)
        size = self._sliced(node, type_name, rule)
        if size is None:
            size = self._list_size if rule.assumed is None else rule.assumed
        if rule.sized:
            return dict.fromkeys(rule.sized, size), self._list_size if is_list else 1
        return {}, size if is_list else 1

    def _sliced(self, node: FieldNode, type_name: str, rule: _ListSize) -> int | None:
        """Return the largest slicing argument; None where there is none."""
        given = {a.name.value: a for a in node.arguments or ()}
        found: list[int] = []
        for name in rule.slicing:
            value = self._argument(given.get(name), (type_name, node.name.value, name))
            if isinstance(value, int) and not isinstance(value, bool):
                found.append(min(MAX_LIST, max(0, value)))
        if rule.slicing and rule.require_one and len(found) != 1:
            names = ", ".join(rule.slicing)
            raise SlicingError(
                f"{type_name}.{node.name.value} takes exactly one of {names}, got {len(found)}"
            )
        return max(found, default=None)

    def _argument(self, given: ArgumentNode | None, at: tuple[str, str, str]) -> object:
        if given is None:
            return self._weights.defaults.get(at)
        if isinstance(given.value, VariableNode):
            name = given.value.name.value
            if name not in self._variables:
                return self._weights.defaults.get(at)
        return _plain(given.value, self._variables)

    def _arguments(self, node: FieldNode, type_name: str) -> float:
        if not node.arguments or not (self._weights.arguments or self._weights.inputs):
            return 0.0
        info = self._supergraph.types[type_name].fields[node.name.value]
        total = 0.0
        for argument in node.arguments:
            name = argument.name.value
            total += self._weights.arguments.get((type_name, node.name.value, name), 0.0)
            if (declared := info.args.get(name)) is not None:
                value = _plain(argument.value, self._variables)
                total += self._input(value, declared.type.name)
        return total

    def _input(self, value: object, type_name: str) -> float:
        """Add up the weights of the input fields in a value."""
        info = self._supergraph.types.get(type_name)
        if info is None or info.kind != INPUT:
            return 0.0
        if isinstance(value, list):
            return sum(self._input(v, type_name) for v in value)
        if not isinstance(value, Mapping):
            return 0.0
        total = 0.0
        for name, inner in value.items():
            if (declared := info.fields.get(name)) is not None:
                total += self._weights.inputs.get((type_name, name), 0.0)
                total += self._input(inner, declared.type.name)
        return total


def _left_out(directives: Iterable[DirectiveNode], variables: Mapping[str, Any]) -> bool:
    for directive in directives:
        name = directive.name.value
        if name in ("include", "skip") and directive.arguments:
            value = _plain(directive.arguments[0].value, variables)
            if bool(value) != (name == "include"):
                return True
    return False


def _plain(node: ValueNode, variables: Mapping[str, Any]) -> object:
    """Return a written value with its variables filled in."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, ListValueNode):
        return [_plain(v, variables) for v in node.values]
    if isinstance(node, ObjectValueNode):
        return {f.name.value: _plain(f.value, variables) for f in node.fields}
    return value_from_ast_untyped(node)


def _read(document: DocumentNode) -> _Weights:
    """Collect the weights and list sizes of a supergraph."""
    found = _Weights()
    for node in document.definitions:
        kind = node.kind
        if kind not in _KINDS:
            continue
        name = node.name.value  # type: ignore[attr-defined]
        if (weight := _weight(node)) is not None:
            found.types[name] = weight
        for item in getattr(node, "fields", None) or ():
            _read_field(found, name, item, is_input=kind == "input_object_type_definition")
    return found


_KINDS: Final = frozenset(
    ("object_type_definition", "interface_type_definition", "scalar_type_definition",
     "enum_type_definition", "input_object_type_definition", "union_type_definition")
)  # fmt: skip


def _read_field(found: _Weights, owner: str, node: Any, *, is_input: bool) -> None:  # noqa: ANN401 - any field node
    name = node.name.value
    weight = _weight(node)
    if is_input:
        if weight is not None:
            found.inputs[owner, name] = weight
        return
    if weight is not None:
        found.fields[owner, name] = weight
    for arguments in _applied(node, "listSize"):
        assumed = arguments.get("assumedSize")
        found.sizes[owner, name] = _ListSize(
            assumed=max(0, assumed) if isinstance(assumed, int) else None,
            slicing=tuple(map(str, arguments.get("slicingArguments") or ())),
            sized=tuple(map(str, arguments.get("sizedFields") or ())),
            require_one=arguments.get("requireOneSlicingArgument") is not False,
        )
    for argument in node.arguments or ():
        at = (owner, name, argument.name.value)
        if (weight := _weight(argument)) is not None:
            found.arguments[at] = weight
        if argument.default_value is not None:
            found.defaults[at] = value_from_ast_untyped(argument.default_value)


def _applied(node: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401 - any AST node
    return [
        {a.name.value: value_from_ast_untyped(a.value) for a in d.arguments or ()}
        for d in node.directives or ()
        if d.name.value == name
    ]


def _weight(node: Any) -> float | None:  # noqa: ANN401 - any AST node
    """Return the @cost of a node: a number, or its text as the specification writes it."""
    for arguments in _applied(node, "cost"):
        try:
            return float(arguments.get("weight", 0))
        except (TypeError, ValueError):
            return None
    return None
