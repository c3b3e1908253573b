"""Each client against real servers on loopback: one suite for all."""

import asyncio

import orjson
import pytest
from aiohttp import web

from twinmesh_federation import (
    AiohttpSubgraphClient,
    HttpSubgraphClient,
    SubgraphFailure,
    SubgraphRequest,
)


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


@pytest.fixture(params=[AiohttpSubgraphClient, HttpSubgraphClient])
async def client(request):
    made = request.param(max_body_bytes=1_000)
    yield made
    await made.close()


@pytest.fixture
async def lean():
    made = HttpSubgraphClient(max_body_bytes=1_000, connections_per_host=2)
    yield made
    await made.close()


@pytest.fixture
async def scripted():
    """A server that says exactly these bytes per connection, and counts connections."""
    servers = []

    async def start(*answers, close=False):
        seen = []

        async def talk(reader, writer):
            seen.append(writer)
            try:
                for answer in answers:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    writer.write(answer)
                    await writer.drain()
                if not close:
                    await reader.read()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql", seen

    yield start
    for server in servers:
        server.close()


def ok(body=b'{"data":{"ok":true}}', headers=b""):
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n" % (len(body), headers)
    return head + body


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


async def test_a_connection_is_used_again_and_only_while_it_is_open(lean, scripted):
    url, seen = await scripted(ok(), ok())
    for _ in range(2):
        assert (await lean.send(request(url, "{ ok }"))).data == {"ok": True}
    assert len(seen) == 1

    url, seen = await scripted(ok(), close=True)
    for _ in range(3):
        assert (await lean.send(request(url, "{ ok }"))).data == {"ok": True}
        await asyncio.sleep(0.02)
    assert len(seen) == 3

    url, seen = await scripted(ok(headers=b"connection: close\r\n"))
    for _ in range(2):
        await lean.send(request(url, "{ ok }"))
    assert len(seen) == 2


async def test_more_requests_than_connections_wait_for_one(lean, scripted):
    url, seen = await scripted(*[ok()] * 10)

    answers = await asyncio.gather(*(lean.send(request(url, "{ ok }")) for _ in range(8)))

    assert [a.data for a in answers] == [{"ok": True}] * 8
    assert len(seen) == 2


async def test_who_waits_for_a_connection_keeps_its_deadline(lean, scripted):
    url, seen = await scripted()
    late = [lean.send(request(url, "{ ok }", timeout_s=0.2)) for _ in range(4)]

    found = await asyncio.gather(*late, return_exceptions=True)

    assert {f.code for f in found} == {"TIMEOUT"}
    assert len(seen) <= 4


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b'a\r\n{"data":{"\r\na\r\nok":true}}\r\n0\r\n\r\n',
        b"HTTP/1.1 100 Continue\r\n\r\n" + ok(),
        ok(b'{"data":{"ok":true},"x":"' + b"y" * 500 + b'"}'),
    ],
    ids=["chunked", "after 100 continue", "in several segments"],
)
async def test_answers_come_in_every_form_that_http_has(lean, scripted, answer):
    url, _ = await scripted(answer)

    assert (await lean.send(request(url, "{ ok }"))).data == {"ok": True}


async def test_an_answer_may_end_with_its_connection(lean, scripted):
    url, _ = await scripted(
        b'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{"data":{"ok":true}}', close=True
    )

    assert (await lean.send(request(url, "{ ok }"))).data == {"ok": True}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"not http at all\r\n\r\n", "BAD_RESPONSE"),
        (ok(headers=b"content-encoding: gzip\r\n"), "BAD_RESPONSE"),
        (ok(headers=b"x: " + b"y" * 70_000 + b"\r\n"), "BAD_RESPONSE"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", "BAD_RESPONSE"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b" " * 2_000,
            "BAD_RESPONSE",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}", "UNAVAILABLE"),
        (b"", "UNAVAILABLE"),
    ],
    ids=["no http", "encoded", "long head", "long", "long chunks", "cut short", "closed"],
)
async def test_an_answer_that_is_none_is_a_failure_and_ends_its_connection(
    lean, scripted, answer, code
):
    url, seen = await scripted(answer, close=True)
    for _ in range(2):
        with pytest.raises(SubgraphFailure) as failure:
            await lean.send(request(url, "{ ok }"))
        assert failure.value.code == code
    assert len(seen) == 2


async def test_a_cancelled_request_ends_its_connection(lean, scripted):
    url, seen = await scripted()
    task = asyncio.create_task(lean.send(request(url, "{ ok }")))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(SubgraphFailure):
        await lean.send(request(url, "{ ok }", timeout_s=0.1))
    assert len(seen) == 2


@pytest.mark.parametrize("url", ["ftp://a/graphql", "http://", "http://a:b/", "http://a/ x"])
async def test_an_address_that_is_none_is_a_failure(lean, url):
    with pytest.raises(SubgraphFailure):
        await lean.send(request(url, "{ ok }"))


async def test_a_header_cannot_smuggle_another(lean, scripted):
    url, seen = await scripted(ok())
    asked = request(url, "{ ok }")
    asked.headers = {"x-a": "1\r\nx-b: 2"}

    with pytest.raises(SubgraphFailure):
        await lean.send(asked)
    assert not seen


async def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(lean, scripted):
    url, seen = await scripted(ok() + ok(b'{"data":{"ok":"stolen"}}'))
    for _ in range(2):
        assert (await lean.send(request(url, "{ ok }"))).data == {"ok": True}
    assert len(seen) == 2
