"""One run of a plan: fetches as their inputs arrive, merged into one tree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import orjson

from twinmesh_federation.execution.client import (
    SubgraphClient,
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.execution.merge import (
    Gather,
    Lookup,
    compile_case,
    located,
    merge,
    objects_at,
    undo_aliases,
)
from twinmesh_federation.execution.result import SEVERITY, SubgraphReport, SubgraphStatus
from twinmesh_federation.planning.plan import EntityEntry, Fetch, QueryPlan, holds
from twinmesh_federation.planning.planner import entity_operation

MAX_ERRORS: Final = 500
MAX_ERROR_PATHS_PER_FETCH: Final = 20
_FAILED_STATUS: Final = {"TIMEOUT": SubgraphStatus.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that requests may take.

    Attributes:
        request_s: The whole operation.
        subgraph_s: Each request to a subgraph, unless `by_subgraph` says otherwise.
        patience_s: How long a batch waits for entries whose inputs are late, once some are ready.
    """

    request_s: float = 30.0
    subgraph_s: float = 10.0
    by_subgraph: Mapping[str, float] = field(default_factory=dict)
    patience_s: float = 0.1

    def of(self, service: str) -> float:
        """Return the deadline of one subgraph."""
        return self.by_subgraph.get(service, self.subgraph_s)


@dataclass(slots=True, eq=False)
class _Item:
    """A fetch, or those of its entries that go together."""

    fetch: Fetch
    entries: tuple[EntityEntry, ...]
    waits_for: set[int]
    first_ready_at: float | None = None


