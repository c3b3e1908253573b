"""Subscriptions of a subgraph, as server-sent events: `graphql-sse`, distinct connections mode."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import orjson
from graphql import DocumentNode, Executor, GraphQLError, GraphQLSchema, execute, validate
from graphql.execution import create_source_event_stream
from starlette.types import Receive, Send

from twinmesh_sdk.core.consumption import collect_outputs
from twinmesh_sdk.core.errors import DeadlineExceededError, InvalidInputError, TwinError
from twinmesh_sdk.core.request import (
    Deadline,
    answering,
    caller_token,
    current_principal,
    current_read_time,
)
from twinmesh_sdk.graphql import collect_trust

log = logging.getLogger(__name__)

Formatted = Callable[[GraphQLError | TwinError], dict[str, Any]]

EVENT_STREAM: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 10.0
EVENT_S: Final = 10.0
MAX_ERRORS: Final = 100
SEND_S: Final = 10.0
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
)


class GraphqlStream:
    """Answers one subscription of an admitted caller.

    Args:
        formatted: Turns an error into what leaves.

    Each event is answered with a context, a deadline and loaders of its own, at the times that
    `current_read_time` has when the field's generator yields.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        context: Callable[[], object],
        document: DocumentNode,
        variables: dict[str, Any],
        operation: str | None,
        *,
        formatted: Formatted,
    ) -> None:
        self._schema = schema
        self._context = context
        self._document = document
        self._variables = variables
        self._operation = operation
        self._formatted = formatted
        self._sending = asyncio.Lock()
        self._silent = True
        self._begun = asyncio.Event()

    async def answer(self, receive: Receive, send: Send) -> None:
        """Send events until they end, or the caller is gone or reads too slowly.

        The head of the answer is sent once the source listens: what happens from then on is told.
        """
        principal, token, times = current_principal(), caller_token(), current_read_time()
        with answering(principal=principal, token=token, read_time=times):
            # One context for all steps of the source, which turns it to each event's moment.
            shared = contextvars.copy_context()
        sending = asyncio.create_task(self._send_events(send, shared), context=shared)
        tasks = {
            sending,
            asyncio.create_task(self._keep_alive(send)),
            asyncio.create_task(_disconnected(receive)),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if sending.cancelled() or isinstance(sending.exception(), TimeoutError | OSError):
            return
        sending.result()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send, shared: contextvars.Context) -> None:
        answers = self._answers()
        first = asyncio.create_task(anext(answers, None), context=shared)
        try:
            await asyncio.sleep(0)
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            self._begun.set()
            await self._send_answers(send, first, answers)
        finally:
            first.cancel()
            await asyncio.wait({first})
            await answers.aclose()

    async def _send_answers(
        self,
        send: Send,
        first: "asyncio.Task[dict[str, Any] | None]",
        answers: AsyncGenerator[dict[str, Any], None],
    ) -> None:
        try:
            answer = await first
            while answer is not None:
                await self._send(send, b"event: next\ndata: " + orjson.dumps(answer) + b"\n\n")
                answer = await anext(answers, None)
        except (TwinError, GraphQLError) as error:
            data = orjson.dumps({"data": None, "errors": [self._formatted(error)]})
            await self._send(send, b"event: next\ndata: " + data + b"\n\n")
        await self._send(send, b"event: complete\ndata: \n\n")

    async def _answers(self) -> AsyncGenerator[dict[str, Any], None]:
        source = await self._source()
        if isinstance(source, list):
            yield {"data": None, "errors": [self._formatted(e) for e in source]}
            return
        principal, token = current_principal(), caller_token()
        try:
            async for event in source:
                collected = collect_trust()
                with (
                    answering(
                        principal=principal,
                        token=token,
                        read_time=current_read_time(),
                        deadline=Deadline.after(EVENT_S),
                    ),
                    collect_outputs() as outputs,
                ):
                    data, errors = await self._executed(event)
                answer: dict[str, Any] = {"data": data}
                if errors:
                    answer["errors"] = [self._formatted(e) for e in errors[:MAX_ERRORS]]
                if mesh := {**(collected.as_extension() or {}), **outputs.as_extension()}:
                    answer["extensions"] = {"twinmesh": mesh}
                yield answer
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()

    async def _source(self) -> Any:  # noqa: ANN401 - an async iterable, or errors
        if errors := validate(self._schema, self._document, max_errors=20):
            return errors
        built = Executor.build(
            self._schema,
            self._document,
            context_value=self._context(),
            raw_variable_values=self._variables,
            operation_name=self._operation,
        )
        if isinstance(built, list):
            return built
        source: Any = create_source_event_stream(built)
        if asyncio.iscoroutine(source) or asyncio.isfuture(source):
            source = await source
        return source.errors if hasattr(source, "errors") else source

    async def _executed(self, event: object) -> tuple[Any, list[GraphQLError]]:
        try:
            async with asyncio.timeout(EVENT_S):
                result: Any = execute(
                    self._schema,
                    self._document,
                    root_value=event,
                    context_value=self._context(),
                    variable_values=self._variables,
                    operation_name=self._operation,
                )
                if asyncio.iscoroutine(result) or asyncio.isfuture(result):
                    result = await result
        except TimeoutError as error:
            raise DeadlineExceededError("the event was not answered in time") from error
        return result.data, list(result.errors or ())

    async def _keep_alive(self, send: Send) -> None:
        await self._begun.wait()
        while True:
            self._silent = True
            await asyncio.sleep(KEEP_ALIVE_S)
            if self._silent:
                await self._send(send, b":\n\n")

    async def _send(self, send: Send, body: bytes) -> None:
        """Send one piece; who does not take it in time is dropped."""
        async with self._sending, asyncio.timeout(SEND_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        self._silent = False


def check_subscription(document: DocumentNode, operation: str | None) -> None:
    """Pass silently when the operation to run is a subscription.

    Raises:
        InvalidInputError: It is not.
    """
    kinds = {
        node.name.value if node.name else None: node.operation.value  # type: ignore[attr-defined]
        for node in document.definitions
        if node.kind == "operation_definition"
    }
    kind = kinds.get(operation) if operation else next(iter(kinds.values()), None)
    if kind != "subscription" or (operation is None and len(kinds) != 1):
        raise InvalidInputError(f"{EVENT_STREAM} answers one subscription")


def wants_events(accept: str) -> bool:
    """Tell whether a caller asks for server-sent events."""
    return any(part.partition(";")[0].strip().lower() == EVENT_STREAM for part in accept.split(","))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
