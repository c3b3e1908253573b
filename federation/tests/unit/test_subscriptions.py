"""Subscriptions from a subgraph's event to a client's message, over real sockets."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from starlette.websockets import WebSocket

from twinmesh_federation import AiohttpSubgraphClient, Engine, Subgraph, compose
from twinmesh_federation.http import (
    GraphQLHandler,
    RefusedRequest,
    WebSocketEndpoint,
    application,
)
from twinmesh_federation.serving.csrf import CsrfPolicy
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.serving.websocket import SocketLimits
from twinmesh_federation.subscriptions import (
    AiohttpSubscriptionClient,
    SubscriptionLimits,
    Subscriptions,
)
from twinmesh_federation.testing.local import LocalSubgraph
from twinmesh_federation.testing.servers import EventSubgraph, served

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.3",
                               import: ["@key", "@shareable"])"""
WORK = (
    LINK
    + """
type Query { items: [Item] }
type Subscription { itemChanged(asset: ID): Item slow: Item }
type Item @key(fields: "id") { id: ID! state: String asset: Asset }
type Asset @key(fields: "id") { id: ID! }
"""
)
ASSETS = (
    LINK
    + """
type Query { assets: [Asset] }
type Asset @key(fields: "id") { id: ID! name: String }
"""
)
QUERY = "subscription ($a: ID) { itemChanged(asset: $a) { id state asset { name } } }"
PROTOCOL = "graphql-transport-ws"


def local(sdl):
    return LocalSubgraph(
        sdl,
        resolve=lambda source, info, **args: (source or {}).get(info.field_name),
        resolve_entity=lambda r: {**r, "name": f"pump {r['id']}"},
        resolve_type=lambda value, info: value["__typename"],
    )


@dataclass
class Gateway:
    url: str
    engine: Engine
    subscriptions: Subscriptions
    work: EventSubgraph
    assets: EventSubgraph
    session: aiohttp.ClientSession
    urls: dict
    parts: list

    @asynccontextmanager
    async def socket(self, payload=None, **headers):
        ws = await self.session.ws_connect(
            self.url + "/graphql", protocols=(PROTOCOL,), headers=headers
        )
        try:
            await ws.send_json({"type": "connection_init", "payload": payload or {}})
            ack = await ws.receive_json(timeout=10)
            assert ack == {"type": "connection_ack"}
            yield ws
        finally:
            await ws.close()

    async def subscribe(self, ws, query=QUERY, operation_id="1", **variables):
        payload = {"query": query, "variables": variables}
        await ws.send_json({"id": operation_id, "type": "subscribe", "payload": payload})

    def sse(self, query=QUERY, **variables):
        return self.session.post(
            self.url + "/graphql",
            json={"query": query, "variables": variables},
            headers={"accept": "text/event-stream"},
        )

    def swap(self, *, work=WORK, assets=ASSETS):
        sdls = {"work": work, "assets": assets}
        self.engine.swap(supergraph_of(sdls, self.urls))


def supergraph_of(sdls, urls):
    return compose([Subgraph(name, urls[name], sdl) for name, sdl in sdls.items()]).supergraph


async def message(ws):
    """Return the next message that is no ping; answers those."""
    while (received := await ws.receive_json(timeout=10))["type"] == "ping":
        await ws.send_json({"type": "pong"})
    return received


async def events(response):
    """Yield the server-sent events of a response."""
    name, data = None, ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
        elif not line and name:
            yield name, json.loads(data) if data else None
            name, data = None, ""


def event(number, state="OPEN"):
    return {
        "itemChanged": {
            "id": f"w{number}", "state": state, "asset": {"__typename": "Asset", "id": number},
        }
    }  # fmt: skip


def answer(number, state="OPEN"):
    asset = {"name": f"pump {number}"}
    return {"data": {"itemChanged": {"id": f"w{number}", "state": state, "asset": asset}}}


@asynccontextmanager
async def gateway(*, protocol="sse", limits=None, context=None, connect=None, renew=None, **more):
    work, assets = EventSubgraph(local(WORK)), EventSubgraph(local(ASSETS))
    async with work.serving() as work_url, assets.serving() as assets_url:
        urls = {"work": work_url, "assets": assets_url}
        engine = Engine(
            AiohttpSubgraphClient(),
            supergraph=supergraph_of({"work": WORK, "assets": ASSETS}, urls),
        )
        subscriptions = Subscriptions(
            engine,
            AiohttpSubscriptionClient(protocols={"work": protocol} if protocol else {}),
            limits=limits,
            **({"renew": renew} if renew else {}),
        )
        pipeline = Pipeline(engine, context=context, subscriptions=subscriptions)
        endpoint = WebSocketEndpoint(pipeline, connect=connect, **more)
        app = application(engine, GraphQLHandler(pipeline), websocket=endpoint)
        async with served(app) as url, aiohttp.ClientSession() as session:
            yield Gateway(url, engine, subscriptions, work, assets, session, urls, [])
        await subscriptions.close()


