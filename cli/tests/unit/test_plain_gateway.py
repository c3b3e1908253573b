"""What `twinmesh federation serve` runs: a token, pages' origins, registered documents."""

import asyncio
import json
import signal
import socket
import sys

import aiohttp
import httpx
import pytest
from click.testing import CliRunner

from twinmesh_cli.main import cli
from twinmesh_cli.plain_gateway import Door, Forwarding, forwarding, gateway
from twinmesh_federation import Engine, Subgraph, SubgraphResponse, compose
from twinmesh_federation.serving import DocumentPolicy
from twinmesh_federation.testing.servers import served

QUERY = {"query": "{ hello }"}


class Hello:
    async def send(self, request):
        return SubgraphResponse({"hello": "world"})

    async def close(self):
        pass


def app(**door):
    supergraph = compose([Subgraph("a", "http://a", "type Query { hello: String }")]).supergraph
    return gateway(Engine(Hello(), supergraph=supergraph), Door(**door))


async def test_a_token_is_demanded_over_http_and_over_a_websocket():
    async with served(app(token="t")) as url, aiohttp.ClientSession() as session:
        graphql = url + "/graphql"
        assert (await session.post(graphql, json=QUERY)).status == 401
        sent = {"authorization": "Bearer t"}
        assert (await session.post(graphql, json=QUERY, headers=sent)).status == 200
        for payload, code in (({}, 4403), (sent, None)):
            ws = await session.ws_connect(graphql, protocols=("graphql-transport-ws",))
            await ws.send_json({"type": "connection_init", "payload": payload})
            await ws.receive(timeout=10)
            if code:
                assert ws.close_code == code
                continue
            await ws.send_json({"id": "1", "type": "subscribe", "payload": QUERY})
            assert (await ws.receive_json(timeout=10))["payload"] == {"data": {"hello": "world"}}
            await ws.close()


async def test_pages_of_named_origins_may_ask_and_others_may_not():
    transport = httpx.ASGITransport(app=app(origins=frozenset({"https://ours"})))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        asked = {"access-control-request-method": "POST",
                 "access-control-request-headers": "content-type"}  # fmt: skip
        ours = await http.options("/graphql", headers={"origin": "https://ours", **asked})
        other = await http.options("/graphql", headers={"origin": "https://evil", **asked})
        answer = await http.post("/graphql", json=QUERY, headers={"origin": "https://ours"})
    assert ours.headers["access-control-allow-origin"] == "https://ours"
    assert "access-control-allow-credentials" not in ours.headers
    assert "access-control-allow-origin" not in other.headers
    assert answer.headers["access-control-allow-origin"] == "https://ours"


async def test_a_safelist_holds_for_every_way_to_ask():
    documents = DocumentPolicy(persisted={"hi": "{ hello }"}, safelist=True)
    async with served(app(documents=documents)) as url, aiohttp.ClientSession() as session:
        graphql = url + "/graphql"
        known = await session.post(graphql, json={"documentId": "hi"})
        assert (await known.json()) == {"data": {"hello": "world"}}
        other = await session.post(graphql, json={"query": "{ __typename }"})
        assert other.status == 403
        ws = await session.ws_connect(graphql, protocols=("graphql-transport-ws",))
        await ws.send_json({"type": "connection_init"})
        await ws.receive(timeout=10)
        payload = {"query": "{ __typename }"}
        await ws.send_json({"id": "1", "type": "subscribe", "payload": payload})
        refused = await ws.receive_json(timeout=10)
        assert refused["payload"][0]["extensions"]["code"] == "QUERY_NOT_IN_SAFELIST"
        await ws.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--safelist"], "--safelist needs --persisted"),
        (["--subscriptions-by", "a=carrier-pigeon"], "SUBGRAPH=ws or SUBGRAPH=sse"),
        (["--persisted", "FILE"], "no JSON object"),
    ],
)
def test_serve_refuses_what_it_cannot_do(tmp_path, options, message):
    manifest, subgraphs = tmp_path / "manifest.json", tmp_path / "subgraphs.json"
    manifest.write_text("[]")
    sdl = "type Query { hello: String }"
    subgraphs.write_text(json.dumps([{"name": "a", "url": "http://a", "sdl": sdl}]))
    given = [str(manifest) if o == "FILE" else o for o in options]
    result = CliRunner().invoke(
        cli, ["federation", "serve", "--subgraphs", str(subgraphs), "--port", "0", *given]
    )
    assert result.exit_code != 0
    assert message in result.output


async def test_named_headers_go_on_and_no_others():
    seen = []

    class Echo(Hello):
        async def send(self, request):
            seen.append(dict(request.headers))
            return await super().send(request)

    rules = forwarding(["x-tenant", "Authorization"])
    supergraph = compose([Subgraph("a", "http://a", "type Query { hello: String }")]).supergraph
    engine = Engine(Echo(), supergraph=supergraph, hooks=Forwarding(rules))
    transport = httpx.ASGITransport(app=gateway(engine, Door(forwarded=rules)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        sent = {"x-tenant": "acme", "authorization": "Bearer t", "x-other": "no"}
        assert (await http.post("/graphql", json=QUERY, headers=sent)).status_code == 200
        assert (await http.post("/graphql", json=QUERY)).status_code == 200

    assert seen == [{"x-tenant": "acme", "authorization": "Bearer t"}, {}]


async def test_a_changed_file_and_a_hang_up_reload_the_supergraph_and_a_broken_one_does_not(
    tmp_path,
):
    file = tmp_path / "subgraphs.json"

    def write(sdl):
        file.write_text(json.dumps([{"name": "a", "url": "http://127.0.0.1:9", "sdl": sdl}]))

    write("type Query { hello: String }")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twinmesh_cli", "federation", "serve", "--subgraphs", str(file),
        "--port", str(port := free_port()), "--hot-reload", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

            async def fields():
                query = {"query": "{ __schema { queryType { fields { name } } } }"}
                try:
                    answer = (await http.post("/graphql", json=query)).json()
                except httpx.TransportError:
                    return None
                return {f["name"] for f in answer["data"]["__schema"]["queryType"]["fields"]}

            async def until(wanted):
                async with asyncio.timeout(30):
                    while await fields() != wanted:  # noqa: ASYNC110 - another process
                        await asyncio.sleep(0.05)

            async def told(text):
                async with asyncio.timeout(30):
                    while text not in (await process.stderr.readline()).decode():
                        pass

            await until({"hello"})
            write("type Query { hello: String changed: Int }")
            await until({"hello", "changed"})
            write("type Query { broken: Nothing }")
            await told("supergraph not reloaded: ")
            assert await fields() == {"hello", "changed"}
            process.send_signal(signal.SIGHUP)
            await told("supergraph not reloaded: ")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 15) in (0, -signal.SIGTERM)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
