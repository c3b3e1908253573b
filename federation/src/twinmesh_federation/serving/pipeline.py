"""What every request passes, whatever carried it here: admission, documents, execution, finish."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

from starlette.requests import HTTPConnection

from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.executor import PreparedOperation
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, request_error
from twinmesh_federation.serving.documents import DocumentPolicy
from twinmesh_federation.serving.masking import ErrorMasking
from twinmesh_federation.subscriptions.streams import SubscriptionLimits, Subscriptions

ContextFactory = Callable[[Any, GraphQLRequest], "Awaitable[object] | object"]
"""Makes a request's context from its connection (a Starlette `Request` or `WebSocket`)."""
Finish = Callable[[object, ExecutionResult], None]
ClientOf = Callable[[HTTPConnection, object], Hashable]


Observe = Callable[[object], AbstractContextManager[object]]


def _unobserved(_context: object) -> AbstractContextManager[object]:
    return nullcontext()


def by_address(connection: HTTPConnection, _context: object) -> Hashable:
    """Tell clients apart by their address."""
    return connection.client.host if connection.client else ""


class Pipeline:
    """Admits, executes and finishes requests.

    Args:
        engine: Who executes.
        context: Makes the request's context for the hooks; may raise `RefusedRequest`.
        finish: Sees each result last, and may add to `result.extensions`.
        documents: Finds documents that requests only name.
        masking: Hides errors that subgraphs did not mean for clients.
        on_masked: Sees the originals.
        subscriptions: Answers subscriptions; without it they are refused.
        client_of: Tells clients apart for limits.
        observe: Entered around the work on each result, `finish` included; a span, say.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        context: ContextFactory | None = None,
        finish: Finish | None = None,
        documents: DocumentPolicy | None = None,
        masking: ErrorMasking | None = None,
        on_masked: Callable[[list[dict[str, Any]]], None] | None = None,
        subscriptions: Subscriptions | None = None,
        client_of: ClientOf = by_address,
        observe: Observe = _unobserved,
    ) -> None:
        self._engine = engine
        self._context = context
        self._finish = finish
        self._documents = documents
        self._masking = masking
        self._on_masked = on_masked
        self._subscriptions = subscriptions
        self._client_of = client_of
        self._observe = observe

    @property
    def stream_limits(self) -> SubscriptionLimits:
        """Return the bounds of streams."""
        return SubscriptionLimits() if self._subscriptions is None else self._subscriptions.limits

    async def admit(
        self, connection: HTTPConnection, request: GraphQLRequest
    ) -> tuple[GraphQLRequest, Admitted]:
        """Return the request with its document, and what is known of it.

        Raises:
            RefusedRequest: It is answered before GraphQL sees it.
        """
        context: object = None
        if self._context is not None:
            made = self._context(connection, request)
            context = await made if inspect.isawaitable(made) else made
        if self._documents is not None:
            request = self._documents.resolve(request)
        return request, Admitted(context, self._client_of(connection, context))

    def kind_of(self, request: GraphQLRequest) -> str | None:
        """Return "query", "mutation" or "subscription"; None where a request is none of them."""
        executor = self._engine.executor
        if executor is None:
            return None
        prepared = executor.prepare(request)
        return prepared.kind if isinstance(prepared, PreparedOperation) else None

    async def execute(self, request: GraphQLRequest, admitted: Admitted) -> ExecutionResult:
        """Answer a query or mutation."""
        context = admitted.context
        return await self._complete(context, self._engine.execute(request, context=context))

    async def results(
        self, request: GraphQLRequest, admitted: Admitted
    ) -> AsyncGenerator[ExecutionResult]:
        """Answer any operation; only a subscription has several results."""
        if self.kind_of(request) != "subscription":
            yield await self.execute(request, admitted)
            return
        if self._subscriptions is None:
            refusal = request_error("Subscriptions are not served here.", "BAD_REQUEST")
            yield self._finished(admitted.context, refusal)
            return
        stream = self._subscriptions.results(
            request,
            context=admitted.context,
            client=admitted.client,
            complete=self._complete,
        )
        async with aclosing(stream) as results:
            async for result in results:
                yield result

    async def _complete(
        self, context: object, answer: Awaitable[ExecutionResult]
    ) -> ExecutionResult:
        with self._observe(context):
            return self._finished(context, await answer)

    def _finished(self, context: object, result: ExecutionResult) -> ExecutionResult:
        if self._masking is not None and result.errors:
            masked = self._masking.apply(result)
            if masked and self._on_masked is not None:
                self._on_masked(masked)
        if self._finish is not None:
            self._finish(context, result)
        return result


class Admitted:
    """A request that was let in.

    Attributes:
        context: For the hooks.
        client: Who asks, for limits.
    """

    __slots__ = ("client", "context")

    def __init__(self, context: object, client: Hashable) -> None:
        self.context = context
        self.client = client
