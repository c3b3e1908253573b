"""From decisions to fetches: one growing step per place and subgraph, then waves and batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from twinmesh_federation.planning.decision import Decider, Decision, Hop, Move
from twinmesh_federation.planning.errors import PlanLimitError, UnreachableFieldError
from twinmesh_federation.planning.plan import Path, RepresentationField
from twinmesh_federation.planning.tree import Tree
from twinmesh_federation.selection import Conditions, Field, Fragment, Selection, Selections
from twinmesh_federation.supergraph.model import OBJECT, Supergraph, TypeRef

MAX_STEPS: Final = 2_000
MAX_PLACED: Final = 100_000
"""Fields and type conditions over all fetches of a plan."""
MAX_NESTED_REQUIREMENTS: Final = 64

CaseKey = tuple[frozenset[str] | None, str, Conditions, int]
"""Run-time types, what they are looked up as, when the representation is complete, a number."""

_Registry = dict[tuple[str, ...], dict[str, set[tuple[str, str]]]]


@dataclass(slots=True)
class Case:
    """What a step looks up for some run-time types at its path."""

    types: frozenset[str] | None
    move: Move
    tree: Tree = field(default_factory=Tree)
    representation: tuple[RepresentationField, ...] = ()


@dataclass(slots=True)
class Step:
    """A request to be: the operation's root in a subgraph, or entities at one path."""

    id: int
    graph: str
    path: Path
    tree: Tree | None
    cases: dict[CaseKey, Case] = field(default_factory=dict)
    depends_on: set[int] = field(default_factory=set)
    conditions: dict[Conditions, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the answer, as one step sees it.

    Attributes:
        keys: Response keys down to here, without lists and types.
        types: Run-time types that selections here are limited to; None for no limit.
    """

    path: Path
    keys: tuple[str, ...]
    type_name: str
    graph: str
    step: Step | None
    tree: Tree
    types: frozenset[str] | None = None


class StepBuilder:
    """Turns decisions into steps for one operation."""

    def __init__(self, supergraph: Supergraph, decider: Decider, selections: Selections) -> None:
        self._supergraph = supergraph
        self._decider = decider
        self.steps: list[Step] = []
        self._at: dict[tuple[Path, str], list[Step]] = {}
        self._registry: _Registry = {}
        self._aliased: dict[tuple[int, tuple[str, ...]], Selections] = {}
        self._templates: dict[int, tuple[tuple[RepresentationField, ...], Selections]] = {}
        self._nested = 0
        self._placed = 0
        self._register(selections, ())

    def _register(self, selections: Selections, keys: tuple[str, ...]) -> None:
        level = self._registry.setdefault(keys, {})
        for selection in selections:
            if isinstance(selection, Fragment):
                self._register(selection.selections, keys)
            else:
                level.setdefault(selection.key, set()).add(selection.signature)
                if selection.selections is not None:
                    self._register(selection.selections, (*keys, selection.key))

    # ------------------------------------------------------------------- steps

    def step(self, graph: str, path: Path, *, root: bool) -> Step:
        """Add a step."""
        if len(self.steps) >= MAX_STEPS:
            raise PlanLimitError(f"plan needs more than {MAX_STEPS} fetches")
        step = Step(len(self.steps), graph, path, Tree() if root else None)
        self.steps.append(step)
        return step

    def root(
        self, decision: Decision, conditions: Conditions, after: set[int], type_name: str
    ) -> set[int]:
        """Place root fields, one step per subgraph; return the steps made."""
        made: set[int] = set()
        if decision.failed:
            raise unreachable(decision.failed, type_name)
        for hop in decision.hops:
            step = self.step(hop.move.graph, (), root=True)
            step.depends_on |= after
            made.add(step.id)
            assert step.tree is not None
            self._note_conditions(step, hop, conditions)
            position = Position((), (), type_name, hop.move.graph, step, step.tree)
            self.place(hop.decision, position, conditions)
        return made

    # ----------------------------------------------------------------- placing

    def place(self, decision: Decision, at: Position, conditions: Conditions) -> set[int]:
        """Put a decision's fields into steps; return the ids of those that answer them."""
        if decision.failed:
            raise unreachable(decision.failed, decision.type_name)
        assert at.step is not None
        used: set[int] = {at.step.id}
        self._placed += len(decision.local) + len(decision.cases)
        if self._placed > MAX_PLACED:
            raise PlanLimitError(f"plan needs more than {MAX_PLACED} selections")
        for local in decision.local:
            selected = local.field
            node = at.tree.add(
                selected.key,
                selected.name,
                selected.args,
                selected.variables,
                selected.conditions,
                local.ref,
                composite=local.child is not None,
            )
            if local.child is None:
                continue
            assert node.below is not None
            child = self._child(at, selected, local.ref, node.below)
            used |= self.place(
                _without_failed(local.child), child, _joined(conditions, selected.conditions)
            )
        for type_name, own, below in decision.cases:
            at.tree.typename = True
            inner = Position(
                at.path, at.keys, type_name, at.graph, at.step,
                at.tree.under(type_name, own), frozenset((type_name,)),
            )  # fmt: skip
            used |= self.place(_without_failed(below), inner, _joined(conditions, own))
        for hop in decision.hops:
            used |= self._hop(hop, at, conditions, decision.provided)
        return used

    def _child(self, at: Position, selected: Field, ref: TypeRef, tree: Tree) -> Position:
        limited: Path = (at.types,) if at.types is not None else ()
        info = self._supergraph.types[ref.name]
        if info.is_abstract and not self._supergraph.is_interface_object(ref.name, at.graph):
            tree.typename = True
        return Position(
            (*at.path, *limited, selected.key, *("@",) * ref.list_depth),
            (*at.keys, selected.key),
            ref.name,
            at.graph,
            at.step,
            tree,
        )

    def _hop(
        self, hop: Hop, at: Position, conditions: Conditions, provided: Selections | None
    ) -> set[int]:
        move = hop.move
        if move.key is None:
            step = self._root_step(move.graph, at)
            self._note_conditions(step, hop, conditions)
            assert step.tree is not None
            inner = Position(at.path, at.keys, move.target, move.graph, step, step.tree)
            return {step.id} | self.place(hop.decision, inner, conditions)
        dependencies: set[int] = {at.step.id} if at.step is not None else set()
        needed_if = _joined(conditions, _common(hop))
        fields: list[RepresentationField] = []
        for selections, is_key in ((move.key.fields, True), *((r, False) for r in hop.requires)):
            needed, template = self._require(selections, at, needed_if, provided, is_key=is_key)
            dependencies |= needed
            fields.extend(template)
        step = self._entity_step(at.path, move.graph, dependencies)
        step.depends_on |= dependencies
        self._note_conditions(step, hop, conditions)
        case = self._case(step, at, move, needed_if if hop.requires else (), fields)
        inner = Position(at.path, at.keys, move.target, move.graph, step, case.tree, at.types)
        if self._supergraph.types[move.target].is_abstract and not (
            self._supergraph.is_interface_object(move.target, move.graph)
        ):
            case.tree.typename = True
        return {step.id} | self.place(hop.decision, inner, conditions)

    def _root_step(self, graph: str, at: Position) -> Step:
        for step in self._at.get((at.path, graph), ()):
            if step.tree is not None:
                return step
        step = self.step(graph, at.path, root=True)
        if at.step is not None:
            step.depends_on.add(at.step.id)
        self._at.setdefault((at.path, graph), []).append(step)
        return step

    def _entity_step(self, path: Path, graph: str, dependencies: set[int]) -> Step:
        known = self._at.setdefault((path, graph), [])
        for step in known:
            if step.tree is None and step.depends_on == dependencies:
                return step
        step = self.step(graph, path, root=False)
        known.append(step)
        return step

    @staticmethod
    def _case(
        step: Step,
        at: Position,
        move: Move,
        needed_if: Conditions,
        fields: list[RepresentationField],
    ) -> Case:
        """Return the case that represents these fields; one field has one value in each.

        What is required only under conditions stands apart: where they do not hold, the rest
        must still be looked up.
        """
        number = 0
        while True:
            key = (at.types, move.target, needed_if, number)
            case = step.cases.get(key)
            if case is None:
                case = step.cases[key] = Case(at.types, move)
            merged = _all_merged(case.representation, fields)
            if merged is not None:
                case.representation = merged
                return case
            number += 1

    @staticmethod
    def _note_conditions(step: Step, hop: Hop, conditions: Conditions) -> None:
        for local in hop.decision.local:
            step.conditions[_joined(conditions, local.field.conditions)] = None
        for _, own, _ in hop.decision.cases:
            step.conditions[_joined(conditions, own)] = None

    # ------------------------------------------------------------ requirements

    def _require(
        self,
        selections: Selections,
        at: Position,
        conditions: Conditions,
        provided: Selections | None,
        *,
        is_key: bool,
    ) -> tuple[set[int], tuple[RepresentationField, ...]]:
        """Have a key's or a requirement's fields fetched, and say how to represent them."""
        self._nested += 1
        if self._nested > MAX_NESTED_REQUIREMENTS:
            raise PlanLimitError(f"over {MAX_NESTED_REQUIREMENTS} nested requirements")
        aliased = self._alias(selections, at.keys)
        decision = self._decider.decide(aliased, at.type_name, at.graph, provided)
        used = self.place(decision, at, conditions)
        self._nested -= 1
        return used, self._template(aliased, is_key=is_key)

    def _alias(self, selections: Selections, keys: tuple[str, ...]) -> Selections:
        """Rename where the client's own keys at this place mean something else."""
        known = self._aliased.get((id(selections), keys))
        if known is not None:
            return known
        items: list[Selection] = []
        changed = False
        for selection in selections:
            copy: Selection
            if isinstance(selection, Fragment):
                below = self._alias(selection.selections, keys)
                copy = (
                    selection
                    if below is selection.selections
                    else Fragment(selection.type_name, below, selection.conditions)
                )
            else:
                copy = self._alias_field(selection, keys)
            changed |= copy is not selection
            items.append(copy)
        result = Selections(tuple(items)) if changed else selections
        self._aliased[id(selections), keys] = result
        return result

    def _alias_field(self, selection: Field, keys: tuple[str, ...]) -> Field:
        level = self._registry.setdefault(keys, {})
        key = selection.name
        number = 0
        while (taken := level.get(key)) and taken != {selection.signature}:
            key = f"_r{number}_{selection.name}"
            number += 1
        level[key] = {selection.signature}
        below = selection.selections
        if below is not None:
            below = self._alias(below, (*keys, key))
        if key == selection.key and below is selection.selections:
            return selection
        return Field(key, selection.name, selection.args, selection.variables, below)

    def _template(self, selections: Selections, *, is_key: bool) -> tuple[RepresentationField, ...]:
        fields: list[RepresentationField] = []
        for selection in selections:
            if isinstance(selection, Fragment):
                on = self._supergraph.possible.get(selection.type_name, frozenset())
                fields.extend(
                    RepresentationField(
                        f.name, f.data_key, f.key_part, f.below, on if f.on is None else on & f.on
                    )
                    for f in self._template(selection.selections, is_key=is_key)
                )
            elif selection.name != "__typename":
                below = (
                    self._template(selection.selections, is_key=is_key)
                    if selection.selections is not None
                    else None
                )
                fields.append(RepresentationField(selection.name, selection.key, is_key, below))
        return tuple(fields)


def _without_failed(decision: Decision) -> Decision:
    """Drop what the parent takes care of elsewhere."""
    if not decision.failed:
        return decision
    return Decision(
        decision.type_name, decision.graph, decision.local, decision.cases, decision.hops, [],
        decision.cost, decision.provided,
    )  # fmt: skip


def _common(hop: Hop) -> Conditions:
    """Return the conditions without which nothing of a hop is wanted."""
    own = [set(local.field.conditions) for local in hop.decision.local]
    own += [set(conditions) for _, conditions, _ in hop.decision.cases]
    return tuple(sorted(set.intersection(*own))) if own else ()


def _joined(outer: Conditions, own: Conditions) -> Conditions:
    return tuple(sorted({*outer, *own})) if own else outer


def _all_merged(
    known: tuple[RepresentationField, ...], more: Iterable[RepresentationField]
) -> tuple[RepresentationField, ...] | None:
    """Join representations; None if one field of an object would need two values."""
    merged = {(f.name, f.data_key, f.on): f for f in known}
    for item in more:
        if any(
            name == item.name and key != item.data_key and _meet(other.on, item.on)
            for (name, key, _), other in merged.items()
        ):
            return None
        same = merged.get((item.name, item.data_key, item.on))
        joined = item if same is None else _merged(same, item)
        if joined is None:
            return None
        merged[item.name, item.data_key, item.on] = joined
    return tuple(merged.values())


def _meet(first: frozenset[str] | None, second: frozenset[str] | None) -> bool:
    return first is None or second is None or bool(first & second)


def _merged(known: RepresentationField, item: RepresentationField) -> RepresentationField | None:
    below = known.below
    if item.below is not None:
        below = _all_merged(known.below or (), item.below)
        if below is None:
            return None
    key_part = known.key_part or item.key_part
    return RepresentationField(item.name, item.data_key, key_part, below, item.on)


def unreachable(failed: list[Selection], type_name: str) -> UnreachableFieldError:
    """Say which selection no subgraph can answer."""
    selection = failed[0]
    where = type_name
    while isinstance(selection, Fragment) or selection.selections is not None:
        if isinstance(selection, Fragment):
            where = selection.type_name
            inner = selection.selections.items
        else:
            assert selection.selections is not None
            where = f"{where}.{selection.name}"
            inner = selection.selections.items
        if not inner:
            break
        selection = inner[0]
    name = selection.name if isinstance(selection, Field) else selection.type_name
    return UnreachableFieldError(f"No subgraph can resolve {where}.{name} from where it is asked.")


__all__ = ["OBJECT", "Case", "Position", "Step", "StepBuilder", "unreachable"]
