"""Sends one GraphQL request again and again over some connections, and times each answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import httptools


@dataclass(slots=True)
class Timings:
    """What a run of requests took.

    Attributes:
        seconds: From sending to the last byte of the answer, one per request.
        first: Body of the first answer.
        odd: Answers of another length or status than the first.
    """

    seconds: list[float] = field(default_factory=list)
    first: bytes = b""
    odd: int = 0

    def percentile_ms(self, share: float) -> float:
        """Return a percentile of the times in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


class _Client(asyncio.Protocol):
    def __init__(self) -> None:
        self.answered: asyncio.Future[None] | None = None
        self.body = bytearray()
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("closed before the answer"))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        assert self.answered is not None
        self.answered.set_result(None)

    async def ask(self, request: bytes) -> None:
        self.body.clear()
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self.answered


async def run(
    port: int, body: bytes, *, requests: int, connections: int, limit_s: float
) -> Timings:
    """Send up to `requests` requests, over `connections` connections, for at most `limit_s`."""
    request = (
        b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"accept: application/json\r\ncontent-length: %d\r\n\r\n" % (port, len(body)) + body
    )
    timings = Timings()
    left = requests
    ends_at = perf_counter() + limit_s
    loop = asyncio.get_running_loop()

    async def one() -> None:
        nonlocal left
        _, client = await loop.create_connection(_Client, "127.0.0.1", port)
        try:
            while left > 0 and perf_counter() < ends_at:
                left -= 1
                started = perf_counter()
                await client.ask(request)
                timings.seconds.append(perf_counter() - started)
                if not timings.first:
                    timings.first = bytes(client.body)
                if client.status != 200 or len(client.body) != len(timings.first):
                    timings.odd += 1
        finally:
            client.transport.close()

    async with asyncio.timeout(limit_s + 30), asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(one())
    return timings
