"""The query plan: fetches, what they wait for, and the tree that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from twinmesh_federation.planning.operation import Operation
from twinmesh_federation.planning.tree import Rename
from twinmesh_federation.selection import Conditions

Path = tuple[str | frozenset[str], ...]
"""Response keys, "@" for each list, and sets of run-time types that the way is limited to."""


@dataclass(frozen=True, slots=True)
class RepresentationField:
    """One field of a representation, and the key under which the data holds it.

    Attributes:
        key_part: Belongs to the entity's key, so null means that there is nothing to look up.
        on: Run-time types that have it; None for all.
    """

    name: str
    data_key: str
    key_part: bool
    below: tuple[RepresentationField, ...] | None = None
    on: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class EntityCase:
    """Which objects at a path are looked up, as what, by which fields.

    Attributes:
        types: Run-time types concerned; None when the path admits no other.
        typename: What the representation says; the object's own where `by_runtime_type`.
        on: The type condition in the fetch.
        keys: Response keys at the top of the selection.
    """

    types: frozenset[str] | None
    typename: str
    by_runtime_type: bool
    representation: tuple[RepresentationField, ...]
    on: str
    selection: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityEntry:
    """One `_entities` field of a fetch: objects at some paths, one selection."""

    alias: str
    variable: str
    paths: tuple[Path, ...]
    cases: tuple[EntityCase, ...]
    depends_on: frozenset[int]
    conditions: tuple[Conditions, ...]
    renames: tuple[Rename, ...] = ()
    variables: tuple[str, ...] = ()

    def field_text(self) -> str:
        """Print the field as it stands in the operation."""
        alias = "" if self.alias == "_entities" else f"{self.alias}: "
        below = " ".join(f"... on {c.on}{c.selection}" for c in self.cases)
        return f"{alias}_entities(representations: ${self.variable}){{{below}}}"


@dataclass(frozen=True, slots=True)
class Fetch:
    """One request to one subgraph.

    A root fetch has no entries. An entity fetch has one per place in the answer; entries are
    independent, so that an executor may send those that are ready.

    Attributes:
        depends_on: Ids of the fetches whose results it needs.
        conditions: Send only if one of these holds; empty means always.
        path: Where a root fetch's result goes; () is the top.
        keys: Response keys at the top of a root fetch.
    """

    id: int
    graph: str
    service: str
    kind: str
    operation: str
    variables: tuple[str, ...]
    depends_on: frozenset[int]
    conditions: tuple[Conditions, ...] = ()
    entries: tuple[EntityEntry, ...] = ()
    path: Path = ()
    renames: tuple[Rename, ...] = ()
    keys: tuple[str, ...] = ()

    def is_wanted(self, variables: Mapping[str, Any]) -> bool:
        """Tell whether the variables ask for anything in it."""
        return holds(self.conditions, variables)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Nodes one after the other."""

    nodes: tuple[PlanNode, ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Nodes at the same time."""

    nodes: tuple[PlanNode, ...]


@dataclass(frozen=True, slots=True)
class Flatten:
    """A node for the objects at a path."""

    path: Path
    node: PlanNode


@dataclass(frozen=True, slots=True)
class Condition:
    """A node that a variable decides on."""

    variable: str
    if_clause: PlanNode | None
    else_clause: PlanNode | None


PlanNode = Sequence | Parallel | Flatten | Condition | Fetch


@dataclass(slots=True)
class QueryPlan:
    """How to answer one operation.

    Attributes:
        operation: Normal form, which shapes the answer.
        fetches: In an order that respects `depends_on`; an executor starts each when its
            dependencies are done, without waiting for the rest of their wave.
        node: The same as a tree of waves, for reading; None when no subgraph is asked.
        introspects: The answer includes `__schema` or `__type`.
        denied: (type, field) that the caller may not have; null even if fetched as a requirement.
        lost: Response keys down to the fields that the operation lost by it.
        compiled: What an executor prepared for it.
    """

    operation: Operation
    fetches: tuple[Fetch, ...]
    node: PlanNode | None
    introspects: bool = False
    denied: frozenset[tuple[str, str]] = frozenset()
    lost: tuple[tuple[str, ...], ...] = ()
    compiled: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return {"kind": "QueryPlan", "node": None if self.node is None else node_json(self.node)}


def holds(conditions: tuple[Conditions, ...], variables: Mapping[str, Any]) -> bool:
    """Tell whether one of the conjunctions is true; none at all means always."""
    if not conditions:
        return True
    return any(
        all(bool(variables.get(name)) == wanted for name, wanted in conjunction)
        for conjunction in conditions
    )


def path_json(path: Path) -> list[str]:
    """Print a path: keys, "@" for lists, "|[A,B]" for run-time types."""
    return [p if isinstance(p, str) else "|[" + ",".join(sorted(p)) + "]" for p in path]


def node_json(node: PlanNode) -> dict[str, Any]:
    """Return a plan node as plain data."""
    match node:
        case Sequence(nodes=nodes):
            return {"kind": "Sequence", "nodes": [node_json(n) for n in nodes]}
        case Parallel(nodes=nodes):
            return {"kind": "Parallel", "nodes": [node_json(n) for n in nodes]}
        case Flatten(path=path, node=inner):
            return {"kind": "Flatten", "path": path_json(path), "node": node_json(inner)}
        case Condition(variable=variable, if_clause=if_clause, else_clause=else_clause):
            return {
                "kind": "Condition",
                "condition": variable,
                "ifClause": None if if_clause is None else node_json(if_clause),
                "elseClause": None if else_clause is None else node_json(else_clause),
            }
        case Fetch():
            return _fetch_json(node)


def _fetch_json(node: Fetch) -> dict[str, Any]:
    data: dict[str, Any] = {
        "kind": "Fetch",
        "id": node.id,
        "serviceName": node.service,
        "operationKind": node.kind,
        "operation": node.operation,
        "variableUsages": list(node.variables),
    }
    if node.depends_on:
        data["dependsOn"] = sorted(node.depends_on)
    if len(node.entries) == 1 and len(node.entries[0].paths) == 1:
        data["requires"] = _cases_json(node.entries[0].cases)
    elif node.entries:
        data["entityBatch"] = {
            "aliases": [
                {
                    "alias": entry.alias,
                    "representationsVariableName": entry.variable,
                    "paths": [path_json(p) for p in entry.paths],
                    "requires": _cases_json(entry.cases),
                }
                for entry in node.entries
            ]
        }
    return data


def _cases_json(cases: Iterable[EntityCase]) -> list[dict[str, Any]]:
    return [
        {
            "kind": "InlineFragment",
            "typeCondition": case.on,
            **({"runtimeTypes": sorted(case.types)} if case.types is not None else {}),
            "selections": [
                {"kind": "Field", "name": "__typename"},
                *(_representation_json(f) for f in case.representation),
            ],
        }
        for case in cases
    ]


def _representation_json(item: RepresentationField) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": "Field", "name": item.name}
    if item.data_key != item.name:
        data["alias"] = item.data_key
    if item.below is not None:
        data["selections"] = [_representation_json(b) for b in item.below]
    return data


def fetches_in(node: PlanNode | None) -> Iterator[Fetch]:
    """Yield the fetches of a plan tree."""
    match node:
        case None:
            return
        case Fetch():
            yield node
        case Sequence(nodes=nodes) | Parallel(nodes=nodes):
            for inner in nodes:
                yield from fetches_in(inner)
        case Flatten(node=inner):
            yield from fetches_in(inner)
        case Condition(if_clause=if_clause, else_clause=else_clause):
            yield from fetches_in(if_clause)
            yield from fetches_in(else_clause)
