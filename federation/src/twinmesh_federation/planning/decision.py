"""Who resolves what: the search over (type, subgraph) sites.

A decision says, for a set of selections at one site, which fields the subgraph there answers,
which go to other subgraphs by a key, and which nobody can reach from here (the parent may).
Decisions are pure values, remembered by the identity of the selections they were taken for, so
that the search visits each (selections, type, subgraph) once, whatever the number of paths to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from twinmesh_federation.planning.errors import PlanLimitError
from twinmesh_federation.selection import Conditions, Field, Fragment, Selection, Selections
from twinmesh_federation.supergraph.model import (
    INTERFACE,
    OBJECT,
    UNION,
    FieldInfo,
    FieldJoin,
    KeyJoin,
    Supergraph,
    TypeRef,
)

MAX_DECISIONS: Final = 200_000
MAX_SECONDS: Final = 10.0
"""Of planning one operation; counting decisions alone says little of their size."""
_STEPS_BETWEEN_LOOKS: Final = 256

Siblings = frozenset[tuple[str, str]] | None
"""Subgraphs that could have resolved the same path, each with its type there."""


@dataclass(frozen=True, slots=True)
class Move:
    """A way from one site of a type to another subgraph's."""

    graph: str
    target: str
    key: KeyJoin | None
    via: frozenset[tuple[str, str]]
    """(graph, target) of the other moves that the key's fields need."""
    through: frozenset[str] = frozenset()
    """Subgraphs asked on the way, at this object or below it."""

    @property
    def site(self) -> tuple[str, str]:
        """Return where it leads."""
        return (self.graph, self.target)


@dataclass(slots=True)
class Local:
    """A field that the subgraph at hand answers."""

    field: Field
    ref: TypeRef
    child: Decision | None


@dataclass(slots=True)
class Hop:
    """Selections that another subgraph answers, at the same object."""

    move: Move
    decision: Decision
    requires: list[Selections]


@dataclass(slots=True)
class Decision:
    """What happens to a set of selections at one site."""

    type_name: str
    graph: str
    local: list[Local] = field(default_factory=list)
    cases: list[tuple[str, Conditions, Decision]] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    failed: list[Selection] = field(default_factory=list)
    cost: int = 0
    provided: Selections | None = None
    """What a @provides lets the subgraph answer here besides its own."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing at all was placed."""
        return not (self.local or self.cases or self.hops)


@dataclass(slots=True)
class _Split:
    """A decision without hops at its own level, and what is left for them."""

    decision: Decision
    rest: list[Selection]
    requires: list[Selections]


