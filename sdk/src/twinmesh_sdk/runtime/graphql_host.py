"""`POST /graphql` of a subgraph: limits, one context per request, coded errors, summed-up trust."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import orjson
import strawberry.federation
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)
from starlette.requests import Request
from starlette.responses import Response

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.consumption import collect_outputs
from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    InvalidInputError,
    LimitExceededError,
    TwinError,
)
from twinmesh_sdk.core.request import current_deadline, current_principal
from twinmesh_sdk.graphql import collect_trust
from twinmesh_sdk.runtime.failures import INTERNAL_MESSAGE, extensions_of
from twinmesh_sdk.runtime.graphql_stream import GraphqlStream, check_subscription, wants_events

log = logging.getLogger(__name__)

MAX_QUERY_BYTES: Final = 2 * 2**20
MAX_TOKENS: Final = 20_000
MAX_DEPTH: Final = 20
MAX_FIELDS: Final = 2_000
MAX_REPRESENTATIONS: Final = 2_000
MAX_ERRORS: Final = 100
KNOWN_QUERIES: Final = 512
LONGEST_KNOWN_CHARS: Final = 16_384


class GraphqlHost:
    """An ASGI endpoint; the caller needs a token.

    A subscription is answered to `accept: text/event-stream`, as the protocol graphql-sse has it.

    Field errors leave with `extensions` {code, retryable, hint, traceId}; a bug says no more than
    that it is one. The worst trust among the answer's values is in
    `extensions.twinmesh` {trust, count}, with the derived outputs that it carries {outputs}.
    """

    def __init__(self, schema: strawberry.federation.Schema, context: Callable[[], object]) -> None:
        self._schema = schema
        self._context = context
        self._fine: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve one request."""
        request = Request(scope, receive)
        if wants_events(request.headers.get("accept", "")):
            await self._stream(request, receive, send)
            return
        answer = await self._answer(request)
        response = Response(orjson.dumps(answer), media_type="application/json")
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> dict[str, Any]:
        current_principal()
        query, variables, operation = _read(await request.body())
        try:
            self._check(query)
            _check_representations(variables)
        except (TwinError, GraphQLError) as error:
            return {"data": None, "errors": [_formatted(error)]}
        collected = collect_trust()
        deadline = current_deadline()
        try:
            async with asyncio.timeout(deadline.remaining_s if deadline else None):
                with collect_outputs() as outputs:
                    result = await self._schema.execute(
                        query,
                        variable_values=variables,
                        context_value=self._context(),
                        operation_name=operation,
                    )
        except TimeoutError:
            late = DeadlineExceededError("the subgraph did not answer in time")
            return {"data": None, "errors": [_formatted(late)]}
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [_formatted(e) for e in result.errors[:MAX_ERRORS]]
        if mesh := {**(collected.as_extension() or {}), **outputs.as_extension()}:
            answer["extensions"] = {"twinmesh": mesh}
        return answer

    async def _stream(self, request: Request, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer a subscription for as long as it lasts."""
        current_principal()
        query, variables, operation = _read(await request.body())
        try:
            self._check(query)
            document = parse(query, no_location=True, max_tokens=MAX_TOKENS)
            check_subscription(document, operation)
        except GraphQLError as error:
            raise InvalidInputError(error.message[:500]) from error
        stream = GraphqlStream(
            self._schema._schema,  # noqa: SLF001 - the library keeps it so, and subscribes by it
            self._context,
            document,
            variables,
            operation,
            formatted=_formatted,
        )
        await stream.answer(receive, send)

    def _check(self, query: str) -> None:
        """Refuse what is too large to plan; remembers texts that passed, the gateway repeats them.

        Raises:
            LimitExceededError: A limit is exceeded.
            GraphQLError: It does not parse.
        """
        if query in self._fine:
            self._fine.move_to_end(query)
            return
        check_limits(parse(query, no_location=True, max_tokens=MAX_TOKENS))
        if len(query) <= LONGEST_KNOWN_CHARS:
            self._fine[query] = None
            if len(self._fine) > KNOWN_QUERIES:
                self._fine.popitem(last=False)


def check_limits(document: DocumentNode) -> None:
    """Refuse a document that nests too deep or selects too much, fragments expanded.

    Raises:
        LimitExceededError: It does.
        InvalidInputError: A fragment spreads itself.
    """
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            _Measure(fragments).walk(definition.selection_set, 1, ())


class _Measure:
    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._fields = 0

    def walk(self, selection: SelectionSetNode, depth: int, spread: tuple[str, ...]) -> None:
        if depth > MAX_DEPTH:
            raise LimitExceededError(f"a query nests at most {MAX_DEPTH} levels")
        for node in selection.selections:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise LimitExceededError(f"a query selects at most {MAX_FIELDS} fields")
            if isinstance(node, FragmentSpreadNode):
                self._spread(node.name.value, depth, spread)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                deeper = depth + 1 if isinstance(node, FieldNode) else depth
                self.walk(node.selection_set, deeper, spread)

    def _spread(self, name: str, depth: int, spread: tuple[str, ...]) -> None:
        if name in spread:
            raise InvalidInputError(f"fragment {name[:80]} spreads itself")
        if (fragment := self._fragments.get(name)) is not None:
            self.walk(fragment.selection_set, depth, (*spread, name))


def _read(body: bytes) -> tuple[str, dict[str, Any], str | None]:
    if len(body) > MAX_QUERY_BYTES:
        raise LimitExceededError(f"a GraphQL request has at most {MAX_QUERY_BYTES} bytes")
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError("the body is no JSON") from error
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        raise InvalidInputError('the body must be {"query": "…", "variables": {…}}')
    variables, operation = request.get("variables") or {}, request.get("operationName")
    if not isinstance(variables, dict) or not (operation is None or isinstance(operation, str)):
        raise InvalidInputError("variables must be an object, operationName a string")
    return request["query"], variables, operation


def _check_representations(variables: dict[str, Any]) -> None:
    for value in variables.values():
        if isinstance(value, list) and len(value) > MAX_REPRESENTATIONS:
            raise LimitExceededError(
                f"a list has at most {MAX_REPRESENTATIONS} entries", hint="send several requests"
            )


def _formatted(error: GraphQLError | TwinError) -> dict[str, Any]:
    """Return an error as it leaves."""
    if isinstance(error, TwinError):
        return {"message": str(error), "extensions": extensions_of(error, tracing.trace_id())}
    cause = _cause(error)
    if cause is None:
        cause = InvalidInputError(error.message)
    elif not isinstance(cause, TwinError):
        log.error("resolver failed", exc_info=cause, extra={"path": str(error.path)})
    shown: dict[str, Any] = {
        "message": str(cause) if isinstance(cause, TwinError) else INTERNAL_MESSAGE,
        "extensions": extensions_of(cause, tracing.trace_id()),
    }
    if error.path:
        shown["path"] = error.path
    return shown


def _cause(error: GraphQLError) -> BaseException | None:
    """Return what a resolver raised; None when the request itself is at fault."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if isinstance(cause, TwinError):
        return cause
    return cause if error.path else None
