"""Clients around clients: retry what may be repeated, spare a subgraph that is down, ask once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import orjson

from twinmesh_federation.execution.client import (
    SubgraphClient,
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)

MAX_IN_FLIGHT_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Resilience:
    """How often to try, and when to stop trying.

    Attributes:
        attempts: Requests per fetch at most, the first included; only if idempotent.
        backoff_s: Wait before the second attempt, doubled for each further one.
        failures_to_open: Failures in a row after which a subgraph is left alone.
        open_s: For how long, before one request may try again.
    """

    attempts: int = 2
    backoff_s: float = 0.02
    failures_to_open: int = 10
    open_s: float = 5.0


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened_at: float | None = None
    trying: bool = False
    last_code: str = "UNAVAILABLE"


@dataclass(slots=True)
class ResilientClient:
    """Retries idempotent requests within their time, and breaks the circuit of failing subgraphs.

    A timeout is never retried: its time is spent. While a circuit is open, requests fail at once
    with the code of the failure that opened it.
    """

    inner: SubgraphClient
    policy: Resilience = field(default_factory=Resilience)
    clock: Callable[[], float] = monotonic
    _circuits: dict[str, _Circuit] = field(default_factory=dict)

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        circuit = self._circuits.setdefault(request.service, _Circuit())
        self._admit(circuit, request.service)
        try:
            response = await self._attempts(request)
        except SubgraphFailure as failure:
            self._failed(circuit, failure)
            raise
        except BaseException:
            circuit.trying = False
            raise
        circuit.failures = 0
        circuit.opened_at = None
        circuit.trying = False
        return response

    def _admit(self, circuit: _Circuit, service: str) -> None:
        if circuit.opened_at is None:
            return
        if circuit.trying or self.clock() - circuit.opened_at < self.policy.open_s:
            raise SubgraphFailure(
                circuit.last_code,
                f"subgraph {service} is not asked for now: its last {circuit.failures} requests "
                "failed",
                retryable=True,
            )
        circuit.trying = True

    def _failed(self, circuit: _Circuit, failure: SubgraphFailure) -> None:
        circuit.trying = False
        if not failure.retryable:
            return
        circuit.failures += 1
        circuit.last_code = failure.code
        if circuit.opened_at is not None or circuit.failures >= self.policy.failures_to_open:
            circuit.opened_at = self.clock()

    async def _attempts(self, request: SubgraphRequest) -> SubgraphResponse:
        ends_at = self.clock() + request.timeout_s
        pause = self.policy.backoff_s
        for left in range(self.policy.attempts - 1, -1, -1):
            try:
                return await self.inner.send(request)
            except SubgraphFailure as failure:
                time_left = ends_at - self.clock() - pause
                repeatable = failure.retryable and failure.code != "TIMEOUT"
                if not (left and repeatable and request.idempotent and time_left > 0):
                    raise
                await asyncio.sleep(pause)
                request = replace(request, timeout_s=time_left)
                pause *= 2
        raise SubgraphFailure("UNAVAILABLE", "no attempt allowed", retryable=True)

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        await self.inner.close()


@dataclass(slots=True)
class _Shared:
    """A request under way, and whether more than one waits for it."""

    answer: asyncio.Future[SubgraphResponse]
    by_several: bool = False


@dataclass(slots=True)
class DeduplicatingClient:
    """Lets equal queries that are under way at the same time share one request.

    Equal means: same subgraph, body and `headers`. Choose as headers all those by which a
    subgraph tells callers apart.
    """

    inner: SubgraphClient
    headers: Iterable[str]
    _under_way: dict[tuple[str, bytes, tuple[str | None, ...]], _Shared] = field(
        default_factory=dict
    )

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        if not request.idempotent or len(self._under_way) >= MAX_IN_FLIGHT_KEYS:
            return await self.inner.send(request)
        key = (
            request.service,
            request.body,
            tuple(request.headers.get(name) for name in self.headers),
        )
        shared = self._under_way.get(key)
        if shared is None:
            answer = asyncio.ensure_future(self.inner.send(request))
            shared = self._under_way[key] = _Shared(answer)
            answer.add_done_callback(lambda _: self._under_way.pop(key, None))
        else:
            shared.by_several = True
        response = await self._wait(shared.answer, request)
        return _copied(response) if shared.by_several else response

    @staticmethod
    async def _wait(
        answer: asyncio.Future[SubgraphResponse], request: SubgraphRequest
    ) -> SubgraphResponse:
        """Wait as long as this request may; the shared one goes on for the others."""
        try:
            async with asyncio.timeout(request.timeout_s):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise SubgraphFailure(
                "TIMEOUT", f"subgraph {request.service} did not answer in time", retryable=True
            ) from error

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        await self.inner.close()


def _copied(response: SubgraphResponse) -> SubgraphResponse:
    """Copy what the engine will merge into."""
    data = None if response.data is None else orjson.loads(orjson.dumps(response.data))
    return replace(response, data=data)
