"""Planning an operation: decide, build steps, batch them into fetches, arrange waves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from graphql import DocumentNode, print_ast

from twinmesh_federation.planning import plan as nodes
from twinmesh_federation.planning.access import Denied, without
from twinmesh_federation.planning.build import MAX_STEPS, Case, Step, StepBuilder
from twinmesh_federation.planning.decision import Decider
from twinmesh_federation.planning.errors import PlanError, PlanLimitError
from twinmesh_federation.planning.operation import Operation, normalise, select_operation
from twinmesh_federation.planning.plan import (
    Condition,
    EntityCase,
    EntityEntry,
    Fetch,
    Flatten,
    Parallel,
    Path,
    PlanNode,
    QueryPlan,
    Sequence,
)
from twinmesh_federation.planning.tree import REPRESENTATIONS, Tree, alias_conflicts
from twinmesh_federation.remembered import Remembered
from twinmesh_federation.selection import Conditions, Field, Selection, Selections
from twinmesh_federation.supergraph.model import Supergraph

DEFAULT_CACHE_SIZE: Final = 1_000
_INTROSPECTION: Final = ("__schema", "__type")


class PlanKey(NamedTuple):
    """What a plan depends on, besides the supergraph.

    Attributes:
        text: The document, printed.
        labels: Override labels that are on, of those that the supergraph knows.
        denied: (type, field) that the caller may not have.
    """

    text: str
    operation_name: str | None
    labels: frozenset[str]
    denied: Denied


class Planner:
    """Plans operations over one supergraph, and remembers the plans, and what cannot be planned.

    Args:
        supergraph: What to plan over.
        cache_size: Plans kept, least recently used dropped first; long texts count for more.
    """

    def __init__(self, supergraph: Supergraph, *, cache_size: int = DEFAULT_CACHE_SIZE) -> None:
        self.supergraph = supergraph
        self._cache: Remembered[PlanKey, QueryPlan | PlanError] = Remembered(cache_size)
        self._texts: Remembered[int, tuple[DocumentNode, str]] = Remembered(cache_size)
        self._labels = supergraph.override_labels

    def key(
        self,
        document: DocumentNode,
        operation_name: str | None = None,
        *,
        override_labels: frozenset[str] = frozenset(),
        denied: Denied = frozenset(),
    ) -> PlanKey:
        """Return what a plan is remembered by. See `plan`."""
        labels = override_labels & self._labels
        return PlanKey(self._normal_text(document), operation_name, labels, denied)

    def recall(self, key: PlanKey) -> QueryPlan | None:
        """Return a remembered plan, None if there is none.

        Raises:
            PlanError: It could not be planned before, and cannot now.
        """
        known = self._cache.get(key)
        if isinstance(known, PlanError):
            raise type(known)(str(known))
        return known

    def remember(self, key: PlanKey, made: QueryPlan | PlanError) -> None:
        """Keep a plan, or why there is none."""
        self._cache.put(key, made, len(key.text))

    def plan(
        self,
        document: DocumentNode,
        operation_name: str | None = None,
        *,
        override_labels: frozenset[str] = frozenset(),
        denied: Denied = frozenset(),
    ) -> QueryPlan:
        """Plan one operation of a valid document.

        Args:
            document: Parsed and validated against `supergraph.api_schema`.
            operation_name: Which operation; needed where there are several.
            override_labels: Labels of progressive overrides that are on.
            denied: (type, field) that the caller may not have; they are null in the answer.

        Raises:
            PlanError: No such operation, an unreachable field, or a bound was hit.
        """
        key = self.key(document, operation_name, override_labels=override_labels, denied=denied)
        known = self.recall(key)
        if known is not None:
            return known
        try:
            made = self.plan_uncached(
                document, key.operation_name, override_labels=key.labels, denied=denied
            )
        except PlanError as error:
            self.remember(key, error)
            raise
        self.remember(key, made)
        return made

    def plan_uncached(
        self,
        document: DocumentNode,
        operation_name: str | None = None,
        *,
        override_labels: frozenset[str] = frozenset(),
        denied: Denied = frozenset(),
    ) -> QueryPlan:
        """Plan without looking at or filling the cache. See `plan`."""
        try:
            return self._plan(document, operation_name, override_labels, denied)
        except RecursionError as error:
            raise PlanLimitError("operation is nested too deeply to plan") from error

    def _normal_text(self, document: DocumentNode) -> str:
        """Print a document, once per parsed one."""
        known = self._texts.get(id(document))
        if known is None or known[0] is not document:
            known = (document, print_ast(document))
            self._texts.put(id(document), known, len(known[1]))
        return known[1]

    def _plan(
        self,
        document: DocumentNode,
        operation_name: str | None,
        override_labels: frozenset[str],
        denied: Denied,
    ) -> QueryPlan:
        operation = normalise(document, select_operation(document, operation_name), self.supergraph)
        lost: list[tuple[str, ...]] = []
        permitted = without(operation.selections, operation.root, denied, self.supergraph, lost)
        remote = Selections(
            tuple(s for s in permitted if not (isinstance(s, Field) and s.name.startswith("__")))
        )
        introspects = any(
            isinstance(s, Field) and s.name in _INTROSPECTION for s in operation.selections
        )
        decider = Decider(self.supergraph, override_labels)
        builder = StepBuilder(self.supergraph, decider, operation.selections)
        if operation.kind == "mutation":
            _place_serially(builder, decider, remote, operation.root)
        elif len(remote):
            builder.root(decider.decide_root(remote, operation.root), (), set(), operation.root)
        fetches, levels = _Batcher(self.supergraph, operation, builder.steps).batch()
        return QueryPlan(
            operation, fetches, _arrange(fetches, levels), introspects, denied, tuple(lost)
        )


def _place_serially(
    builder: StepBuilder, decider: Decider, selections: Selections, root: str
) -> None:
    """Place mutation fields in their order: each group of one subgraph after the last."""
    groups: list[tuple[str, list[Selection]]] = []
    for selection in selections:
        decision = decider.decide_root(Selections((selection,)), root)
        graph = decision.hops[0].move.graph if len(decision.hops) == 1 else ""
        if groups and graph and groups[-1][0] == graph:
            groups[-1][1].append(selection)
        else:
            groups.append((graph, [selection]))
    after: set[int] = set()
    for _, items in groups:
        made = builder.root(decider.decide_root(Selections(tuple(items)), root), (), after, root)
        after = made


class _Batcher:
    """Groups steps of one wave and subgraph into one fetch each."""

    def __init__(self, supergraph: Supergraph, operation: Operation, steps: list[Step]) -> None:
        self._supergraph = supergraph
        self._operation = operation
        self._steps = steps

    def batch(self) -> tuple[tuple[Fetch, ...], dict[int, int]]:
        """Return the fetches in wave order, and the wave of each by id."""
        wave = self._waves()
        groups: dict[tuple[int, str, object], list[Step]] = {}
        for step in sorted(self._steps, key=lambda s: (wave[s.id], s.id)):
            single = step.id if step.tree is not None else None
            groups.setdefault((wave[step.id], step.graph, single), []).append(step)
        ids = {step.id: number for number, group in enumerate(groups.values()) for step in group}
        fetches = tuple(
            self._fetch(number, group, ids) for number, group in enumerate(groups.values())
        )
        levels = {number: key[0] for number, key in enumerate(groups)}
        return fetches, levels

    def _waves(self) -> dict[int, int]:
        wave: dict[int, int] = {}

        def of(step: Step) -> int:
            known = wave.get(step.id)
            if known is None:
                known = 1 + max((of(self._steps[d]) for d in step.depends_on), default=-1)
                wave[step.id] = known
            return known

        for step in self._steps:
            of(step)
        self._delay(wave)
        return wave

    def _delay(self, wave: dict[int, int]) -> None:
        """Let a step wait for a later one of its place and subgraph, if nobody waits for it.

        The executor sends it alone all the same when the other's inputs are late.
        """
        places: dict[tuple[Path, str], list[Step]] = {}
        dependents: dict[int, list[int]] = {}
        for step in self._steps:
            if step.tree is None:
                places.setdefault((step.path, step.graph), []).append(step)
            for dependency in step.depends_on:
                dependents.setdefault(dependency, []).append(step.id)
        for step in sorted(self._steps, key=lambda s: -wave[s.id]):
            latest = min((wave[d] for d in dependents.get(step.id, ())), default=MAX_STEPS)
            together = places.get((step.path, step.graph), ()) if step.tree is None else ()
            later = [wave[s.id] for s in together if wave[step.id] < wave[s.id] < latest]
            if later:
                wave[step.id] = max(later)

    def _fetch(self, number: int, group: list[Step], ids: dict[int, int]) -> Fetch:
        step = group[0]
        service = self._supergraph.graphs[step.graph].name
        depends_on = frozenset(ids[d] for s in group for d in s.depends_on)
        conditions = _any_of(c for s in group for c in [tuple(s.conditions)])
        if step.tree is not None:
            renames = tuple(alias_conflicts(step.tree))
            used: dict[str, None] = {}
            step.tree.variables(used)
            kind = self._operation.kind if step.path == () else "query"
            operation = kind_text(kind, self._operation, used, ()) + step.tree.text()
            return Fetch(
                number, step.graph, service, kind, operation, tuple(used), depends_on,
                conditions, (), step.path, renames, step.tree.top_keys(),
            )  # fmt: skip
        entries = self._entries(group, ids)
        used = {name: None for entry in entries for name in entry.variables}
        operation = entity_operation(self._operation, entries)
        return Fetch(
            number, step.graph, service, "query", operation, tuple(used), depends_on,
            conditions, entries,
        )  # fmt: skip

    def _entries(self, group: list[Step], ids: dict[int, int]) -> tuple[EntityEntry, ...]:
        merged: dict[tuple[object, ...], EntityEntry] = {}
        for entry in (self._entry(s, cases, ids) for s in group for cases in self._apart(s)):
            key = (entry.cases, entry.conditions)
            known = merged.get(key)
            if known is None:
                merged[key] = entry
            else:
                merged[key] = replace(
                    known,
                    paths=known.paths + entry.paths,
                    depends_on=known.depends_on | entry.depends_on,
                )
        found = list(merged.values())
        if len(found) == 1:
            return (replace(found[0], alias="_entities", variable=REPRESENTATIONS),)
        return tuple(
            replace(entry, alias=f"_e{n}", variable=f"_r{n}") for n, entry in enumerate(found)
        )

    def _apart(self, step: Step) -> list[list[Case]]:
        """Part the cases that one `_entities` field would confuse.

        Two selections whose type conditions overlap both apply to every representation of such
        a type, be it meant for the one or the other.
        """
        parts: list[list[Case]] = []
        for case in step.cases.values():
            for part in parts:
                if all(self._go_together(case, other) for other in part):
                    part.append(case)
                    break
            else:
                parts.append([case])
        return parts

    def _go_together(self, first: Case, second: Case) -> bool:
        a, b = first.move.target, second.move.target
        if a == b:
            return False
        if not self._supergraph.possible[a] & self._supergraph.possible[b]:
            return True
        wider = second if self._supergraph.types[b].is_abstract else first
        return wider.types is None and first.representation == second.representation

    def _entry(self, step: Step, among: list[Case], ids: dict[int, int]) -> EntityEntry:
        joined = Tree()
        for number, case in enumerate(among):
            joined.fragments[f"{case.move.target}#{number}", ()] = case.tree
        renames = tuple(alias_conflicts(joined))
        used: dict[str, None] = {}
        cases = []
        for case in among:
            case.tree.variables(used)
            target = self._supergraph.types[case.move.target]
            interface_object = self._supergraph.is_interface_object(target.name, step.graph)
            cases.append(
                EntityCase(
                    types=case.types,
                    typename=target.name,
                    by_runtime_type=target.is_abstract and not interface_object,
                    representation=case.representation,
                    on=target.name,
                    selection=case.tree.text(),
                    keys=case.tree.top_keys(),
                )
            )
        return EntityEntry(
            alias="",
            variable="",
            paths=(step.path,),
            cases=tuple(cases),
            depends_on=frozenset(ids[d] for d in step.depends_on),
            conditions=_any_of([tuple(step.conditions)]),
            renames=renames,
            variables=tuple(used),
        )


def entity_operation(operation: Operation, entries: Iterable[EntityEntry]) -> str:
    """Print the operation that asks for some entries of a fetch."""
    entries = list(entries)
    used = {name: None for entry in entries for name in entry.variables}
    head = kind_text("query", operation, used, [entry.variable for entry in entries])
    return head + "{" + " ".join(entry.field_text() for entry in entries) + "}"


def kind_text(
    kind: str, operation: Operation, used: Iterable[str], representations: Iterable[str]
) -> str:
    """Print an operation's head."""
    variables = [f"${name}: [_Any!]!" for name in representations]
    for name in used:
        type_text, default = operation.variables[name]
        variables.append(f"${name}: {type_text}" + (f" = {default}" if default else ""))
    if variables:
        return f"{kind}({', '.join(variables)})"
    return "" if kind == "query" else kind


