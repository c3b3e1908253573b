"""Clients' subscriptions: bounded, carried over a change of the supergraph, ended with a reason."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any

from twinmesh_federation.engine import Engine, OpenedSubscription
from twinmesh_federation.execution.client import SubgraphFailure, SubgraphResponse
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, request_error
from twinmesh_federation.serving.refusal import RefusedRequest
from twinmesh_federation.subscriptions.client import SubscriptionClient, SubscriptionRequest

Renew = Callable[[object], Awaitable[object]]
"""Makes the context of the next event from that of the subscription; may refuse to."""
Complete = Callable[[object, Awaitable[ExecutionResult]], Awaitable[ExecutionResult]]
"""Awaits a result and does with it, and with its context, what the server does with all of them."""


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """Bounds on subscriptions.

    Attributes:
        per_client: Open at once for one client.
        total: Open at once for all.
        buffer: Events that wait for a slow client, before its subscription is ended.
        longest_s: Seconds after which a subscription is ended, to be opened anew.
        keep_alive_s: Seconds of silence after which the client is sent a sign of life.
        send_s: Seconds that sending one message to a client may take.
    """

    per_client: int = 20
    total: int = 2_000
    buffer: int = 64
    longest_s: float = 6 * 3600.0
    keep_alive_s: float = 12.0
    send_s: float = 10.0


async def unchanged(context: object) -> object:
    """Use one context for all events of a subscription."""
    return context


class Subscriptions:
    """All subscriptions of one server."""

    def __init__(
        self,
        engine: Engine,
        client: SubscriptionClient,
        *,
        renew: Renew = unchanged,
        limits: SubscriptionLimits | None = None,
    ) -> None:
        self.limits = limits or SubscriptionLimits()
        self._engine = engine
        self._client = client
        self._renew = renew
        self._open: Counter[Hashable] = Counter()
        self._stopping = asyncio.Event()

    @property
    def count(self) -> int:
        """Count the open subscriptions."""
        return self._open.total()

    def stop(self) -> None:
        """End every subscription with a reason that says so; new ones are refused."""
        self._stopping.set()

    async def close(self) -> None:
        """Release the connections to subgraphs."""
        await self._client.close()

    async def results(
        self, request: GraphQLRequest, *, context: object, client: Hashable, complete: Complete
    ) -> AsyncGenerator[ExecutionResult]:
        """Yield each event's answer; a request error is the last.

        Ending the iteration ends the subscription at the subgraph.
        """
        refusal = self._refusal(client)
        if refusal is not None:
            yield await complete(context, _now(refusal))
            return
        self._open[client] += 1
        try:
            async with aclosing(_Stream(self, request, context, complete).results()) as results:
                async for result in results:
                    yield result
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _refusal(self, client: Hashable) -> ExecutionResult | None:
        if self._stopping.is_set():
            return _stopped()
        for scope, found, allowed in (
            ("subscriptions of this client", self._open[client], self.limits.per_client),
            ("subscriptions", self.count, self.limits.total),
        ):
            if found >= allowed:
                return request_error(
                    f"At most {allowed} {scope} may be open: end one first.", "LIMIT_EXCEEDED",
                    limit="subscriptions", found=found + 1, allowed=allowed,
                )  # fmt: skip
        return None


class _Stream:
    """One subscription of one client."""

    def __init__(
        self, owner: Subscriptions, request: GraphQLRequest, context: object, complete: Complete
    ) -> None:
        self._owner = owner
        self._engine = owner._engine  # noqa: SLF001 - one module
        self._limits = owner.limits
        self._request = request
        self._context = context
        self._complete = complete
        self._ends_at = monotonic() + self._limits.longest_s

    async def results(self) -> AsyncGenerator[ExecutionResult]:
        """Yield until the subgraph completes, or an error ends it."""
        try:
            async with aclosing(self._events()) as events:
                async for result in events:
                    yield result
        except SubgraphFailure as failure:
            error = request_error(str(failure), failure.code, retryable=failure.retryable)
            yield await self._ended(error)
        except RefusedRequest as refused:
            yield await self._ended(request_error(str(refused), refused.code, **refused.extensions))

    async def _ended(self, result: ExecutionResult) -> ExecutionResult:
        return await self._complete(self._context, _now(result))

    async def _events(self) -> AsyncGenerator[ExecutionResult]:
        opened = await self._engine.open(self._request, context=self._context)
        if isinstance(opened, ExecutionResult):
            yield await self._ended(opened)
            return
        async with AsyncExitStack() as stack:
            buffer = await self._subscribe(opened, stack)
            while True:
                arrived = await self._wait(opened, buffer)
                if arrived is None:
                    return
                if isinstance(arrived, ExecutionResult):
                    yield await self._ended(arrived)
                    return
                if isinstance(arrived, SubgraphResponse):
                    context = await self._owner._renew(self._context)  # noqa: SLF001 - one module
                    yield await self._complete(context, opened.answer(arrived, context=context))
                    continue
                # Another supergraph is in force: follow it, without a gap in the events.
                again = await self._engine.open(self._request, context=self._context)
                if isinstance(again, ExecutionResult):
                    yield await self._ended(again)
                    return
                if again.source.upstream != opened.source.upstream:
                    buffer = await self._moved(again, stack, buffer)
                opened = again

    async def _moved(
        self, opened: OpenedSubscription, stack: AsyncExitStack, before: _Buffer
    ) -> _Buffer:
        """Subscribe anew, and only then end what was open; nothing that came is lost."""
        async with AsyncExitStack() as opening:
            buffer = await self._subscribe(opened, opening)
            await stack.aclose()
            stack.push_async_exit(opening.pop_all())
        buffer.take_over(before)
        return buffer

    async def _subscribe(self, opened: OpenedSubscription, stack: AsyncExitStack) -> _Buffer:
        source = opened.source
        request = SubscriptionRequest(source.fetch.service, source.url, source.body, source.headers)
        buffer = _Buffer(self._limits.buffer)
        filling = asyncio.create_task(
            buffer.fill(self._owner._client, request)  # noqa: SLF001 - one module
        )
        stack.push_async_callback(_cancelled, filling)
        await buffer.opened.wait()
        if buffer.failure is not None:
            raise buffer.failure
        return buffer

    async def _wait(
        self, opened: OpenedSubscription, buffer: _Buffer
    ) -> SubgraphResponse | ExecutionResult | bool | None:
        """Return the next event, the error that ends it, None at its end, True on a swap."""
        stopping = self._owner._stopping  # noqa: SLF001 - one module
        while True:
            if stopping.is_set():
                return _stopped()
            if buffer.events:
                return buffer.events.popleft()
            if buffer.overflown:
                return request_error(
                    f"Over {self._limits.buffer} events waited for this client: it reads too "
                    "slowly. Read faster, or ask for less.",
                    "SLOW_CONSUMER", retryable=True,
                )  # fmt: skip
            if buffer.failure is not None:
                raise buffer.failure
            if buffer.ended:
                return None
            if opened.replaced.is_set():
                return True
            left_s = self._ends_at - monotonic()
            if left_s <= 0:
                return request_error(
                    f"A subscription ends after {self._limits.longest_s:g} s: open it again.",
                    "DEADLINE_EXCEEDED", retryable=True,
                )  # fmt: skip
            await _first(left_s, buffer.changed, opened.replaced, stopping)
            buffer.changed.clear()


class _Buffer:
    """Events that came and were not delivered yet."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.events: deque[SubgraphResponse] = deque()
        self.overflown = False
        self.ended = False
        self.failure: SubgraphFailure | None = None
        self.opened = asyncio.Event()
        self.changed = asyncio.Event()

    async def fill(self, client: SubscriptionClient, request: SubscriptionRequest) -> None:
        """Take a subgraph's events until they end, or the client lags too far behind."""
        try:
            async with client.subscribe(request) as events:
                self.opened.set()
                async for event in events:
                    if len(self.events) >= self._size:
                        self.overflown = True
                        return
                    self.events.append(event)
                    self.changed.set()
        except SubgraphFailure as failure:
            self.failure = failure
        finally:
            self.ended = True
            self.opened.set()
            self.changed.set()

    def take_over(self, before: _Buffer) -> None:
        """Put what another buffer still holds in front."""
        self.events.extendleft(reversed(before.events))


async def _now(result: ExecutionResult) -> ExecutionResult:
    return result


def _stopped() -> ExecutionResult:
    return request_error(
        "The gateway stops: subscribe again in a moment.", "UNAVAILABLE", retryable=True
    )


async def _first(timeout_s: float, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, or the time is over."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
