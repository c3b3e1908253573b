"""Supergraphs swapped while clients ask: nobody notices."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
from graphql import parse, print_ast

from twinmesh_federation import (
    AiohttpSubgraphClient,
    Engine,
    GraphQLRequest,
    Subgraph,
    compose,
)
from twinmesh_federation.http import GraphQLHandler, WebSocketEndpoint, application
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.subscriptions import AiohttpSubscriptionClient, Subscriptions
from twinmesh_federation.testing.local import LocalSubgraph
from twinmesh_federation.testing.servers import EventSubgraph, served

SWAPS = 20
CLIENTS = 8
REQUESTS_PER_SWAP = 12
LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
"""
ASSETS = (
    LINK
    + """
type Query { assets: [Asset] }
type Asset @key(fields: "id") { id: ID! name: String }
"""
)
WORK = (
    LINK
    + """
type Query { version: Int }
type Subscription { tick: Asset }
type Asset @key(fields: "id") { id: ID! items: [String!] %s }
"""
)
QUERY = "{ assets { id items } version }"
WHOLE = {
    "assets": [{"id": str(n), "items": [f"item {n}"]} for n in range(3)],
    "version": 7,
}


def resolve(source, info, **_args):
    if info.field_name == "assets":
        return [{"id": str(n)} for n in range(3)]
    if info.field_name == "version":
        return 7
    return source.get(info.field_name)


def subgraph(sdl):
    return EventSubgraph(
        LocalSubgraph(
            sdl,
            resolve=resolve,
            resolve_entity=lambda r: {**r, "items": [f"item {r['id']}"], "name": f"pump {r['id']}"},
            resolve_type=lambda value, info: value["__typename"],
        )
    )


async def test_no_request_fails_over_twenty_swaps_and_subscriptions_go_on():
    async with AsyncExitStack() as stack:
        assets = await stack.enter_async_context(subgraph(ASSETS).serving())
        workers = [subgraph(WORK % "") for _ in range(2)]
        urls = [await stack.enter_async_context(w.serving()) for w in workers]

        def version(number):
            extra = f"extra{number}: Int" if number % 3 else ""
            services = [
                Subgraph("assets", assets, ASSETS),
                Subgraph("work", urls[number % 2], WORK % extra),
            ]
            return compose(services).supergraph

        engine = Engine(AiohttpSubgraphClient(), supergraph=version(0))
        subscriptions = Subscriptions(engine, AiohttpSubscriptionClient())
        pipeline = Pipeline(engine, subscriptions=subscriptions)
        app = application(
            engine,
            GraphQLHandler(pipeline),
            websocket=WebSocketEndpoint(pipeline),
            on_stop=[subscriptions.close],
        )
        url = await stack.enter_async_context(served(app)) + "/graphql"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        ws = await session.ws_connect(url, protocols=("graphql-transport-ws",))
        await ws.send_json({"type": "connection_init"})
        assert (await ws.receive_json())["type"] == "connection_ack"
        payload = {"query": "subscription { tick { id name } }"}
        await ws.send_json({"id": "1", "type": "subscribe", "payload": payload})
        await workers[0].until(1)

        asked = Counter()
        enough = asyncio.Condition()

        async def client():
            while asked["swaps"] < SWAPS or asked["answers"] < (SWAPS + 1) * REQUESTS_PER_SWAP:
                async with session.post(url, json={"query": QUERY}) as response:
                    body = await response.json()
                async with enough:
                    asked["answers"] += 1
                    asked["whole"] += response.status == 200 and body == {"data": WHOLE}
                    enough.notify_all()

        async def swaps():
            for number in range(1, SWAPS + 1):
                wanted = asked["answers"] + REQUESTS_PER_SWAP
                async with enough:
                    await enough.wait_for(lambda w=wanted: asked["answers"] >= w)
                await engine.take_up(version(number))
                asked["swaps"] += 1
                now, before = workers[number % 2], workers[(number + 1) % 2]
                await now.until(1)
                await before.until(0)
                expected = {"id": str(number), "name": f"pump {number}"}
                await now.emit({"tick": {"__typename": "Asset", "id": str(number)}})
                while (told := await ws.receive_json(timeout=10))["type"] == "ping":
                    await ws.send_json({"type": "pong"})
                tick = told["payload"]["data"]["tick"]
                asked["ticks"] += tick == expected

        async with asyncio.timeout(60):
            await asyncio.gather(swaps(), *(client() for _ in range(CLIENTS)))
            assert await engine.drain()
        await ws.close()

    print(f"{asked['swaps']} swaps, {asked['answers']} requests, {asked['whole']} whole")
    assert asked["swaps"] == asked["ticks"] == SWAPS
    assert asked["answers"] == asked["whole"] >= SWAPS * REQUESTS_PER_SWAP
    assert engine.in_flight == 0


async def test_a_request_that_runs_during_a_swap_ends_on_the_supergraph_it_began_with():
    async with AsyncExitStack() as stack:
        slow = subgraph(WORK % "")
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def delay():
            begun.set()
            await go_on.wait()

        slow.answers.delay = delay
        work = await stack.enter_async_context(slow.serving())
        before = compose([Subgraph("work", work, WORK % "")]).supergraph
        gone = "type Query { other: Int }"
        after = compose([Subgraph("other", "http://127.0.0.1:9", gone)]).supergraph
        engine = Engine(AiohttpSubgraphClient(), supergraph=before)
        app = application(engine, GraphQLHandler(engine))
        url = await stack.enter_async_context(served(app)) + "/graphql"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        asking = asyncio.create_task(session.post(url, json={"query": "{ version }"}))
        await begun.wait()
        engine.swap(after)
        draining = asyncio.create_task(engine.drain())
        assert engine.in_flight == 1
        go_on.set()
        assert (await (await asking).json()) == {"data": {"version": 7}}
        assert await draining
        refused = await session.post(url, json={"query": "{ version }"})
        code = (await refused.json())["errors"][0]["extensions"]["code"]
        assert code == "GRAPHQL_VALIDATION_FAILED"


async def test_what_was_asked_last_is_planned_before_a_supergraph_is_in_force():
    async with AsyncExitStack() as stack:
        assets = await stack.enter_async_context(subgraph(ASSETS).serving())
        work = await stack.enter_async_context(subgraph(WORK % "").serving())

        def version(extra):
            services = [
                Subgraph("assets", assets, ASSETS), Subgraph("work", work, WORK % extra)
            ]  # fmt: skip
            return compose(services).supergraph

        client = AiohttpSubgraphClient()
        stack.push_async_callback(client.close)
        engine = Engine(client, supergraph=version("gone: Int"))
        asked = [QUERY, "{ assets { gone } }", "{ nothing }", "query A { version }"]
        for query in asked:
            await engine.execute(GraphQLRequest(query))
        before = engine.executor

        await engine.take_up(version(""))

        assert engine.executor is not before
        planned = {key.text for key in engine.executor.planner._cache.latest(100)}
        assert planned == {print_ast(parse(q)) for q in (QUERY, "query A { version }")}
        assert (await engine.execute(GraphQLRequest(QUERY))).data == WHOLE