class Decider:
    """Takes decisions over one supergraph, for one operation and one set of override labels."""

    def __init__(self, supergraph: Supergraph, labels: frozenset[str] = frozenset()) -> None:
        self._supergraph = supergraph
        self._labels = labels
        self._contested = supergraph.contested
        self._ends_at = perf_counter() + MAX_SECONDS
        self._decisions: dict[tuple[object, ...], Decision] = {}
        self._splits: dict[tuple[object, ...], _Split] = {}
        self._moves: dict[tuple[str, str], dict[tuple[str, str], Move]] = {}
        self._narrowed: dict[tuple[int, str], Selections] = {}
        self._lists: dict[tuple[int, ...], Selections] = {}
        self._singles: dict[int, Selections] = {}
        self._kept: list[object] = []
        self._reaching: set[tuple[str, str]] = set()
        self._requiring: set[tuple[str, str, str]] = set()
        self._cuts = 0
        self._steps = 0
        self._partial_unions = _partial_unions(supergraph)
        self._entities = {
            name
            for name, info in supergraph.types.items()
            if any(k.resolvable for join in info.joins.values() for k in join.keys)
        } | set(supergraph.roots.values())

    # ---------------------------------------------------------------- joins

    def join(self, type_name: str, field_name: str, graph: str) -> FieldJoin | None:
        """Return the join by which `graph` defines the field and is in charge of it."""
        info = self._supergraph.types[type_name].fields.get(field_name)
        if info is None:
            return None
        join = info.joins.get(graph)
        if join is None or (type_name, field_name) not in self._contested:
            return join
        if join.used_overridden and not join.override_label:
            return None
        return None if self._overridden(info, join) else join

    def _overridden(self, info: FieldInfo, join: FieldJoin) -> bool:
        if join.override_label is not None and join.override is not None:
            return join.override_label not in self._labels
        name = self._supergraph.graphs[join.graph].name
        return any(
            other.override == name
            and other.graph != join.graph
            and (other.override_label is None or other.override_label in self._labels)
            for other in info.joins.values()
        )

    def resolvable(
        self, type_name: str, field_name: str, graph: str, provided: Selections | None
    ) -> FieldJoin | None:
        """Return the join if `graph` answers the field at this place."""
        join = self.join(type_name, field_name, graph)
        if join is None:
            info = self._supergraph.types[type_name].fields.get(field_name)
            join = info.joins.get(graph) if info is not None else None
            if join is None or not join.external:
                return None
        if join.external and _provision(provided, field_name, type_name) is None:
            return None
        return join

    # ------------------------------------------------------------- decisions

    def decide(
        self,
        selections: Selections,
        type_name: str,
        graph: str,
        provided: Selections | None = None,
        siblings: Siblings = None,
    ) -> Decision:
        """Decide on selections at a site.

        Raises:
            PlanLimitError: The search grew past `MAX_DECISIONS`.
        """
        key = (id(selections), type_name, graph, id(provided), siblings)
        known = self._decisions.get(key)
        if known is not None:
            return known
        self._steps += 1
        if self._steps > MAX_DECISIONS:
            raise PlanLimitError(f"planning needs more than {MAX_DECISIONS} decisions")
        if not self._steps % _STEPS_BETWEEN_LOOKS and perf_counter() > self._ends_at:
            raise PlanLimitError(f"planning takes longer than {MAX_SECONDS:g} s")
        cuts = self._cuts
        split = self._split(selections, type_name, graph, provided, siblings, arriving=False)
        decision = split.decision
        if split.rest:
            decision = Decision(
                type_name, graph, list(decision.local), list(decision.cases), [],
                list(decision.failed), decision.cost, provided,
            )  # fmt: skip
            self._cover(decision, split.rest, type_name, graph)
        if cuts == self._cuts:
            self._kept.append((selections, provided))
            self._decisions[key] = decision
        return decision

    def decide_root(self, selections: Selections, type_name: str) -> Decision:
        """Decide on root fields, which every subgraph with the root type can answer."""
        decision = Decision(type_name, "")
        self._cover(decision, list(selections), type_name, "")
        return decision

    def _split(
        self,
        selections: Selections,
        type_name: str,
        graph: str,
        provided: Selections | None,
        siblings: Siblings,
        *,
        arriving: bool,
    ) -> _Split:
        key = (id(selections), type_name, graph, id(provided), siblings, arriving)
        known = self._splits.get(key)
        if known is not None:
            return known
        cuts = self._cuts
        info = self._supergraph.types[type_name]
        concrete = info.kind == OBJECT or self._supergraph.is_interface_object(type_name, graph)
        result = _Split(Decision(type_name, graph), [], [])
        if info.kind == OBJECT:
            selections = self.narrow(selections, type_name)
        if concrete:
            for selection in selections:
                self._split_concrete(
                    selection, type_name, graph, provided, siblings, result, arriving
                )
        else:
            self._split_abstract(selections, type_name, graph, provided, siblings, result)
        if cuts == self._cuts:
            self._kept.append((selections, provided))
            self._splits[key] = result
        return result

    def _split_concrete(  # noqa: PLR0917 - internal, called in one place
        self,
        selection: Selection,
        type_name: str,
        graph: str,
        provided: Selections | None,
        siblings: Siblings,
        result: _Split,
        arriving: bool,
    ) -> None:
        is_object = self._supergraph.types[type_name].kind == OBJECT
        if isinstance(selection, Fragment):
            result.rest.append(selection)  # an interface object cannot tell its types apart
            return
        if selection.name == "__typename":
            if is_object:
                result.decision.local.append(Local(selection, TypeRef("String"), None))
            else:
                result.rest.append(selection)
            return
        join = self.resolvable(type_name, selection.name, graph, provided)
        if join is None:
            result.rest.append(selection)
            return
        if join.requires is not None and not (join.external and provided):
            if not arriving:
                result.rest.append(selection)
                return
            result.requires.append(join.requires)
        self._place(selection, type_name, graph, join, provided, siblings, result)

    def _place(  # noqa: PLR0917 - internal, called in one place
        self,
        selection: Field,
        type_name: str,
        graph: str,
        join: FieldJoin,
        provided: Selections | None,
        siblings: Siblings,
        result: _Split,
    ) -> None:
        """Put a field here, its unreachable descendants left over under a copy of it."""
        info = self._supergraph.types[type_name].fields[selection.name]
        ref = join.type or info.type
        if selection.selections is None:
            result.decision.local.append(Local(selection, ref, None))
            return
        below = join.provides
        inherited = _provision(provided, selection.name, type_name)
        if inherited is not None and inherited.selections is not None:
            below = inherited.selections if below is None else self._joined(below, inherited)
        child = self.decide(
            selection.selections,
            ref.name,
            graph,
            below,
            self._siblings(info, type_name, siblings),
        )
        if not child.failed:
            result.decision.local.append(Local(selection, ref, child))
            result.decision.cost += child.cost
            return
        if not child.is_empty:
            result.decision.local.append(Local(selection, ref, child))
            result.decision.cost += child.cost
        result.rest.append(selection.with_selections(Selections(tuple(child.failed))))

    def _joined(self, first: Selections, second: Field) -> Selections:
        assert second.selections is not None
        joined = Selections(first.items + second.selections.items)
        self._kept.append(joined)
        return joined

    def _siblings(self, info: FieldInfo, type_name: str, outer: Siblings) -> Siblings:
        """Say who else could resolve this field here; it matters only below partial unions."""
        if not self._partial_unions:
            return None
        graphs = {
            graph: join
            for graph, join in info.joins.items()
            if not join.external and self.join(type_name, info.name, graph) is not None
        }
        if type_name not in self._entities and outer is not None:
            among = {graph for graph, _ in outer}
            graphs = {g: j for g, j in graphs.items() if g in among}
        return frozenset((g, (j.type or info.type).name) for g, j in graphs.items())

    # -------------------------------------------------------- abstract types

    def _split_abstract(  # noqa: PLR0917 - internal, called in one place
        self,
        selections: Selections,
        type_name: str,
        graph: str,
        provided: Selections | None,
        siblings: Siblings,
        result: _Split,
    ) -> None:
        possible = self._allowed(type_name, graph, siblings)
        cases: dict[tuple[str, Conditions], list[Selection]] = {}
        for selection in selections:
            if isinstance(selection, Fragment):
                self._split_fragment(selection, possible, cases)
            elif selection.name == "__typename":
                result.decision.local.append(Local(selection, TypeRef("String"), None))
            elif join := self._direct(selection, type_name, graph, possible, provided):
                self._place(selection, type_name, graph, join, provided, siblings, result)
            elif self._hops_as_interface(selection, type_name, graph):
                result.rest.append(selection)
            elif self._explodes(selection, possible, graph, provided):
                for name in possible:
                    cases.setdefault((name, ()), []).append(selection)
            else:
                result.rest.append(selection)
        for (name, conditions), items in cases.items():
            below = self._interned(items)
            decision = self.decide(below, name, graph, provided, None)
            if not decision.is_empty:
                result.decision.cases.append((name, conditions, decision))
                result.decision.cost += decision.cost
            if decision.failed:
                result.rest.append(Fragment(name, Selections(tuple(decision.failed)), conditions))

    def _explodes(
        self, selection: Field, possible: tuple[str, ...], graph: str, provided: Selections | None
    ) -> bool:
        """Tell whether an interface's field can be asked type by type from here.

        All types or none: two subgraphs' answers to one shared field cannot be stitched by type.
        """
        if not possible:
            return True
        single = self._single(selection)
        return not any(
            decision.is_empty or (selection.selections is None and decision.failed)
            for decision in (self.decide(single, name, graph, provided) for name in possible)
        )

    def _split_fragment(
        self,
        selection: Fragment,
        possible: tuple[str, ...],
        cases: dict[tuple[str, Conditions], list[Selection]],
    ) -> None:
        matching = self._supergraph.possible.get(selection.type_name, frozenset())
        for name in possible:
            if name in matching:
                items = cases.setdefault((name, selection.conditions), [])
                items.extend(self.narrow(selection.selections, name))

    def _allowed(self, type_name: str, graph: str, siblings: Siblings) -> tuple[str, ...]:
        """Return the run-time types to select on.

        Where several subgraphs could have resolved the same path and see different members of
        its union, only the common ones can be relied on.
        """
        possible = self._supergraph.possible_in(type_name, graph)
        if siblings and len(siblings) > 1 and type_name in self._partial_unions:
            for other, name in siblings:
                possible &= self._supergraph.possible_in(name, other)
        return tuple(sorted(possible))

    def _direct(
        self,
        selection: Field,
        type_name: str,
        graph: str,
        possible: tuple[str, ...],
        provided: Selections | None,
    ) -> FieldJoin | None:
        """Return the interface's own join if each run-time type here answers the field."""
        info = self._supergraph.types[type_name]
        if info.kind != INTERFACE:
            return None
        join = self.resolvable(type_name, selection.name, graph, provided)
        if join is None:
            return None
        for name in possible:
            own = self.resolvable(name, selection.name, graph, provided)
            if own is None or own.requires is not None or own.provides is not None:
                return None
        if selection.selections is None:
            return join
        child = self.decide(
            selection.selections, (join.type or info.fields[selection.name].type).name, graph,
            join.provides,
        )  # fmt: skip
        return None if child.failed else join

    def _hops_as_interface(self, selection: Field, type_name: str, graph: str) -> bool:
        if self._supergraph.types[type_name].kind != INTERFACE:
            return False
        return any(
            move.target == type_name
            and self.resolvable(type_name, selection.name, move.graph, None) is not None
            for move in self.moves(type_name, graph).values()
        )

    # ------------------------------------------------------------------ moves

    def moves(self, type_name: str, graph: str) -> dict[tuple[str, str], Move]:
        """Return every site that an object at this one can be looked up at."""
        at = (type_name, graph)
        known = self._moves.get(at)
        if known is not None:
            return known
        if at in self._reaching:
            self._cuts += 1
            return {}
        if type_name in self._supergraph.roots.values():
            found = {
                (g, type_name): Move(g, type_name, None, frozenset())
                for g in self._supergraph.types[type_name].joins
            }
            self._moves[at] = found
            return found
        self._reaching.add(at)
        cuts = self._cuts
        try:
            found = self._reach(type_name, graph)
        finally:
            self._reaching.discard(at)
        if cuts == self._cuts or not self._reaching:
            self._moves[at] = found
        return found

    def _targets(self, type_name: str) -> list[tuple[str, str, list[KeyJoin]]]:
        info = self._supergraph.types[type_name]
        targets = [
            (graph, type_name, keys)
            for graph, join in info.joins.items()
            if (keys := [k for k in join.keys if k.resolvable])
        ]
        if info.kind != UNION:
            for name in info.interfaces:
                for graph, join in self._supergraph.types[name].joins.items():
                    keys = [k for k in join.keys if k.resolvable]
                    if join.interface_object and keys:
                        targets.append((graph, name, keys))
        return targets

    def _reach(self, type_name: str, graph: str) -> dict[tuple[str, str], Move]:
        found: dict[tuple[str, str], Move] = {}
        pending = self._targets(type_name)
        while pending:
            level: dict[tuple[str, str], Move] = {}
            waiting = []
            for target_graph, target, keys in pending:
                best: Move | None = None
                for key in keys:
                    needs = self._key_needs(key, (type_name, graph), target_graph, found)
                    if needs is not None and (best is None or len(needs[0]) < len(best.via)):
                        best = Move(target_graph, target, key, *needs)
                if best is None:
                    waiting.append((target_graph, target, keys))
                else:
                    level[best.site] = best
            if not level:
                break
            found.update(level)
            pending = waiting
        return found

    def _key_needs(
        self,
        key: KeyJoin,
        at: tuple[str, str],
        destination: str,
        found: dict[tuple[str, str], Move],
    ) -> tuple[frozenset[tuple[str, str]], frozenset[str]] | None:
        """Return the moves needed before the key's fields are known, and what they pass through.

        None if the fields can never be known.

        The way to a subgraph may not lead through it: other composers refuse that too.
        """
        type_name, graph = at
        needed: set[tuple[str, str]] = set()
        through: set[str] = set()
        rest = list(key.fields)
        sites: list[tuple[tuple[str, str], Move | None]] = [((graph, type_name), None)]
        sites += [(site, move) for site, move in found.items() if site != (graph, type_name)]
        for (site_graph, site_type), move in sites:
            if move is not None and destination in move.through:
                continue
            left: list[Selection] = []
            used = False
            for selection in rest:
                split = self._split(
                    self._single(selection), site_type, site_graph, None, None, arriving=False
                )
                visited = _visited(split.decision)
                if destination in visited:
                    left.append(selection)
                    continue
                through |= visited
                left.extend(split.rest)
                used |= not split.decision.is_empty
            if used and move is not None:
                needed.add(move.site)
                needed |= move.via
                through |= move.through | {move.graph}
            rest = left
            if not rest:
                return frozenset(needed), frozenset(through)
        return None

    # --------------------------------------------------------------- covering

    def _cover(self, decision: Decision, rest: list[Selection], type_name: str, graph: str) -> None:
        """Choose hops for what the site itself cannot answer: few fetches, forced ones first."""
        moves = self.moves(type_name, graph)
        chosen: dict[tuple[str, str], list[_Split]] = {}
        visited: set[tuple[str, str]] = set()
        ways: dict[int, dict[tuple[str, str], _Split]] = {}
        pending = list(rest)
        while pending:
            for selection in pending:
                if id(selection) not in ways:
                    ways[id(selection)] = self._options(selection, decision, moves)
            options = [(s, ways[id(s)]) for s in pending]
            hopeless = [s for s, found in options if not found]
            if hopeless:
                decision.failed.extend(hopeless)
                options = [(s, found) for s, found in options if found]
            if not options:
                break
            pending = self._choose(options, chosen, visited, moves)
            for site, splits in chosen.items():
                visited |= {site, *moves[site].via}
                for requires in {id(r): r for s in splits for r in s.requires}.values():
                    for hop in self.decide(requires, type_name, graph, decision.provided).hops:
                        visited |= {hop.move.site, *hop.move.via}
        for site, splits in chosen.items():
            decision.hops.extend(self._hops(moves[site], splits))
        self._relocate(decision, moves)
        self._spread(decision, type_name)
        taken = set(chosen)
        for site in chosen:
            taken |= moves[site].via
        decision.cost += len(taken) + sum(h.decision.cost for h in decision.hops)

    def _options(
        self,
        selection: Selection,
        at: Decision,
        moves: dict[tuple[str, str], Move],
    ) -> dict[tuple[str, str], _Split]:
        found: dict[tuple[str, str], _Split] = {}
        single = self._single(selection)
        for site, move in moves.items():
            split = self._split(single, move.target, move.graph, None, None, arriving=True)
            if split.decision.is_empty:
                continue
            if split.requires and not all(
                self._attainable(r, at, move, selection) for r in split.requires
            ):
                continue
            if site == (at.graph, at.type_name) and not split.requires:
                continue  # what home cannot answer at first, it cannot answer again
            found[site] = split
        return found

    def _attainable(
        self, requires: Selections, at: Decision, move: Move, selection: Selection
    ) -> bool:
        name = selection.name if isinstance(selection, Field) else ""
        mark = (move.target, name, move.graph)
        if mark in self._requiring:
            self._cuts += 1
            return False
        self._requiring.add(mark)
        try:
            return not self.decide(requires, at.type_name, at.graph, at.provided).failed
        finally:
            self._requiring.discard(mark)

    def _choose(
        self,
        options: list[tuple[Selection, dict[tuple[str, str], _Split]]],
        chosen: dict[tuple[str, str], list[_Split]],
        visited: set[tuple[str, str]],
        moves: dict[tuple[str, str], Move],
    ) -> list[Selection]:
        """Take one more site, give it what it answers best, and return what remains.

        Sites visited anyway, for keys and requirements, cost no step of their own.
        """
        full = {
            id(s): {site: split for site, split in found.items() if not split.rest}
            for s, found in options
        }

        def freedom(item: tuple[Selection, dict[tuple[str, str], _Split]]) -> float:
            """Say how free the choice is: one site; several that each answer a part; several."""
            return len(full[id(item[0])]) or 1.5

        selection, found = min(options, key=freedom)
        among = full[id(selection)] or found
        order = {site: number for number, site in enumerate(moves)}

        def price(site: tuple[str, str]) -> tuple[int, ...]:
            steps = 0 if site in visited else 1 + len(moves[site].via - visited)
            covered = sum(1 for s, _ in options if site in full[id(s)])
            nested = among[site].decision.cost
            left = _leaves(among[site].rest)
            return (left, steps + nested, -covered, order[site])

        site = min(among, key=price)
        remaining: list[Selection] = []
        taken = chosen.setdefault(site, [])
        for other, others in options:
            split = others.get(site)
            if other is selection:
                assert split is not None
                taken.append(split)
                remaining.extend(split.rest)
            elif (
                split is None or split.rest or self._dearer(split, full[id(other)], visited, moves)
            ):
                remaining.append(other)
            else:
                taken.append(split)
        return remaining

    @staticmethod
    def _dearer(
        split: _Split,
        alternatives: dict[tuple[str, str], _Split],
        visited: set[tuple[str, str]],
        moves: dict[tuple[str, str], Move],
    ) -> bool:
        """Tell whether another site, its own step included, would answer for less."""
        return any(
            other.decision.cost + (0 if site in visited else 1 + len(moves[site].via - visited))
            < split.decision.cost
            for site, other in alternatives.items()
        )

    @staticmethod
    def _hops(move: Move, splits: list[_Split]) -> list[Hop]:
        """Join what goes to one site, apart from what must wait for requirements."""
        hops: dict[tuple[int, ...], Hop] = {}
        for split in splits:
            key = tuple(sorted({id(r) for r in split.requires}))
            hop = hops.get(key)
            if hop is None:
                hop = hops[key] = Hop(move, Decision(move.target, move.graph), list(split.requires))
            hop.decision.local.extend(split.decision.local)
            hop.decision.cases.extend(split.decision.cases)
            hop.decision.cost += split.decision.cost
        return list(hops.values())

    def _relocate(self, decision: Decision, moves: dict[tuple[str, str], Move]) -> None:
        """Move a costly local field to a site visited anyway, where it costs less."""
        for local in list(decision.local):
            if local.child is None or not local.child.cost or local.child.failed:
                continue
            single = self._single(local.field)
            for hop in decision.hops:
                split = self._split(
                    single, hop.move.target, hop.move.graph, None, None, arriving=True
                )
                if (
                    not split.rest
                    and not split.requires
                    and split.decision.local
                    and split.decision.cost < local.child.cost
                ):
                    decision.local.remove(local)
                    decision.cost -= local.child.cost
                    hop.decision.local.extend(split.decision.local)
                    hop.decision.cost += split.decision.cost
                    break
        del moves

    def _spread(self, decision: Decision, type_name: str) -> None:
        """Have a subgraph that is visited anyway answer its part of a field that others share.

        What would be a further look-up below the field becomes a part of the visit. Not for
        mutations, whose fields take effect.
        """
        if type_name == self._supergraph.roots.get("mutation"):
            return
        visits = {hop.move.site: hop for hop in decision.hops if not hop.requires}
        places = [decision.local, *(hop.decision.local for hop in decision.hops)]
        for local, place in [(item, items) for items in places for item in items]:
            if local.child is None or local.child.failed:
                continue
            kept: list[Hop] = []
            for inner in local.child.hops:
                visit = next((v for s, v in visits.items() if s[0] == inner.move.graph), None)
                if (
                    visit is None
                    or visit.decision.local is place
                    or inner.requires
                    or not self._shares(local.field.name, visit, inner.move.target)
                ):
                    kept.append(inner)
                    continue
                ref = self._supergraph.types[visit.move.target].fields[local.field.name].type
                visit.decision.local.append(Local(local.field, ref, inner.decision))
            if len(kept) == len(local.child.hops):
                continue
            child = local.child
            fewer = child.cost - (len(child.hops) - len(kept))
            less = replace(child, hops=kept, cost=fewer)
            at = place.index(local)
            place[at : at + 1] = [] if less.is_empty else [Local(local.field, local.ref, less)]
            if place is decision.local:
                decision.cost -= child.cost - fewer
        decision.hops[:] = [hop for hop in decision.hops if not hop.decision.is_empty]

    def _shares(self, name: str, visit: Hop, target: str) -> bool:
        """Tell whether the subgraph of a visit answers a field there, as the same type."""
        join = self.resolvable(visit.move.target, name, visit.move.graph, None)
        if join is None or join.requires is not None:
            return False
        info = self._supergraph.types[visit.move.target].fields[name]
        return (join.type or info.type).name == target

    # ------------------------------------------------------------- selections

    def narrow(self, selections: Selections, type_name: str) -> Selections:
        """Return what the selections mean for one object type: its fragments dissolved."""
        if not any(isinstance(s, Fragment) for s in selections):
            return selections
        key = (id(selections), type_name)
        known = self._narrowed.get(key)
        if known is None:
            items: list[Selection] = []
            self._dissolve(selections, type_name, (), items)
            known = self._narrowed[key] = Selections(tuple(items))
            self._kept.append(selections)
        return known

    def _dissolve(
        self, selections: Selections, type_name: str, outer: Conditions, into: list[Selection]
    ) -> None:
        for selection in selections:
            conditions = tuple(sorted({*outer, *selection.conditions}))
            if isinstance(selection, Field):
                into.append(
                    selection
                    if conditions == selection.conditions
                    else Field(
                        selection.key,
                        selection.name,
                        selection.args,
                        selection.variables,
                        selection.selections,
                        conditions,
                        selection.parent,
                    )
                )
            elif type_name in self._supergraph.possible.get(selection.type_name, frozenset()):
                self._dissolve(selection.selections, type_name, conditions, into)

    def _single(self, selection: Selection) -> Selections:
        known = self._singles.get(id(selection))
        if known is None:
            known = self._singles[id(selection)] = Selections((selection,))
            self._kept.append(selection)
        return known

    def _interned(self, items: list[Selection]) -> Selections:
        key = tuple(id(i) for i in items)
        known = self._lists.get(key)
        if known is None:
            known = self._lists[key] = Selections(tuple(items))
            self._kept.append(items)
        return known


def _visited(decision: Decision) -> set[str]:
    """Return the subgraphs that a decision hops to, at any depth."""
    found: set[str] = set()
    for hop in decision.hops:
        found.add(hop.move.graph)
        found |= hop.move.through | _visited(hop.decision)
    for local in decision.local:
        if local.child is not None:
            found |= _visited(local.child)
    for _, _, below in decision.cases:
        found |= _visited(below)
    return found


def _provision(provided: Selections | None, name: str, type_name: str) -> Field | None:
    """Find what a @provides says of a field."""
    for selection in provided or ():
        if isinstance(selection, Field):
            if selection.name == name:
                return selection
        elif selection.type_name == type_name:
            found = _provision(selection.selections, name, type_name)
            if found is not None:
                return found
    return None


def _partial_unions(supergraph: Supergraph) -> frozenset[str]:
    """Name the unions that subgraphs see different members of."""
    return frozenset(
        name
        for name, info in supergraph.types.items()
        if info.kind == UNION and len({frozenset(j.members) for j in info.joins.values()}) > 1
    )


def _leaves(selections: list[Selection]) -> int:
    return sum(1 if s.selections is None else _leaves(list(s.selections)) for s in selections)
