"""Whether every field of the supergraph can be resolved from every place that leads to it.

The walk uses the planner's own sites and moves, so that what composes can be planned.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.planning.decision import Decider
from twinmesh_federation.selection import Fragment, Selections
from twinmesh_federation.supergraph.model import FieldInfo, Supergraph, TypeInfo

MAX_STATES: Final = 100_000
MAX_ISSUES: Final = 50


@dataclass(frozen=True, slots=True)
class _Site:
    """A type as one subgraph sees it, on a path that provides some external fields."""

    type_name: str
    graph: str
    provided: Selections | None = None


@dataclass(frozen=True, slots=True)
class _Way:
    """A site, and the one at hand that keys lead there from."""

    site: _Site
    start: _Site


_State = tuple[str, frozenset[_Site]]


class Satisfiability:
    """Walks all states reachable from the roots, once each."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self._labels = sorted(supergraph.override_labels)
        self.issues: list[CompositionIssue] = []
        self._reported: set[str] = set()

    def check(self) -> list[CompositionIssue]:
        """Return the fields that cannot be reached, each once."""
        everything = frozenset(self._labels)
        choices = [frozenset[str]()]
        choices += [frozenset((label,)) for label in self._labels]
        if len(self._labels) > 1:
            choices.append(everything)
        for labels in dict.fromkeys(choices):
            self._walk(Decider(self._supergraph, labels))
            if self.issues:
                break
        return self.issues

    def _walk(self, decider: Decider) -> None:
        seen: dict[str, list[frozenset[_Site]]] = {}
        queue: deque[tuple[_State, str]] = deque()
        for root in self._supergraph.roots.values():
            info = self._supergraph.types.get(root)
            if info is not None:
                sites = frozenset(_Site(root, graph) for graph in info.joins)
                queue.append(((root, sites), root))
        visited = 0
        while queue and len(self.issues) < MAX_ISSUES:
            (type_name, sites), path = queue.popleft()
            known = seen.setdefault(type_name, [])
            if any(other <= sites for other in known):
                continue
            known.append(sites)
            visited += 1
            if visited > MAX_STATES:
                self._report(type_name, path, f"more than {MAX_STATES} states to check")
                return
            info = self._supergraph.types[type_name]
            if info.inaccessible:
                continue
            reach = self._reach(decider, type_name, sites)
            for item in info.fields.values():
                if not item.inaccessible:
                    self._step(decider, info, item, reach, path, queue)

    def _reach(self, decider: Decider, type_name: str, sites: frozenset[_Site]) -> list[_Way]:
        """Return the sites at hand, and all that keys lead to from each of them."""
        found: dict[_Way, None] = {_Way(site, site): None for site in sites}
        pending = list(sites)
        started = set(sites)
        while pending:
            start = pending.pop()
            for graph, target in decider.moves(start.type_name, start.graph):
                found[_Way(_Site(target, graph), start)] = None
                if self._shows(target, graph, type_name):
                    shown = _Site(type_name, graph)
                    found[_Way(shown, shown)] = None
                    if shown not in started:
                        started.add(shown)
                        pending.append(shown)
        return list(found)

    def _shows(self, target: str, graph: str, type_name: str) -> bool:
        """Tell whether an interface's look-up there reveals the run-time type."""
        return (
            target != type_name
            and not self._supergraph.is_interface_object(target, graph)
            and type_name in self._supergraph.possible_in(target, graph)
        )

    def _step(  # noqa: PLR0917 - internal, called in one place
        self,
        decider: Decider,
        info: TypeInfo,
        item: FieldInfo,
        reach: list[_Way],
        path: str,
        queue: deque[tuple[_State, str]],
    ) -> None:
        following: dict[str, set[_Site]] = {}
        found = False
        for way in reach:
            site = way.site
            if site.type_name == info.name and site.graph not in item.joins:
                continue
            join = decider.resolvable(site.type_name, item.name, site.graph, site.provided)
            if join is None:
                continue
            if join.requires is not None and not self._attainable(decider, join.requires, way):
                continue
            found = True
            ref = join.type or self._supergraph.types[site.type_name].fields[item.name].type
            target = self._supergraph.types[ref.name]
            if not target.is_composite:
                break  # one way is enough, as nothing follows
            below = join.provides
            if self._supergraph.is_interface_object(ref.name, site.graph):
                for name in self._supergraph.possible[ref.name]:
                    following.setdefault(name, set()).add(_Site(ref.name, site.graph, below))
                continue
            for name in self._supergraph.possible_in(ref.name, site.graph):
                following.setdefault(name, set()).add(_Site(name, site.graph, below))
        where = f"{path}.{item.name}"
        if not found:
            self._report(f"{info.name}.{item.name}", where, "")
            return
        for name, sites in following.items():
            queue.append(((name, frozenset(sites)), where))

    def _attainable(self, decider: Decider, requires: Selections, way: _Way) -> bool:
        """Tell whether a requirement can be met: by the plan, and from the site alone.

        The plan gathers it where the object was found; other composers look from the subgraph
        that requires it, and so refuse a bit more.
        """
        if self._changes_hands(requires, way.site.type_name):
            return False
        return all(
            not decider.decide(requires, at.type_name, at.graph, at.provided).failed
            for at in dict.fromkeys((way.start, way.site))
        )

    def _changes_hands(self, requires: Selections, type_name: str) -> bool:
        """Tell whether a requirement rests on a progressively overridden field.

        Other composers refuse it too: who resolves the field is not known when its value is
        required.
        """
        if not self._labels:
            return False
        info = self._supergraph.types[type_name]
        for selection in requires:
            if isinstance(selection, Fragment):
                if self._changes_hands(selection.selections, selection.type_name):
                    return True
                continue
            item = info.fields.get(selection.name)
            if item is None:
                continue
            if any(join.override_label is not None for join in item.joins.values()):
                return True
            below = selection.selections
            if below is not None and self._changes_hands(below, item.type.name):
                return True
        return False

    def _report(self, coordinate: str, path: str, why: str) -> None:
        if coordinate in self._reported:
            return
        self._reported.add(coordinate)
        info = self._supergraph.types.get(coordinate.split(".", maxsplit=1)[0])
        graphs = sorted(info.joins) if info is not None else []
        self.issues.append(
            CompositionIssue(
                "SATISFIABILITY_ERROR",
                f"{coordinate} cannot be resolved when asked as {path}"
                + (f": {why}" if why else ""),
                tuple(self._supergraph.graphs[g].name for g in graphs),
                coordinate,
                "Add a @key by which the subgraphs can look the object up, or share the field.",
            )
        )
