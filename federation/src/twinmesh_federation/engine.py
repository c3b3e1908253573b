"""An executor that can be replaced while requests run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from twinmesh_federation.execution.client import SubgraphClient, SubgraphResponse
from twinmesh_federation.execution.executor import EventSource, Executor, ExecutorOptions
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, request_error
from twinmesh_federation.supergraph.model import Supergraph

DRAIN_TIMEOUT_S: Final = 30.0
WARM_DOCUMENTS: Final = 200
WARM_S: Final = 5.0


@dataclass(eq=False)
class _Version:
    executor: Executor
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    replaced: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def __enter__(self) -> Executor:
        self.in_flight += 1
        self.idle.clear()
        return self.executor

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1
        if self.in_flight == 0:
            self.idle.set()


@dataclass(frozen=True, slots=True)
class OpenedSubscription:
    """A subscription on the supergraph that was in force when it was planned."""

    source: EventSource
    _version: _Version

    @property
    def replaced(self) -> asyncio.Event:
        """Set once another supergraph is in force: plan the subscription again."""
        return self._version.replaced

    async def answer(self, event: SubgraphResponse, *, context: object = None) -> ExecutionResult:
        """Complete one event with what other subgraphs hold."""
        with self._version as executor:
            return await executor.answer_event(self.source, event, context=context)


class Engine:
    """Serves one supergraph at a time.

    Each request runs to its end on the supergraph that it began with; `swap` only decides
    what new requests see.
    """

    def __init__(
        self,
        client: SubgraphClient,
        *,
        supergraph: Supergraph | None = None,
        hooks: ExecutionHooks | None = None,
        options: ExecutorOptions | None = None,
    ) -> None:
        self._client = client
        self._hooks = hooks
        self._options = options
        self._current: _Version | None = None
        self._retired: list[_Version] = []
        if supergraph is not None:
            self.swap(supergraph)

    @property
    def executor(self) -> Executor | None:
        """Return the executor of the supergraph in force, None before the first."""
        return None if self._current is None else self._current.executor

    @property
    def supergraph(self) -> Supergraph | None:
        """Return the supergraph in force."""
        return None if self._current is None else self._current.executor.supergraph

    @property
    def in_flight(self) -> int:
        """Count requests that still run, on the current and on retired supergraphs."""
        current = 0 if self._current is None else self._current.in_flight
        return current + sum(v.in_flight for v in self._retired)

    def swap(self, supergraph: Supergraph, *, options: ExecutorOptions | None = None) -> None:
        """Put a supergraph in force for new requests.

        Args:
            supergraph: The next one; its public schema is built here, not by a first request.
            options: Replace the engine's from now on.
        """
        if options is not None:
            self._options = options
        self._put_in_force(self._made(supergraph, (), 0.0))

    async def take_up(
        self, supergraph: Supergraph, *, options: ExecutorOptions | None = None
    ) -> None:
        """Put a supergraph in force as `swap` does, without keeping requests waiting meanwhile.

        Its schema is built, and what was asked last is planned on it, beside the event loop and
        before it is in force.
        """
        if options is not None:
            self._options = options
        recent = [] if self._current is None else self._current.executor.latest(WARM_DOCUMENTS)
        until = monotonic() + WARM_S
        self._put_in_force(await asyncio.to_thread(self._made, supergraph, recent, until))

    def _made(
        self, supergraph: Supergraph, recent: Iterable[GraphQLRequest], until: float
    ) -> Executor:
        executor = Executor(supergraph, self._client, hooks=self._hooks, options=self._options)
        _ = supergraph.api_schema
        executor.warm_up(recent, until=until)
        return executor

    def _put_in_force(self, executor: Executor) -> None:
        previous, self._current = self._current, _Version(executor)
        self._retired = [v for v in self._retired if v.in_flight]
        if previous is not None:
            if previous.in_flight:
                self._retired.append(previous)
            previous.replaced.set()

    async def execute(self, request: GraphQLRequest, *, context: object = None) -> ExecutionResult:
        """Answer one query or mutation on the supergraph in force."""
        if self._current is None:
            return request_error("No supergraph is loaded yet.", "UNAVAILABLE", retryable=True)
        with self._current as executor:
            return await executor.execute(request, context=context)

    async def open(
        self, request: GraphQLRequest, *, context: object = None
    ) -> OpenedSubscription | ExecutionResult:
        """Plan a subscription on the supergraph in force; an `ExecutionResult` refuses it."""
        version = self._current
        if version is None:
            return request_error("No supergraph is loaded yet.", "UNAVAILABLE", retryable=True)
        prepared = version.executor.prepare(request)
        if isinstance(prepared, ExecutionResult):
            return prepared
        if prepared.kind != "subscription":
            return request_error("This is no subscription.", "BAD_REQUEST")
        source = await version.executor.open(prepared, request.variables, context=context)
        return (
            source if isinstance(source, ExecutionResult) else OpenedSubscription(source, version)
        )

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> bool:
        """Wait until no request runs; tell whether that came about in time."""
        versions = [v for v in (self._current, *self._retired) if v is not None]
        try:
            async with asyncio.timeout(timeout_s):
                for version in versions:
                    await version.idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Release the client's connections."""
        await self._client.close()
