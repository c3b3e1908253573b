"""Answering requests over one supergraph."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    parse,
    specified_rules,
    validate,
)
from graphql.execution.values import get_variable_values
from graphql.validation import NoSchemaIntrospectionCustomRule

from twinmesh_federation.execution.access import AccessRules
from twinmesh_federation.execution.client import SubgraphClient, SubgraphResponse
from twinmesh_federation.execution.cost import CostModel, SlicingError
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.execution.limits import ExceededLimit, Limits, broken_limit, nests_deeper
from twinmesh_federation.execution.projection import Projection
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, request_error
from twinmesh_federation.execution.rules import SelectionsAreNotEmpty
from twinmesh_federation.execution.run import Deadlines, PlanRun
from twinmesh_federation.planning import Fetch, PlanError, PlanKey, Planner, QueryPlan
from twinmesh_federation.planning.operation import select_operation
from twinmesh_federation.remembered import Remembered
from twinmesh_federation.supergraph.model import Supergraph

DEFAULT_DOCUMENT_CACHE: Final = 1_000
MAX_VALIDATION_ERRORS: Final = 20
MAX_PROJECTIONS_PER_PLAN: Final = 64
MAX_DENIED_ERRORS: Final = 100
MAX_VALUE_DEPTH: Final = 100
INLINE_PLAN_SIZE: Final = 40_000
"""Characters of a document times subgraphs; more is planned in a thread, beside other answers."""
MAX_PLANNING_BESIDE: Final = 2


@dataclass(frozen=True, slots=True)
class ExecutorOptions:
    """How an executor behaves.

    Attributes:
        urls: Addresses by subgraph name, instead of the supergraph's.
        introspection: Whether clients may ask `__schema` and `__type`.
        document_cache: Documents kept parsed and validated; long ones count for more.
    """

    deadlines: Deadlines = field(default_factory=Deadlines)
    limits: Limits = field(default_factory=Limits)
    urls: Mapping[str, str] = field(default_factory=dict)
    introspection: bool = True
    document_cache: int = DEFAULT_DOCUMENT_CACHE
    plan_cache: int = 1_000


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """An operation of a document that passed parsing, limits and validation."""

    document: DocumentNode
    operation: OperationDefinitionNode
    chars: int = 0

    @property
    def kind(self) -> str:
        """Return "query", "mutation" or "subscription"."""
        value: str = self.operation.operation.value
        return value


class Executor:
    """Parses, validates, plans and runs operations over one supergraph."""

    def __init__(
        self,
        supergraph: Supergraph,
        client: SubgraphClient,
        *,
        hooks: ExecutionHooks | None = None,
        options: ExecutorOptions | None = None,
    ) -> None:
        self.supergraph = supergraph
        self.options = options or ExecutorOptions()
        self.planner = Planner(supergraph, cache_size=self.options.plan_cache)
        self._planning: dict[PlanKey, asyncio.Task[QueryPlan | PlanError]] = {}
        self._planners = asyncio.Semaphore(MAX_PLANNING_BESIDE)
        self._client = client
        self._hooks = hooks or ExecutionHooks()
        self._urls = {
            graph.id: self.options.urls.get(graph.name, graph.url)
            for graph in supergraph.graphs.values()
        }
        self._documents: Remembered[tuple[str, str | None], PreparedOperation | ExecutionResult] = (
            Remembered(self.options.document_cache)
        )
        self._percentages = _percentages(supergraph)
        self._access = AccessRules(supergraph)
        limits = self.options.limits
        self._costs = (
            CostModel(supergraph, list_size=limits.list_size)
            if limits.field_cost or limits.type_cost
            else None
        )
        self._rules = [*specified_rules, SelectionsAreNotEmpty]
        if not self.options.introspection:
            self._rules.append(NoSchemaIntrospectionCustomRule)

    def prepare(self, request: GraphQLRequest) -> PreparedOperation | ExecutionResult:
        """Parse, limit and validate a request; an `ExecutionResult` says what is wrong."""
        query = request.query
        if not isinstance(query, str) or not query.strip():
            return request_error("Must provide a query string.", "BAD_REQUEST")
        if len(query) > self.options.limits.query_chars:
            return _exceeded(
                ExceededLimit("query_chars", len(query), self.options.limits.query_chars)
            )
        key = (query, request.operation_name)
        known = self._documents.get(key)
        if known is None:
            known = self._prepare(query, request.operation_name)
            self._documents.put(key, known, len(query))
        return known

    def latest(self, count: int) -> list[GraphQLRequest]:
        """Return what was asked last, without variables."""
        return [GraphQLRequest(query, name) for query, name in self._documents.latest(count)]

    def warm_up(self, requests: Iterable[GraphQLRequest], *, until: float) -> None:
        """Parse, validate and plan what was asked before, so that it need not wait for that.

        Args:
            until: Stop by then, on `time.monotonic`.
        """
        for request in requests:
            if monotonic() >= until:
                return
            prepared = self.prepare(request)
            if isinstance(prepared, PreparedOperation):
                with suppress(PlanError):
                    self.planner.plan(prepared.document, request.operation_name)

    def _prepare(self, query: str, name: str | None) -> PreparedOperation | ExecutionResult:  # noqa: PLR0911 - one return per refusal
        limits = self.options.limits
        try:
            document = parse(query, max_tokens=limits.tokens)
        except GraphQLSyntaxError as error:
            if "more than" in error.message and "tokens" in error.message:
                return _exceeded(ExceededLimit("tokens", limits.tokens + 1, limits.tokens))
            code = (
                "LIMIT_EXCEEDED" if "Parsing aborted" in error.message else "GRAPHQL_PARSE_FAILED"
            )
            return _errors([error], code)
        except RecursionError:
            return request_error("Query is nested too deeply.", "LIMIT_EXCEEDED")
        try:
            operation = select_operation(document, name)
        except PlanError as error:
            return request_error(str(error), error.code)
        try:
            broken = broken_limit(document, operation, limits)
            if broken is not None:
                return _exceeded(broken)
            found = validate(
                self.supergraph.api_schema, document, self._rules,
                max_errors=MAX_VALIDATION_ERRORS,
            )  # fmt: skip
        except RecursionError:
            return request_error("Query is nested too deeply.", "LIMIT_EXCEEDED")
        if found:
            return _errors(found, "GRAPHQL_VALIDATION_FAILED")
        return PreparedOperation(document, operation, len(query))

    def plan(self, prepared: PreparedOperation, context: object = None) -> QueryPlan:
        """Plan a prepared operation.

        Raises:
            PlanError: It cannot be planned.
        """
        key = self._plan_key(prepared, context)
        return self.planner.plan(
            prepared.document, key.operation_name, override_labels=key.labels, denied=key.denied
        )

    def _plan_key(self, prepared: PreparedOperation, context: object) -> PlanKey:
        labels = self._hooks.override_labels(context)
        if self._percentages:
            roll = random.random() * 100  # noqa: S311 - spreads load, guards nothing
            labels |= {label for label, share in self._percentages.items() if roll < share}
        name = prepared.operation.name.value if prepared.operation.name else None
        denied = (
            self._access.denied(self._hooks.caller(context)) if self._access.guard else frozenset()
        )
        return self.planner.key(prepared.document, name, override_labels=labels, denied=denied)

    async def _planned(self, prepared: PreparedOperation, context: object) -> QueryPlan:
        """Plan as `plan` does, long documents beside the event loop and once at a time per key."""
        key = self._plan_key(prepared, context)
        known = self.planner.recall(key)
        if known is not None:
            return known
        if prepared.chars * len(self._urls) <= INLINE_PLAN_SIZE:
            return self.planner.plan(
                prepared.document, key.operation_name, override_labels=key.labels,
                denied=key.denied,
            )  # fmt: skip
        task = self._planning.get(key)
        if task is None:
            task = self._planning[key] = asyncio.create_task(self._plan_beside(prepared, key))
            task.add_done_callback(lambda _: self._planning.pop(key, None))
        made = await asyncio.shield(task)
        if isinstance(made, PlanError):
            raise type(made)(str(made))
        return made

    async def _plan_beside(
        self, prepared: PreparedOperation, key: PlanKey
    ) -> QueryPlan | PlanError:
        made: QueryPlan | PlanError
        async with self._planners:
            try:
                made = await asyncio.to_thread(
                    self.planner.plan_uncached, prepared.document, key.operation_name,
                    override_labels=key.labels, denied=key.denied,
                )  # fmt: skip
            except PlanError as error:
                made = error
        self.planner.remember(key, made)
        return made

    async def execute(self, request: GraphQLRequest, *, context: object = None) -> ExecutionResult:
        """Answer one query or mutation.

        Args:
            request: What the client asks.
            context: Whatever the hooks need to know of the request.
        """
        prepared = self.prepare(request)
        if isinstance(prepared, ExecutionResult):
            return prepared
        if prepared.kind == "subscription":
            return request_error("Subscriptions need a streaming transport.", "BAD_REQUEST")
        return await self.run(prepared, request.variables, context=context)

    async def run(
        self,
        prepared: PreparedOperation,
        variables: Mapping[str, Any],
        *,
        context: object = None,
        deadlines: Deadlines | None = None,
    ) -> ExecutionResult:
        """Run a prepared query or mutation."""
        coerced = self._admitted(prepared, variables, context)
        if isinstance(coerced, ExecutionResult):
            return coerced
        try:
            plan = await self._planned(prepared, context)
        except PlanError as error:
            return _unplanned(error)
        self._hooks.on_plan(context, plan)
        run = self._run(plan, coerced, context, deadlines)
        await run.run()
        return self._finish(prepared, plan, coerced, run)

    async def open(
        self,
        prepared: PreparedOperation,
        variables: Mapping[str, Any],
        *,
        context: object = None,
    ) -> EventSource | ExecutionResult:
        """Plan a subscription; an `ExecutionResult` says why there is nothing to wait for."""
        coerced = self._admitted(prepared, variables, context)
        if isinstance(coerced, ExecutionResult):
            return coerced
        try:
            plan = await self._planned(prepared, context)
        except PlanError as error:
            return _unplanned(error)
        self._hooks.on_plan(context, plan)
        run = self._run(plan, coerced, context, None)
        fetch = next((f for f in plan.fetches if f.kind == "subscription"), None)
        if fetch is None:
            return self._finish(prepared, plan, coerced, run)
        return EventSource(
            prepared,
            plan,
            coerced,
            fetch,
            self._urls[fetch.graph],
            run.body_of(fetch),
            self._hooks.headers(context, fetch.service),
        )

    async def answer_event(
        self, source: EventSource, event: SubgraphResponse, *, context: object = None
    ) -> ExecutionResult:
        """Complete one event of a subscription with what other subgraphs hold."""
        run = self._run(source.plan, source.variables, context, None)
        await run.run_after(source.fetch, event)
        return self._finish(source.prepared, source.plan, source.variables, run)

    def _admitted(
        self, prepared: PreparedOperation, variables: Mapping[str, Any], context: object
    ) -> _Variables | ExecutionResult:
        coerced = self._coerce(prepared, variables)
        if isinstance(coerced, ExecutionResult):
            return coerced
        return self._too_dear(prepared, coerced, context) or coerced

    def _run(
        self,
        plan: QueryPlan,
        coerced: _Variables,
        context: object,
        deadlines: Deadlines | None,
    ) -> PlanRun:
        return PlanRun(
            plan,
            coerced.given,
            urls=self._urls,
            client=self._client,
            hooks=self._hooks,
            deadlines=deadlines or self.options.deadlines,
            context=context,
        )

    def _too_dear(
        self, prepared: PreparedOperation, coerced: _Variables, context: object
    ) -> ExecutionResult | None:
        if self._costs is None:
            return None
        try:
            cost = self._costs.estimate(prepared.document, prepared.operation, coerced.given)
        except SlicingError as error:
            return request_error(str(error), "BAD_USER_INPUT")
        self._hooks.on_cost(context, cost)
        limits = self.options.limits
        for limit, found, allowed in (
            ("field_cost", cost.field, limits.field_cost),
            ("type_cost", cost.type, limits.type_cost),
        ):
            if allowed and found > allowed:
                return _exceeded(ExceededLimit(limit, found, allowed))
        return None

    def _finish(
        self, prepared: PreparedOperation, plan: QueryPlan, coerced: _Variables, run: PlanRun
    ) -> ExecutionResult:
        if plan.introspects:
            run.data.update(self._introspect(prepared, coerced))
        for path in plan.lost[:MAX_DENIED_ERRORS]:
            run.covered.add(path)
            run.errors.append(
                {
                    "message": "Unauthorized field or type",
                    "path": list(path),
                    "extensions": {"code": "UNAUTHORIZED_FIELD_OR_TYPE"},
                }
            )
        projection = self._projection(plan, coerced.given)
        data, nulls = projection.shape(run.data, frozenset(run.covered))
        return ExecutionResult(data=data, errors=[*run.errors, *nulls], subgraphs=run.reports)

    def _projection(self, plan: QueryPlan, variables: Mapping[str, Any]) -> Projection:
        names = plan.compiled.get("flags")
        if names is None:
            names = plan.compiled["flags"] = _condition_variables(plan)
        flags = {name: bool(variables.get(name)) for name in names}
        known: dict[tuple[bool, ...], Projection] = plan.compiled.setdefault("projections", {})
        key = tuple(flags.values())
        found = known.get(key)
        if found is None:
            found = Projection(self.supergraph, plan.operation, flags, plan.denied)
            if len(known) < MAX_PROJECTIONS_PER_PLAN:
                known[key] = found
        return found

    def _coerce(
        self, prepared: PreparedOperation, variables: Mapping[str, Any]
    ) -> _Variables | ExecutionResult:
        """Check variables against their types; what subgraphs get is what the client sent."""
        definitions = prepared.operation.variable_definitions or ()
        if not definitions:
            return _Variables({})
        coerced = get_variable_values(
            self.supergraph.api_schema, definitions, dict(variables), max_errors=20
        )
        if isinstance(coerced, list):
            return _errors(coerced, "BAD_USER_INPUT")
        if any(nests_deeper(value, MAX_VALUE_DEPTH) for value in variables.values()):
            # A custom scalar takes anything, but no more than can be sent on.
            return _exceeded(ExceededLimit("variable_depth", MAX_VALUE_DEPTH + 1, MAX_VALUE_DEPTH))
        given = {
            d.variable.name.value: variables[d.variable.name.value]
            for d in definitions
            if d.variable.name.value in variables
        }
        for name, value in coerced.coerced.items():
            given.setdefault(name, value)
        return _Variables(given)

    def _introspect(self, prepared: PreparedOperation, coerced: _Variables) -> dict[str, Any]:
        operation = prepared.operation
        roots = tuple(
            s
            for s in operation.selection_set.selections
            if not isinstance(s, FieldNode) or s.name.value in ("__schema", "__type")
        )
        fragments = [
            d for d in prepared.document.definitions if isinstance(d, FragmentDefinitionNode)
        ]
        only = OperationDefinitionNode(
            operation=operation.operation,
            name=operation.name,
            variable_definitions=operation.variable_definitions,
            directives=operation.directives,
            selection_set=SelectionSetNode(selections=roots),
        )
        result = execute_sync(
            self.supergraph.api_schema,
            DocumentNode(definitions=(only, *fragments)),
            root_value={},
            variable_values=dict(coerced.given),
        )
        return {k: v for k, v in (result.data or {}).items() if v is not None}


@dataclass(frozen=True, slots=True)
class _Variables:
    given: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventSource:
    """A subscription, planned: which subgraph to ask for events, and what follows each.

    Attributes:
        fetch: The subscription of the subgraph that owns the root field.
        url: Its address.
        body: The JSON body that opens it.
        headers: What the hooks want sent along.
    """

    prepared: PreparedOperation
    plan: QueryPlan
    variables: _Variables
    fetch: Fetch
    url: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def upstream(self) -> tuple[str, str, bytes]:
        """Return what tells two sources of events apart."""
        return self.fetch.service, self.url, self.body


def _condition_variables(plan: QueryPlan) -> tuple[str, ...]:
    found: dict[str, None] = {}

    def visit(selections: Any) -> None:  # noqa: ANN401 - selections, or none
        for selection in selections or ():
            found.update((name, None) for name, _ in selection.conditions)
            visit(selection.selections)

    visit(plan.operation.selections)
    return tuple(sorted(found))


def _percentages(supergraph: Supergraph) -> dict[str, float]:
    """Read the shares of `percent(x)` labels."""
    shares: dict[str, float] = {}
    for info in supergraph.types.values():
        for item in info.fields.values():
            for join in item.joins.values():
                label = join.override_label
                if label and label.startswith("percent(") and label.endswith(")"):
                    shares[label] = float(label[len("percent(") : -1])
    return shares


def _unplanned(error: PlanError) -> ExecutionResult:
    result = request_error(str(error), error.code)
    result.has_data = True
    return result


def _exceeded(limit: ExceededLimit) -> ExecutionResult:
    return request_error(str(limit), "LIMIT_EXCEEDED", **limit.as_extensions())


def _errors(found: list[GraphQLError], code: str) -> ExecutionResult:
    errors: list[dict[str, Any]] = []
    for error in found:
        entry: dict[str, Any] = {"message": error.message}
        if error.locations:
            entry["locations"] = [{"line": x.line, "column": x.column} for x in error.locations]
        entry["extensions"] = {"code": code}
        errors.append(entry)
    return ExecutionResult(errors=errors, has_data=False)
