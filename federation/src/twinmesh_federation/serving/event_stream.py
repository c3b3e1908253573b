"""Answers as server-sent events: `graphql-sse`, distinct connections mode."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from twinmesh_federation.execution.result import GraphQLRequest, encode
from twinmesh_federation.serving.pipeline import Admitted, Pipeline

EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStreamResponse(Response):
    """Sends each result as an event `next`, then `complete`; comments keep it alive meanwhile."""

    def __init__(self, pipeline: Pipeline, request: GraphQLRequest, admitted: Admitted) -> None:
        super().__init__()
        self._pipeline = pipeline
        self._request = request
        self._admitted = admitted
        self._sending = asyncio.Lock()
        self._silent = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the results end, or the client is gone or reads too slowly."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        gone = asyncio.create_task(_disconnected(receive))
        alive = asyncio.create_task(self._keep_alive(send))
        sending = asyncio.create_task(self._send_results(send))
        tasks = {gone, alive, sending}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            if not isinstance(error, TimeoutError | OSError):
                raise error
            return
        if not sending.cancelled():
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_results(self, send: Send) -> None:
        results = self._pipeline.results(self._request, self._admitted)
        async with aclosing(results):
            async for result in results:
                await self._send(send, b"event: next\ndata: " + encode(result) + b"\n\n")
        await self._send(send, b"event: complete\ndata: \n\n")

    async def _keep_alive(self, send: Send) -> None:
        while True:
            self._silent = True
            await asyncio.sleep(self._pipeline.stream_limits.keep_alive_s)
            if self._silent:
                await self._send(send, b":\n\n")

    async def _send(self, send: Send, body: bytes) -> None:
        """Send one piece; who does not take it in time is dropped."""
        async with self._sending, asyncio.timeout(self._pipeline.stream_limits.send_s):
            await send({"type": "http.response.body", "body": body, "more_body": True})
        self._silent = False


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