class PlanRun:
    """Runs one plan for one request."""

    def __init__(
        self,
        plan: QueryPlan,
        variables: Mapping[str, Any],
        *,
        urls: Mapping[str, str],
        client: SubgraphClient,
        hooks: ExecutionHooks,
        deadlines: Deadlines,
        context: object,
    ) -> None:
        self._plan = plan
        self._variables = variables
        self._urls = urls
        self._client = client
        self._hooks = hooks
        self._deadlines = deadlines
        self._context = context
        self._ends_at = perf_counter() + deadlines.request_s
        self.data: dict[str, Any] = {}
        self.errors: list[dict[str, Any]] = []
        self.covered: set[tuple[str, ...]] = set()
        self.reports: dict[str, SubgraphReport] = {}
        self._failed: dict[int, str] = {}

    # -------------------------------------------------------------- scheduling

    async def run(self) -> None:
        """Run every fetch that can be; failures become errors and reports, never exceptions."""
        await self._run(self._plan.fetches, frozenset())

    async def run_after(self, answered: Fetch, response: SubgraphResponse) -> None:
        """Run what follows a fetch that was answered already, as a subscription's event is."""
        self._note_answer(answered, response, 0.0)
        self._take(answered, [], response)
        rest = tuple(f for f in self._plan.fetches if f.id != answered.id)
        await self._run(rest, frozenset((answered.id,)))

    async def _run(self, fetches: tuple[Fetch, ...], answered: frozenset[int]) -> None:
        if len(fetches) == 1:
            item = _Item(fetches[0], fetches[0].entries, set())
            if item.fetch.is_wanted(self._variables):
                await self._perform(item)
            return
        waiting = [_Item(f, f.entries, set(f.depends_on - answered)) for f in fetches]
        left: dict[int, int] = {f.id: 1 for f in fetches}
        running: dict[asyncio.Task[None], _Item] = {}
        try:
            while waiting or running:
                ready = self._take_ready(waiting, left)
                if len(ready) == 1 and not running and not waiting:
                    await self._perform(ready[0])
                    return
                for item in ready:
                    if item.fetch.is_wanted(self._variables):
                        running[asyncio.create_task(self._perform(item))] = item
                    else:
                        self._finished(item, waiting, left)
                if not running:
                    if not ready:
                        break
                    continue
                done, _ = await asyncio.wait(
                    running,
                    timeout=self._patience_left(waiting),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    self._finished(running.pop(task), waiting, left)
                    task.result()
        finally:
            for task in running:
                task.cancel()

    @staticmethod
    def _finished(item: _Item, waiting: list[_Item], left: dict[int, int]) -> None:
        fetch_id = item.fetch.id
        left[fetch_id] -= 1
        if left[fetch_id] == 0:
            for other in waiting:
                other.waits_for.discard(fetch_id)

    def _take_ready(self, waiting: list[_Item], left: dict[int, int]) -> list[_Item]:
        """Remove and return what can start; a batch splits when its patience is over."""
        ready: list[_Item] = []
        now = perf_counter()
        for item in list(waiting):
            if not item.waits_for:
                waiting.remove(item)
                ready.append(item)
                continue
            if len(item.entries) < 2:
                continue
            free = tuple(e for e in item.entries if not e.depends_on & item.waits_for)
            if not free:
                continue
            if item.first_ready_at is None:
                item.first_ready_at = now
            elif now - item.first_ready_at >= self._deadlines.patience_s:
                waiting.remove(item)
                rest = tuple(e for e in item.entries if e not in free)
                left[item.fetch.id] += 1
                ready.append(_Item(item.fetch, free, set()))
                waiting.append(_Item(item.fetch, rest, set(item.waits_for)))
        return ready

    def _patience_left(self, waiting: list[_Item]) -> float | None:
        started = [i.first_ready_at for i in waiting if i.first_ready_at is not None]
        if not started:
            return None
        return max(0.001, min(started) + self._deadlines.patience_s - perf_counter())

    # ----------------------------------------------------------------- fetching

    async def _perform(self, item: _Item) -> None:
        fetch = item.fetch
        if fetch.entries:
            lookups = [
                lookup
                for entry in item.entries
                if holds(entry.conditions, self._variables)
                and (lookup := self._lookup(entry)).targets
            ]
            if not lookups:
                self._skip(fetch, item.entries)
                return
            if self._failed:
                self._note_left_out(fetch, item.entries, lookups)
            body = self._entity_body(fetch, lookups)
        else:
            lookups = []
            if fetch.path and not objects_at(self.data, fetch.path):
                self._skip(fetch, ())
                return
            body = self.body_of(fetch)
        response = await self._ask(fetch, body, lookups)
        if response is not None:
            self._take(fetch, lookups, response)

    async def _ask(
        self, fetch: Fetch, body: bytes, lookups: list[Lookup]
    ) -> SubgraphResponse | None:
        started = perf_counter()
        allowed = self._deadlines.of(fetch.service)
        timeout_s = min(allowed, self._ends_at - started)
        try:
            if timeout_s <= 0:
                raise SubgraphFailure("TIMEOUT", "the request's deadline is over", retryable=True)
            response = await self._client.send(
                SubgraphRequest(
                    fetch.service,
                    self._urls[fetch.graph],
                    body,
                    self._hooks.headers(self._context, fetch.service),
                    timeout_s,
                    fetch.kind != "mutation",
                )
            )
        except SubgraphFailure as failure:
            status = _FAILED_STATUS.get(failure.code, SubgraphStatus.ERROR)
            self._report(fetch, status, perf_counter() - started, allowed, failure.code)
            self._failed[fetch.id] = fetch.service
            self._fail(fetch, lookups, str(failure), failure.code, retryable=failure.retryable)
            return None
        self._note_answer(fetch, response, perf_counter() - started)
        return response

    def _note_answer(self, fetch: Fetch, response: SubgraphResponse, seconds: float) -> None:
        failed = response.data is None
        self._report(
            fetch,
            SubgraphStatus.ERROR if failed else SubgraphStatus.OK,
            seconds,
            self._deadlines.of(fetch.service),
            _first_code(response) if failed else None,
        )
        if failed:
            self._failed[fetch.id] = fetch.service

    def _report(
        self,
        fetch: Fetch,
        status: SubgraphStatus,
        seconds: float,
        allowed_s: float,
        code: str | None,
    ) -> None:
        report = self.reports.get(fetch.service)
        if report is None:
            report = self.reports[fetch.service] = SubgraphReport(status)
        if SEVERITY[status] >= SEVERITY[report.status]:
            report.status = status
            report.code = code
        if status is not SubgraphStatus.SKIPPED:
            report.fetches += 1
        report.ms = max(report.ms, seconds * 1e3)
        report.deadline_ms = allowed_s * 1e3

    def _worsen(self, service: str, code: str) -> None:
        report = self.reports[service]
        if SEVERITY[report.status] < SEVERITY[SubgraphStatus.ERROR]:
            report.status = SubgraphStatus.ERROR
            report.code = code

    def body_of(self, fetch: Fetch) -> bytes:
        """Return the JSON body of a root fetch."""
        return self._body(fetch.operation, fetch.variables, b"", fetch)

    def _body(
        self, operation: str, names: tuple[str, ...], representations: bytes, fetch: Fetch
    ) -> bytes:
        parts = [b'{"query":', orjson.dumps(operation)]
        given = {n: self._variables[n] for n in names if n in self._variables}
        if given or representations:
            encoded = orjson.dumps(given)[1:-1]
            joined = b",".join(p for p in (encoded, representations) if p)
            parts += [b',"variables":{', joined, b"}"]
        extensions = self._hooks.request_extensions(self._context, fetch.service)
        if extensions:
            parts += [b',"extensions":', orjson.dumps(extensions)]
        parts.append(b"}")
        return b"".join(parts)

    def _entity_body(self, fetch: Fetch, lookups: list[Lookup]) -> bytes:
        if len(lookups) == len(fetch.entries):
            operation, names = fetch.operation, fetch.variables
        else:
            entries = [lookup.entry for lookup in lookups]
            operation = entity_operation(self._plan.operation, entries)
            names = tuple({n: None for e in entries for n in e.variables})
        representations = b",".join(
            b'"%b":%b' % (lookup.entry.variable.encode(), orjson.dumps(lookup.representations))
            for lookup in lookups
        )
        return self._body(operation, names, representations, fetch)

    def _lookup(self, entry: EntityEntry) -> Lookup:
        """Represent the objects of an entry, each distinct representation once."""
        gathers: list[Gather] | None = self._plan.compiled.get(f"cases:{id(entry)}")
        if gathers is None:
            gathers = [compile_case(case) for case in entry.cases]
            self._plan.compiled[f"cases:{id(entry)}"] = gathers
        lookup = Lookup(entry)
        for path in entry.paths:
            objects = objects_at(self.data, path)
            for gather in gathers:
                gather(objects, lookup)
        return lookup

    # ------------------------------------------------------------------ merging

    def _take(self, fetch: Fetch, lookups: list[Lookup], response: SubgraphResponse) -> None:
        paths = tuple(p for lk in lookups for p in lk.entry.paths) if lookups else (fetch.path,)
        self._hooks.on_response(self._context, fetch, paths, response)
        if response.data is not None:
            if lookups:
                self._take_entities(fetch, lookups, response.data, errors=bool(response.errors))
            else:
                undo_aliases(response.data, fetch.renames)
                for target in objects_at(self.data, fetch.path):
                    merge(target, response.data)
        if response.errors:
            for error in response.errors[:MAX_ERRORS]:
                self._take_error(fetch, lookups, error)
        elif response.data is None:
            self._fail(
                fetch, lookups, f"subgraph {fetch.service} answered neither data nor errors",
                "BAD_RESPONSE", retryable=False,
            )  # fmt: skip

    def _take_entities(
        self, fetch: Fetch, lookups: list[Lookup], data: dict[str, Any], *, errors: bool
    ) -> None:
        for lookup in lookups:
            entities = data.get(lookup.entry.alias)
            if not isinstance(entities, list) or len(entities) != len(lookup.targets):
                if entities is not None or not errors:
                    self._fail(
                        fetch,
                        [lookup],
                        f"subgraph {fetch.service} answered other entities than were asked",
                        "BAD_RESPONSE",
                        retryable=False,
                    )
                self._failed[fetch.id] = fetch.service
                self._worsen(fetch.service, "BAD_RESPONSE")
                continue
            undo_aliases(entities, lookup.entry.renames)
            for entity, targets in zip(entities, lookup.targets, strict=True):
                if isinstance(entity, dict):
                    for target in targets:
                        merge(target, entity)

    def _take_error(self, fetch: Fetch, lookups: list[Lookup], error: dict[str, Any]) -> None:
        path = error.get("path")
        place: list[str | int] | None = None
        if isinstance(path, list) and path:
            place = self._place(fetch, lookups, path)
        if place is None:
            place = next(iter(self._failed_places(fetch, lookups)), None)
        extensions = error.get("extensions")
        self._add_error(
            str(error.get("message", "subgraph error")),
            place,
            {
                "code": "DOWNSTREAM_SERVICE_ERROR",
                **(extensions if isinstance(extensions, dict) else {}),
                "serviceName": fetch.service,
            },
        )

    def _place(
        self, fetch: Fetch, lookups: list[Lookup], path: list[Any]
    ) -> list[str | int] | None:
        """Translate a subgraph's error path into the answer's."""
        if not lookups:
            names = {alias: key for _, alias, key in fetch.renames}
            prefix = next((at for _, at in located(self.data, fetch.path)), [])
            return [*prefix, *(names.get(p, p) if isinstance(p, str) else p for p in path)]
        for lookup in lookups:
            if lookup.entry.alias != path[0]:
                continue
            if len(path) < 2 or not isinstance(path[1], int):
                return None
            if not 0 <= path[1] < len(lookup.targets):
                return None
            names = {alias: key for _, alias, key in lookup.entry.renames}
            rest = [names.get(p, p) if isinstance(p, str) else p for p in path[2:]]
            target = lookup.targets[path[1]][0]
            for entry_path in lookup.entry.paths:
                for found, at in located(self.data, entry_path):
                    if found is target:
                        return [*at, *rest]
        return None

    def _fail(
        self,
        fetch: Fetch,
        lookups: list[Lookup],
        message: str,
        code: str,
        *,
        retryable: bool,
    ) -> None:
        for place in self._failed_places(fetch, lookups):
            self._add_error(
                message,
                place,
                {"code": code, "retryable": retryable, "serviceName": fetch.service},
            )

    def _failed_places(self, fetch: Fetch, lookups: list[Lookup]) -> list[list[str | int]]:
        """Name the fields lost with a fetch: for entities, those of the first object per path."""
        places: list[list[str | int]] = []
        if not lookups:
            prefix = next((at for _, at in located(self.data, fetch.path)), [])
            places = [[*prefix, key] for key in fetch.keys]
        for lookup in lookups:
            keys = list(dict.fromkeys(k for c in lookup.entry.cases for k in c.keys))
            for path in lookup.entry.paths:
                first = next((at for _, at in located(self.data, path)), None)
                if first is not None:
                    places.extend([*first, key] for key in keys)
        return places[:MAX_ERROR_PATHS_PER_FETCH]

    def _skip(self, fetch: Fetch, entries: tuple[EntityEntry, ...]) -> None:
        """Note a fetch with nothing to ask; an error only where a failure is the reason."""
        causes = sorted({self._failed[d] for d in fetch.depends_on if d in self._failed})
        if not causes:
            return
        self._failed[fetch.id] = fetch.service
        self._report(
            fetch, SubgraphStatus.SKIPPED, 0.0, self._deadlines.of(fetch.service), "SKIPPED"
        )
        before = len(self.errors)
        for entry in entries:
            self._not_asked(fetch, entry, causes, frozenset())
        if len(self.errors) == before and not entries:
            self._add_error(*_unasked(fetch, causes, None))

    def _note_left_out(
        self, fetch: Fetch, entries: tuple[EntityEntry, ...], lookups: list[Lookup]
    ) -> None:
        """Report the objects that cannot be looked up because an earlier fetch failed."""
        for entry in entries:
            causes = sorted({self._failed[d] for d in entry.depends_on if d in self._failed})
            if causes and holds(entry.conditions, self._variables):
                asked = frozenset(
                    id(found)
                    for lookup in lookups
                    if lookup.entry is entry
                    for targets in lookup.targets
                    for found in targets
                )
                before = len(self.covered)
                self._not_asked(fetch, entry, causes, asked)
                if len(self.covered) > before:
                    self._failed[fetch.id] = causes[0]  # in part: what rests on it is told too

    def _not_asked(
        self, fetch: Fetch, entry: EntityEntry, causes: list[str], asked: frozenset[int]
    ) -> None:
        """Report what an entry would have brought, for the first object per path and case."""
        for path in entry.paths:
            left = [(f, at) for f, at in located(self.data, path) if id(f) not in asked]
            for case in entry.cases:
                first = next(
                    (
                        at
                        for found, at in left
                        if case.types is None or found.get("__typename") in case.types
                    ),
                    None,
                )
                for key in case.keys if first is not None else ():
                    self._add_error(*_unasked(fetch, causes, [*(first or ()), key]))

    def _add_error(
        self, message: str, place: list[str | int] | None, extensions: dict[str, Any]
    ) -> None:
        if place is not None:
            self.covered.add(tuple(p for p in place if isinstance(p, str)))
        if len(self.errors) >= MAX_ERRORS:
            return
        error: dict[str, Any] = {"message": message}
        if place is not None:
            error["path"] = place
        error["extensions"] = extensions
        self.errors.append(error)


def _unasked(
    fetch: Fetch, causes: list[str], place: list[str | int] | None
) -> tuple[str, list[str | int] | None, dict[str, Any]]:
    message = f"subgraph {fetch.service} was not asked: {', '.join(causes)} did not answer"
    return message, place, {"code": "SKIPPED", "retryable": True, "serviceName": fetch.service}


def _first_code(response: SubgraphResponse) -> str | None:
    for error in response.errors:
        extensions = error.get("extensions")
        if isinstance(extensions, dict) and isinstance(extensions.get("code"), str):
            return str(extensions["code"])
    return None