@pytest.mark.parametrize("protocol", ["sse", "ws", None])
async def test_events_are_completed_by_other_subgraphs_and_reach_a_websocket(protocol):
    async with gateway(protocol=protocol) as g, g.socket() as ws:
        await g.subscribe(ws, a="7")
        await g.work.until(1)
        await g.work.emit(event(7))
        await g.work.emit(event(8, "CLOSED"))
        assert await message(ws) == {"id": "1", "type": "next", "payload": answer(7)}
        assert await message(ws) == {"id": "1", "type": "next", "payload": answer(8, "CLOSED")}
        await g.work.emit(None)
        assert await message(ws) == {"id": "1", "type": "complete"}
        await g.work.until(0)

    ((_, asked),) = g.work.opened
    assert asked["variables"] == {"a": "7"}
    assert asked["query"].startswith("subscription")


async def test_the_way_in_which_a_subgraph_sends_events_is_found_and_remembered():
    async with gateway(protocol=None) as g, g.socket() as ws:
        posts = []

        async def no_events_over_http(request):
            if request.method == "POST":
                posts.append(request)
                return web.json_response({"errors": [{"message": "not over HTTP"}]}, status=400)
            return await g.work._websocket(request)

        g.work._handle = no_events_over_http
        for number in ("1", "2"):
            await g.subscribe(ws, operation_id=number)
            await g.work.until(int(number))
        assert len(posts) == 1
        await g.work.emit(event(4))
        assert {(await message(ws))["id"] for _ in range(2)} == {"1", "2"}


async def test_what_a_subgraph_refuses_over_http_is_told_where_it_has_no_websocket_either():
    async with gateway(protocol=None) as g, g.socket() as ws:

        async def refusing(request):
            return web.json_response({"errors": [{"message": "never"}]}, status=400)

        g.work._handle = refusing
        await g.subscribe(ws)
        refused = await message(ws)
        assert refused["payload"]["errors"][0]["message"] == "never"
        assert await message(ws) == {"id": "1", "type": "complete"}


async def test_events_reach_an_event_stream_and_leaving_ends_the_subscription():
    async with gateway() as g:
        async with g.sse() as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            await g.work.until(1)
            await g.work.emit(event(1))
            stream = events(response)
            assert await anext(stream) == ("next", answer(1))
        await g.work.until(0)
        async with asyncio.timeout(10):
            while g.subscriptions.count:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)


async def test_a_query_may_be_asked_as_a_stream_or_over_a_websocket_too():
    async with gateway() as g, g.socket() as ws:
        async with g.sse("{ items { id } }") as response:
            got = [e async for e in events(response)]
        assert got == [("next", {"data": {"items": None}}), ("complete", None)]
        await g.subscribe(ws, "{ items { id } }")
        assert (await message(ws))["payload"] == {"data": {"items": None}}
        assert await message(ws) == {"id": "1", "type": "complete"}


async def test_a_failing_look_up_costs_its_own_fields_of_the_event_only():
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)

        async def broken():
            raise RuntimeError("down")

        g.assets.answers.delay = broken
        await g.work.emit(event(1))
        payload = (await message(ws))["payload"]
        assert payload["data"]["itemChanged"] == {"id": "w1", "state": "OPEN",
                                                  "asset": {"name": None}}  # fmt: skip
        assert payload["errors"][0]["path"] == ["itemChanged", "asset", "name"]
        g.assets.answers.delay = None
        await g.work.emit(event(2))
        assert (await message(ws))["payload"] == answer(2)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription ($a: ID!) { itemChanged(asset: $a) { id } }", "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_one_error(query, code):
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws, query)
        refused = await message(ws)
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == code
        async with g.sse(query) as response:
            (name, payload), end = [e async for e in events(response)]
        assert (name, end) == ("next", ("complete", None))
        assert payload["errors"][0]["extensions"]["code"] == code
        assert "data" not in payload


async def test_without_a_streaming_media_type_a_subscription_is_refused():
    async with gateway() as g:
        response = await g.session.post(g.url + "/graphql", json={"query": QUERY})
        assert response.status == 400
        assert "text/event-stream" in (await response.json())["errors"][0]["message"]


