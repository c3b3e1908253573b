"""Who consumed which derived outputs through the gateway, and which parts of which contracts.

Recorded after the answer is made, in memory; the process's reporter tells governance now and then.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import EnumValueNode, ListValueNode, ObjectValueNode, ValueNode, parse_value

from gateway.forwarding import Asked
from twinmesh_federation.planning.operation import Operation
from twinmesh_federation.planning.plan import QueryPlan
from twinmesh_federation.selection import Field, Fragment, Selections
from twinmesh_federation.supergraph.model import ENUM, INPUT, FieldInfo, Supergraph
from twinmesh_sdk.adapters.nats import ConsumptionReporter, UsedTogether
from twinmesh_sdk.core.consumption import CollectedOutputs, Door, Use, UseKind

MAX_USES: Final = 2_000
MAX_GIVEN: Final = 200
COMPILED: Final = "gateway.uses"


@dataclass(frozen=True, slots=True)
class OperationUses:
    """What every run of one operation uses.

    Attributes:
        fixed: Fields, arguments, members of input objects and enum values that its text names.
        given: Per variable, the named type of its values and the services that receive them.
    """

    fixed: UsedTogether
    given: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


class Consumption:
    """Records what each answer handed out, for the client that asked."""

    def __init__(
        self, reporter: ConsumptionReporter, supergraph: Callable[[], Supergraph | None]
    ) -> None:
        self._reporter = reporter
        self._supergraph = supergraph

    def answered(self, asked: Asked) -> None:
        """Record an answer, once the loop has nothing more urgent: the answer does not wait.

        Each event of a subscription is an answer of its own.
        """
        told, asked.told = asked.told, []
        if asked.plan is not None:
            asyncio.get_running_loop().call_soon(self._record, asked, asked.plan, told)

    def _record(self, asked: Asked, plan: QueryPlan, told: list[object]) -> None:
        outputs = CollectedOutputs()
        for each in told:
            outputs.merge(CollectedOutputs.of_extension(each))
        tenant, client = asked.principal.tenant, asked.principal.client_id
        operation = plan.operation.name or ""
        self._reporter.receipts(tenant, client, Door.GATEWAY, outputs.outputs, operation=operation)
        self._reporter.omitted(outputs.omitted)
        uses: OperationUses | None = plan.compiled.get(COMPILED)
        supergraph = self._supergraph()
        if supergraph is None:
            return
        if uses is None:
            uses = plan.compiled[COMPILED] = uses_of(plan.operation, supergraph)
        self._reporter.uses(tenant, client, uses.fixed)
        for name, type_name, services in uses.given:
            value = asked.variables.get(name)
            for use in used_by_value(value, type_name, services, supergraph):
                self._reporter.uses(tenant, client, use)


def uses_of(operation: Operation, supergraph: Supergraph) -> OperationUses:
    """Return what an operation uses by its text, at most MAX_USES."""
    walk = _Walk(supergraph)
    walk.selections(operation.selections)
    for name, (_, default) in operation.variables.items():
        if default is not None and (given := walk.given.get(name)) is not None:
            walk.value(parse_value(default, no_location=True), *given)
    by_variable = tuple((name, *place) for name, place in walk.given.items())
    return OperationUses(UsedTogether(tuple(walk.uses)), by_variable)


class _Walk:
    """Collects uses along an operation in normal form."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self.uses: dict[Use, None] = {}
        self.given: dict[str, tuple[str, tuple[str, ...]]] = {}

    def selections(self, selections: Selections) -> None:
        for item in selections:
            if isinstance(item, Field):
                self._field(item)
            elif isinstance(item, Fragment):
                self.selections(item.selections)

    def _field(self, item: Field) -> None:
        owner = self._supergraph.types.get(item.parent or "")
        info = owner.fields.get(item.name) if owner is not None else None
        if owner is None or info is None:  # introspection
            return
        services = _services(self._supergraph, info, owner.joins)
        self._add(UseKind.FIELD, f"{owner.name}.{item.name}", services)
        for name, value in _arguments(item.args):
            if (argument := info.args.get(name)) is None:
                continue
            self._add(UseKind.ARGUMENT, f"{owner.name}.{item.name}({name}:)", services)
            self.value(value, argument.type.name, services)
        if item.selections is not None:
            self.selections(item.selections)

    def value(self, value: ValueNode, type_name: str, services: tuple[str, ...]) -> None:
        """Take a value into account that the operation's text holds."""
        info = self._supergraph.types.get(type_name)
        if info is None:
            return
        match value:
            case ListValueNode():
                for inner in value.values:
                    self.value(inner, type_name, services)
            case EnumValueNode() if info.kind == ENUM:
                self._add(UseKind.ENUM_VALUE, f"{type_name}.{value.value}", services)
            case ObjectValueNode() if info.kind == INPUT:
                for member in value.fields:
                    known = info.fields.get(member.name.value)
                    if known is not None:
                        self._add(UseKind.ARGUMENT, f"{type_name}.{known.name}", services)
                        self.value(member.value, known.type.name, services)
            case _ if value.kind == "variable" and info.kind in {ENUM, INPUT}:
                name: str = value.name.value  # type: ignore[attr-defined]  # a VariableNode
                _, known_services = self.given.get(name, (type_name, ()))
                self.given[name] = (type_name, tuple(dict.fromkeys(known_services + services)))

    def _add(self, kind: UseKind, coordinate: str, services: Iterable[str]) -> None:
        for service in services:
            if len(self.uses) < MAX_USES:
                self.uses[Use(kind, coordinate, service)] = None


def used_by_value(
    value: object, type_name: str, services: tuple[str, ...], supergraph: Supergraph
) -> dict[Use, None]:
    """Return what a variable's value uses: members of input objects, enum values.

    It looks at MAX_GIVEN parts of the value, no further.
    """
    uses: dict[Use, None] = {}
    waiting: list[tuple[object, str]] = [(value, type_name)]
    for _ in range(MAX_GIVEN):
        if not waiting:
            break
        part, name = waiting.pop()
        info = supergraph.types.get(name)
        if info is None or part is None:
            continue
        if isinstance(part, list):
            waiting += [(inner, name) for inner in part[:MAX_GIVEN]]
        elif info.kind == ENUM and isinstance(part, str) and part in info.enum_values:
            uses |= {Use(UseKind.ENUM_VALUE, f"{name}.{part}", s): None for s in services}
        elif info.kind == INPUT and isinstance(part, Mapping):
            for member, known in info.fields.items():
                if member in part:
                    uses |= {Use(UseKind.ARGUMENT, f"{name}.{member}", s): None for s in services}
                    waiting.append((part[member], known.type.name))
    return uses


def _services(supergraph: Supergraph, info: FieldInfo, joins: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services that resolve a field; all that know its type where none is named."""
    graphs = [graph for graph, join in info.joins.items() if not join.external] or list(joins)
    return tuple(supergraph.graphs[graph].name for graph in graphs if graph in supergraph.graphs)


def _arguments(text: str) -> Iterator[tuple[str, ValueNode]]:
    """Yield the arguments that a field in normal form carries as text."""
    if not text:
        return
    value = parse_value("{" + text[1:-1] + "}", no_location=True)
    assert isinstance(value, ObjectValueNode)
    for member in value.fields:
        yield member.name.value, member.value