def _any_of(sets: Iterable[tuple[Conditions, ...]]) -> tuple[Conditions, ...]:
    """Join alternatives; an empty conjunction among them means always."""
    found: dict[Conditions, None] = {}
    for conditions in sets:
        if not conditions or () in conditions:
            return ()
        found.update(dict.fromkeys(conditions))
    return tuple(found)


def _arrange(fetches: tuple[Fetch, ...], levels: dict[int, int]) -> PlanNode | None:
    """Show the fetches as waves: Sequence of Parallel."""
    waves: dict[int, list[PlanNode]] = {}
    for fetch in fetches:
        waves.setdefault(levels[fetch.id], []).append(_shown(fetch))
    shown = [w[0] if len(w) == 1 else Parallel(tuple(w)) for _, w in sorted(waves.items())]
    if not shown:
        return None
    return shown[0] if len(shown) == 1 else Sequence(tuple(shown))


def _shown(fetch: Fetch) -> PlanNode:
    node: PlanNode = fetch
    if fetch.path:
        node = Flatten(fetch.path, node)
    elif len(fetch.entries) == 1 and len(fetch.entries[0].paths) == 1:
        node = Flatten(fetch.entries[0].paths[0], node)
    if fetch.conditions:
        common = set(fetch.conditions[0])
        for conjunction in fetch.conditions[1:]:
            common &= set(conjunction)
        for variable, wanted in sorted(common):
            node = Condition(variable, node if wanted else None, None if wanted else node)
    return node


__all__ = ["DEFAULT_CACHE_SIZE", "PlanKey", "Planner", "entity_operation", "nodes"]