async def test_a_client_may_have_so_many_subscriptions_and_no_more():
    async with gateway(limits=SubscriptionLimits(per_client=2)) as g, g.socket() as ws:
        for number in range(3):
            await g.subscribe(ws, operation_id=str(number))
        refused = await message(ws)
        assert (refused["id"], refused["type"]) == ("2", "error")
        extensions = refused["payload"][0]["extensions"]
        assert extensions == {
            "code": "LIMIT_EXCEEDED", "limit": "subscriptions", "found": 3, "allowed": 2,
        }  # fmt: skip
        await ws.send_json({"id": "0", "type": "complete"})
        await g.work.until(1)
        await g.subscribe(ws, operation_id="again")
        await g.work.until(2)


async def test_a_slow_client_is_ended_with_a_reason_and_holds_a_bounded_number_of_events():
    started, resume = asyncio.Event(), asyncio.Event()

    async def renew(context):
        started.set()
        await resume.wait()
        return context

    limits = SubscriptionLimits(buffer=4)
    async with gateway(limits=limits, renew=renew) as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        await g.work.emit(event(0))
        await started.wait()
        for number in range(1, 50):
            await g.work.emit(event(number))
        await g.work.until(0)
        resume.set()
        got = []
        while (received := await message(ws))["type"] == "next":
            got.append(received["payload"]["data"]["itemChanged"]["id"])
        assert got == [f"w{n}" for n in range(1 + limits.buffer)]
        assert received["type"] == "error"
        assert received["payload"][0]["extensions"]["code"] == "SLOW_CONSUMER"


