"""The client against a real server on loopback."""

import asyncio

import orjson
import pytest
from aiohttp import web

from twinmesh_federation import AiohttpSubgraphClient, SubgraphFailure, SubgraphRequest


@pytest.fixture
async def server():
    seen = []

    async def graphql(request):
        body = await request.json()
        seen.append((body, dict(request.headers)))
        if body["query"] == "redirect":
            raise web.HTTPFound("/elsewhere")
        if body["query"] == "hang":
            await asyncio.sleep(30)
        if body["query"] == "large":
            return web.Response(body=b"x" * 5_000)
        if body["query"] == "html":
            return web.Response(text="<html>", status=502)
        if body["query"] == "refused":
            return web.json_response({"errors": [{"message": "no"}]}, status=400)
        return web.json_response({"data": {"ok": True}, "extensions": {"e": 1}})

    async def elsewhere(_):
        return web.json_response({"data": {"stolen": True}})

    app = web.Application()
    app.router.add_post("/graphql", graphql)
    app.router.add_route("*", "/elsewhere", elsewhere)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/graphql", seen
    await runner.cleanup()


@pytest.fixture
async def client():
    made = AiohttpSubgraphClient(max_body_bytes=1_000)
    yield made
    await made.close()


def request(url, query, timeout_s=2.0):
    return SubgraphRequest("s", url, orjson.dumps({"query": query}), {"x-a": "1"}, timeout_s)


async def test_an_answer_arrives_with_its_extensions_and_headers_were_sent(server, client):
    url, seen = server

    response = await client.send(request(url, "{ ok }"))

    assert response.data == {"ok": True}
    assert response.extensions == {"e": 1}
    assert seen[0][1]["x-a"] == "1"


async def test_errors_with_a_client_status_are_an_answer(server, client):
    response = await client.send(request(server[0], "refused"))

    assert response.data is None
    assert response.errors == [{"message": "no"}]


@pytest.mark.parametrize(
    ("query", "code", "retryable"),
    [
        ("redirect", "BAD_RESPONSE", False),
        ("large", "BAD_RESPONSE", False),
        ("html", "UNAVAILABLE", True),
        ("hang", "TIMEOUT", True),
    ],
)
async def test_what_is_no_answer_is_a_failure(server, client, query, code, retryable):
    with pytest.raises(SubgraphFailure) as failure:
        await client.send(request(server[0], query, timeout_s=0.3))

    assert (failure.value.code, failure.value.retryable) == (code, retryable)


async def test_nobody_listening_is_unavailable(client):
    with pytest.raises(SubgraphFailure) as failure:
        await client.send(request("http://127.0.0.1:9/graphql", "{ ok }"))

    assert failure.value.code == "UNAVAILABLE"


async def test_a_stopped_process_that_accepts_and_says_nothing_times_out(client):
    async def silent(_reader, writer):
        try:
            await asyncio.sleep(30)
        finally:
            writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(SubgraphFailure) as failure:
        await client.send(request(f"http://127.0.0.1:{port}/graphql", "{ ok }", timeout_s=0.2))
    listener.close()

    assert failure.value.code == "TIMEOUT"
