"""Subgraphs over HTTP, by aiohttp."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from twinmesh_federation.execution.client import (
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
    decode_response,
)

DEFAULT_MAX_BODY_BYTES: Final = 32 * 1024 * 1024
DEFAULT_CONNECTIONS_PER_HOST: Final = 256
_HEADERS: Final = {
    "content-type": "application/json",
    "accept": "application/graphql-response+json, application/json;q=0.9",
}
_CHUNK_BYTES: Final = 256 * 1024


class AiohttpSubgraphClient:
    """Keeps connections open, follows no redirect, reads no more than `max_body_bytes`."""

    def __init__(
        self,
        *,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        connections_per_host: int = DEFAULT_CONNECTIONS_PER_HOST,
    ) -> None:
        self._max_body_bytes = max_body_bytes
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, limit_per_host=self._connections_per_host, keepalive_timeout=60
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        try:
            async with asyncio.timeout(request.timeout_s):
                status, body = await self._exchange(request)
        except TimeoutError as error:
            raise SubgraphFailure(
                "TIMEOUT", f"subgraph {request.service} did not answer in time", retryable=True
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise SubgraphFailure(
                "UNAVAILABLE", f"subgraph {request.service} cannot be reached", retryable=True
            ) from error
        return decode_response(request.service, status, body)

    async def _exchange(self, request: SubgraphRequest) -> tuple[int, bytes]:
        session = self._open()
        async with session.post(
            request.url,
            data=request.body,
            headers={**_HEADERS, **request.headers},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response:
            if (response.content_length or 0) > self._max_body_bytes:
                raise self._too_large(request.service)
            parts: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                size += len(chunk)
                if size > self._max_body_bytes:
                    raise self._too_large(request.service)
                parts.append(chunk)
            return response.status, parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, service: str) -> SubgraphFailure:
        return SubgraphFailure(
            "BAD_RESPONSE",
            f"subgraph {service} answered more than {self._max_body_bytes} bytes",
            retryable=False,
        )

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        if self._session is not None:
            await self._session.close()
            self._session = None