@pytest.mark.parametrize("protocol", ["sse", "ws"])
async def test_a_subgraph_that_goes_away_is_said_not_hidden(protocol):
    async with gateway(protocol=protocol) as g, g.socket() as ws:
        going = EventSubgraph(local(WORK))
        async with going.serving() as g.urls["work"]:
            g.swap()
            await g.subscribe(ws)
            await going.until(1)
        ended = await message(ws)
        assert ended["type"] == "error"
        assert ended["payload"][0]["extensions"] == {"code": "UNAVAILABLE", "retryable": True}
        await g.subscribe(ws, operation_id="2")
        assert (await message(ws))["payload"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_stopping_ends_every_subscription_with_a_reason():
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        g.subscriptions.stop()
        ended = await message(ws)
        assert ended["payload"][0]["extensions"] == {"code": "UNAVAILABLE", "retryable": True}
        await g.work.until(0)
        await g.subscribe(ws, operation_id="2")
        assert (await message(ws))["type"] == "error"


async def test_a_swap_keeps_the_subscription_and_its_upstream_where_nothing_changes_for_it():
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        for number in range(5):
            g.swap(assets=ASSETS.replace("name: String", f"name: String extra{number}: Int"))
            await g.work.emit(event(number))
            assert (await message(ws))["payload"] == answer(number)
        assert len(g.work.opened) == 1


async def test_a_swap_moves_the_subscription_to_the_subgraph_that_owns_the_field_now():
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        moved = EventSubgraph(local(WORK))
        async with moved.serving() as url:
            g.urls["work"] = url
            g.swap()
            await moved.until(1)
            await g.work.until(0)
            await moved.emit(event(3))
            assert (await message(ws))["payload"] == answer(3)


async def test_a_swap_that_takes_the_field_away_ends_the_subscription_with_the_reason():
    async with gateway() as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        g.swap(work=WORK.replace("state: String", ""))
        ended = await message(ws)
        assert ended["type"] == "error"
        assert "state" in ended["payload"][0]["message"]
        await g.work.until(0)


async def test_a_context_that_is_not_renewed_ends_the_subscription():
    async def renew(context):
        raise RefusedRequest(401, "UNAUTHENTICATED", "the token has expired")

    async with gateway(renew=renew) as g, g.socket() as ws:
        await g.subscribe(ws)
        await g.work.until(1)
        await g.work.emit(event(1))
        ended = await message(ws)
        assert ended["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await g.work.until(0)


async def test_a_subscription_has_a_longest_time():
    async with gateway(limits=SubscriptionLimits(longest_s=0.2)) as g, g.socket() as ws:
        await g.subscribe(ws)
        ended = await message(ws)
        assert ended["payload"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"


async def test_silence_is_filled_with_signs_of_life():
    limits = SubscriptionLimits(keep_alive_s=0.05)
    async with gateway(limits=limits) as g, g.socket() as ws:
        assert (await ws.receive_json(timeout=10))["type"] == "ping"
        async with g.sse() as response:
            assert await response.content.readline() == b":\n"


@pytest.mark.parametrize(
    ("endpoint_limits", "answers", "code"),
    [(SocketLimits(silence_s=0.15), False, 4499), (SocketLimits(idle_s=0.15), True, 4497)],
)
async def test_a_client_that_never_answers_or_never_asks_is_given_up(
    endpoint_limits, answers, code
):
    async with gateway(limits=SubscriptionLimits(keep_alive_s=0.05)) as g:
        pipeline = Pipeline(g.engine, subscriptions=g.subscriptions)
        app = application(
            g.engine,
            GraphQLHandler(pipeline),
            websocket=WebSocketEndpoint(pipeline, limits=endpoint_limits),
        )
        async with served(app) as url:
            ws = await g.session.ws_connect(url + "/graphql", protocols=(PROTOCOL,))
            await ws.send_json({"type": "connection_init"})
            while (await ws.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                if answers:
                    await ws.send_json({"type": "pong"})
            assert ws.close_code == code


async def closes_with(g, *messages, protocols=(PROTOCOL,), headers=None):
    ws = await g.session.ws_connect(g.url + "/graphql", protocols=protocols, headers=headers)
    for text in messages:
        await ws.send_str(text if isinstance(text, str) else json.dumps(text))
    while (await ws.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
        pass
    return ws.close_code


INIT = {"type": "connection_init"}
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": QUERY}}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([SUBSCRIBE], 4401),
        ([INIT, INIT], 4429),
        ([INIT, SUBSCRIBE, SUBSCRIBE], 4409),
        (["{"], 4400),
        (["[]"], 4400),
        ([{"type": "strange"}], 4400),
        ([{"type": "connection_init", "payload": 1}], 4400),
        ([INIT, {"id": 1, "type": "subscribe", "payload": {}}], 4400),
        ([INIT, {"id": "1", "type": "subscribe"}], 4400),
        ([INIT, json.dumps({**SUBSCRIBE, "pad": "x" * 1_000_000})], 4400),
        ([], 4408),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed_with_its_code(messages, code):
    async with gateway() as g:
        if code == 4408:
            pipeline = Pipeline(g.engine, subscriptions=g.subscriptions)
            endpoint = WebSocketEndpoint(pipeline, limits=SocketLimits(init_s=0.1))
            app = application(g.engine, GraphQLHandler(pipeline), websocket=endpoint)
            async with served(app) as g.url:
                assert await closes_with(g) == code
            return
        assert await closes_with(g, *messages) == code


async def test_another_subprotocol_is_not_spoken():
    async with gateway() as g:
        assert await closes_with(g, protocols=("graphql-ws",)) == 4406


async def test_operations_of_one_socket_are_bounded():
    async with gateway() as g:
        pipeline = Pipeline(g.engine, subscriptions=g.subscriptions)
        endpoint = WebSocketEndpoint(pipeline, limits=SocketLimits(operations=1))
        app = application(g.engine, GraphQLHandler(pipeline), websocket=endpoint)
        async with served(app) as g.url:
            assert await closes_with(g, INIT, SUBSCRIBE, {**SUBSCRIBE, "id": "2"}) == 4429


@pytest.mark.parametrize(
    ("limits", "code"), [(SocketLimits(per_client=1), 4429), (SocketLimits(total=1), 1013)]
)
async def test_connections_are_bounded_and_free_again_once_closed(limits, code):
    async with gateway(limits=None) as g:
        pipeline = Pipeline(g.engine, subscriptions=g.subscriptions)
        endpoint = WebSocketEndpoint(pipeline, limits=limits)
        app = application(g.engine, GraphQLHandler(pipeline), websocket=endpoint)
        async with served(app) as g.url:
            async with g.socket():
                assert await closes_with(g, INIT) == code
            async with asyncio.timeout(10):
                while endpoint.clients or endpoint._open:  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.01)
            async with g.socket():
                pass


async def test_a_page_of_another_site_cannot_open_a_socket():
    async with gateway(csrf=CsrfPolicy(frozenset({"https://ours.example"}))) as g:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await closes_with(g, headers={"origin": "https://evil.example"})
        async with g.socket(origin="https://ours.example"):
            pass
        async with g.socket(origin=g.url):
            pass


async def test_the_payload_of_the_first_message_authenticates_the_socket():
    def connect(socket: WebSocket, payload):
        if payload.get("authorization") != "Bearer good":
            raise RefusedRequest(401, "UNAUTHENTICATED", "a token is needed")
        socket.state.who = "me"

    def context(connection, _request):
        return connection.state.who

    async def renew(context):
        return f"{context} again"

    async with gateway(connect=connect, context=context, renew=renew) as g:
        assert await closes_with(g, INIT) == 4403
        async with g.socket({"authorization": "Bearer good"}) as ws:
            await g.subscribe(ws)
            await g.work.until(1)
            await g.work.emit(event(1))
            assert (await message(ws))["payload"] == answer(1)
