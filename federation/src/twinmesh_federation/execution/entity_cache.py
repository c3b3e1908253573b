"""Entities kept for a while: a client around clients, that says how old what it answers is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final

import orjson
from graphql import FieldNode, GraphQLError, OperationDefinitionNode, VariableNode, parse, print_ast
from graphql.language import Visitor, visit

from twinmesh_federation.execution.client import (
    CachedPart,
    SubgraphClient,
    SubgraphRequest,
    SubgraphResponse,
)

MAX_KNOWN_QUERIES: Final = 1_000
DEFAULT_ENTRIES: Final = 20_000
DEFAULT_BYTES: Final = 64 * 1024 * 1024
MAX_ENTITY_BYTES: Final = 64 * 1024

Vary = Callable[[SubgraphRequest], "Hashable | None"]
"""Tells requests apart whose entities may differ; None keeps a request out of the cache."""


@dataclass(frozen=True, slots=True)
class _LookUp:
    """One `_entities` field of a query.

    Attributes:
        text: Its selection, as a key.
        others: The variables that the selection uses.
    """

    alias: str
    variable: str
    text: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    encoded: bytes
    at: float
    ttl_s: float


@dataclass(slots=True)
class _Plan:
    """What of one request is known, and what must be asked.

    Attributes:
        answers: By alias, an entry per representation: the entity kept, or None.
        keys: The same with the key under which to keep what comes; None where it is not kept.
    """

    answers: dict[str, list[_Kept | None]] = field(default_factory=dict)
    keys: dict[str, list[tuple[Hashable, float] | None]] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    oldest_s: float = 0.0
    hits: int = 0
    misses: int = 0


class EntityCache:
    """Entities by key; the least recently used go first."""

    def __init__(
        self,
        *,
        entries: int = DEFAULT_ENTRIES,
        max_bytes: int = DEFAULT_BYTES,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.clock = clock
        self._entries = entries
        self._max_bytes = max_bytes
        self._held = 0
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def __len__(self) -> int:
        """Count the entities kept."""
        return len(self._kept)

    @property
    def held_bytes(self) -> int:
        """Return the length of all entities together."""
        return self._held

    def get(self, key: Hashable) -> _Kept | None:
        """Return an entity that is within its time."""
        found = self._kept.get(key)
        if found is None:
            return None
        if self.clock() - found.at >= found.ttl_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, entity: dict[str, Any], ttl_s: float) -> None:
        """Keep an entity, if it is small enough."""
        encoded = orjson.dumps(entity)
        if len(encoded) > MAX_ENTITY_BYTES:
            return
        self._drop(key)
        self._kept[key] = _Kept(encoded, self.clock(), ttl_s)
        self._held += len(encoded)
        while len(self._kept) > self._entries or self._held > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._held = 0

    def _drop(self, key: Hashable) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._held -= len(gone.encoded)


class EntityCachingClient:
    """Answers entities from memory where they are young enough, and asks for the rest.

    An entity is kept under its subgraph, what `vary` returns, its representation, what is selected
    of it and the variables that are used there. One that came with an error is not kept, and `null`
    never is. `SubgraphResponse.cached` says what was kept, and how old it is.

    Args:
        ttl_s: Seconds by type name; other types are never kept.
        vary: Tells requests apart.
        keeps: Tells whether the entities of an answer may be kept at all.
        on_look_up: Sees how many entities of a request were hits and misses.
    """

    def __init__(
        self,
        inner: SubgraphClient,
        cache: EntityCache,
        *,
        ttl_s: Mapping[str, float],
        vary: Vary,
        keeps: Callable[[SubgraphResponse], bool] = lambda _: True,
        on_look_up: Callable[[str, int, int], None] = lambda _service, _hits, _misses: None,
    ) -> None:
        self._inner = inner
        self._cache = cache
        self._ttl_s = dict(ttl_s)
        self._vary = vary
        self._keeps = keeps
        self._on_look_up = on_look_up
        self._queries: OrderedDict[str, tuple[_LookUp, ...]] = OrderedDict()

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        if not request.idempotent or b"_entities(" not in request.body:
            return await self._inner.send(request)
        body: dict[str, Any] = orjson.loads(request.body)
        look_ups = self._look_ups(body["query"])
        varying = self._vary(request) if look_ups else None
        if varying is None:
            return await self._inner.send(request)
        plan = self._plan(request.service, varying, look_ups, body.get("variables") or {})
        self._on_look_up(request.service, plan.hits, plan.misses)
        if not plan.hits and not any(key for keys in plan.keys.values() for key in keys):
            return await self._inner.send(request)
        asked = any(None in answers for answers in plan.answers.values())
        if not asked:
            return _completed(SubgraphResponse({}), plan)
        response = await self._inner.send(_reduced(request, body, look_ups, plan))
        self._keep(plan, response)
        return _completed(response, plan) if plan.hits else response

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        await self._inner.close()

    def _look_ups(self, query: str) -> tuple[_LookUp, ...]:
        """Return the `_entities` fields of a query; none where it asks for anything else too."""
        known = self._queries.get(query)
        if known is None:
            known = self._queries[query] = _read(query)
            if len(self._queries) > MAX_KNOWN_QUERIES:
                self._queries.popitem(last=False)
        else:
            self._queries.move_to_end(query)
        return known

    def _plan(
        self,
        service: str,
        varying: Hashable,
        look_ups: tuple[_LookUp, ...],
        variables: Mapping[str, Any],
    ) -> _Plan:
        plan, now = _Plan(), self._cache.clock()
        for look_up in look_ups:
            used = orjson.dumps([variables.get(name) for name in look_up.others])
            answers = plan.answers[look_up.alias] = []
            keys = plan.keys[look_up.alias] = []
            for representation in variables.get(look_up.variable) or ():
                name = representation.get("__typename")
                ttl_s = self._ttl_s.get(name, 0.0)
                found = None
                key: tuple[Hashable, float] | None = None
                if ttl_s > 0:
                    encoded = orjson.dumps(representation, option=orjson.OPT_SORT_KEYS)
                    at = (service, varying, look_up.text, used, encoded)
                    found, key = self._cache.get(at), (at, ttl_s)
                if found is not None:
                    plan.types.add(name)
                    plan.oldest_s = max(plan.oldest_s, now - found.at)
                    plan.hits += 1
                elif key is not None:
                    plan.misses += 1
                answers.append(found)
                keys.append(key)
        return plan

    def _keep(self, plan: _Plan, response: SubgraphResponse) -> None:
        if response.data is None or not self._keeps(response):
            return
        failed = set()
        for error in response.errors:
            path = error.get("path")
            if not isinstance(path, list) or len(path) < 2:
                return
            failed.add((path[0], path[1]))
        for alias, keys in plan.keys.items():
            entities = response.data.get(alias)
            asked = [k for k, a in zip(keys, plan.answers[alias], strict=True) if a is None]
            if not isinstance(entities, list) or len(entities) != len(asked):
                continue
            for at, (key, entity) in enumerate(zip(asked, entities, strict=True)):
                if key is not None and isinstance(entity, dict) and (alias, at) not in failed:
                    self._cache.put(key[0], entity, key[1])


def _reduced(
    request: SubgraphRequest, body: dict[str, Any], look_ups: tuple[_LookUp, ...], plan: _Plan
) -> SubgraphRequest:
    """Ask only for what is not known."""
    if not plan.hits:
        return request
    variables = dict(body["variables"])
    for look_up in look_ups:
        variables[look_up.variable] = [
            representation
            for representation, known in zip(
                variables[look_up.variable], plan.answers[look_up.alias], strict=True
            )
            if known is None
        ]
    return replace(request, body=orjson.dumps({**body, "variables": variables}))


def _completed(response: SubgraphResponse, plan: _Plan) -> SubgraphResponse:
    """Put what was kept between what came, and the errors where they belong then."""
    places = {
        alias: [at for at, known in enumerate(answers) if known is None]
        for alias, answers in plan.answers.items()
    }
    data: dict[str, Any] | None = None
    if response.data is not None:
        data = {}
        for alias, answers in plan.answers.items():
            came = response.data.get(alias)
            if places[alias] and not (isinstance(came, list) and len(came) == len(places[alias])):
                data[alias] = came
                continue
            coming: Iterator[Any] = iter(came or ())
            data[alias] = [
                next(coming) if known is None else orjson.loads(known.encoded) for known in answers
            ]
    return replace(
        response,
        data=data,
        errors=[_moved(error, places) for error in response.errors],
        cached=CachedPart(plan.hits, tuple(sorted(plan.types)), plan.oldest_s),
    )


def _moved(error: dict[str, Any], places: Mapping[str, list[int]]) -> dict[str, Any]:
    path = error.get("path")
    if not isinstance(path, list) or len(path) < 2 or not isinstance(path[1], int):
        return error
    at = places.get(path[0], [])
    if not 0 <= path[1] < len(at):
        return error
    return {**error, "path": [path[0], at[path[1]], *path[2:]]}


def _read(query: str) -> tuple[_LookUp, ...]:
    try:
        document = parse(query, no_location=True)
    except GraphQLError:
        return ()
    (operation, *others) = document.definitions
    if others or not isinstance(operation, OperationDefinitionNode):
        return ()
    found = []
    for node in operation.selection_set.selections:
        if not isinstance(node, FieldNode) or node.name.value != "_entities":
            return ()
        given = node.arguments[0].value if node.arguments else None
        if not isinstance(given, VariableNode) or node.selection_set is None:
            return ()
        used = _Variables()
        visit(node.selection_set, used)
        found.append(
            _LookUp(
                node.alias.value if node.alias else node.name.value,
                given.name.value,
                print_ast(node.selection_set),
                tuple(used.names),
            )
        )
    return tuple(found)


class _Variables(Visitor):
    """Collects the variables used in a selection."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        """Note one."""
        self.names[node.name.value] = None
