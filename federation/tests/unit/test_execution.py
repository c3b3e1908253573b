"""Failures, deadlines, nulls, hooks, swaps: what an answer says when not all went well."""

import asyncio
import copy

import pytest

from twinmesh_federation import (
    Deadlines,
    Engine,
    ExecutionHooks,
    Executor,
    ExecutorOptions,
    GraphQLRequest,
    Limits,
    Subgraph,
    SubgraphFailure,
    SubgraphResponse,
    SubgraphStatus,
    compose,
)

HEADER = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", '
    '"@shareable", "@external", "@requires"])\n'
)
ASSETS = HEADER + (
    'type Query { asset(id: ID!): Asset assets: [Asset!]! } type Asset @key(fields: "id") '
    "{ id: ID! name: String! }"
)
ENERGY = HEADER + (
    'type Asset @key(fields: "id") { id: ID! energy: Energy } '
    'type Energy { kwh: Float! site: Site } type Site @key(fields: "id") { id: ID! }'
)
HEALTH = HEADER + 'type Asset @key(fields: "id") { id: ID! health: Int! note: String }'
SITES = HEADER + 'type Site @key(fields: "id") { id: ID! name: String }'


def supergraph(**sdls):
    return compose([Subgraph(n, f"http://{n}", sdl) for n, sdl in sdls.items()]).supergraph


MESH = supergraph(assets=ASSETS, energy=ENERGY, health=HEALTH, sites=SITES)


class Scripted:
    """Answers as told: data, a failure to raise, or a coroutine function to await."""

    def __init__(self, **answers):
        self.answers = answers
        self.requests = []

    async def send(self, request):
        self.requests.append(request)
        answer = self.answers[request.service]
        if callable(answer):
            answer = answer(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, Exception):
            raise answer
        answer = copy.deepcopy(answer)  # a network would copy
        return answer if isinstance(answer, SubgraphResponse) else SubgraphResponse(answer)

    async def close(self):
        pass

    def count(self, service):
        return sum(r.service == service for r in self.requests)


ONE = {"asset": {"id": "1", "name": "P"}}
MANY = {"assets": [{"id": "1", "name": "P"}, {"id": "2", "name": "Q"}]}


async def never(request):
    await asyncio.sleep(request.timeout_s)
    raise SubgraphFailure("TIMEOUT", "no answer", retryable=True)


def executor(client, **options):
    options.setdefault("deadlines", Deadlines(request_s=2.0, subgraph_s=0.2, patience_s=0.02))
    return Executor(MESH, client, options=ExecutorOptions(**options))


async def run(client, query, **options):
    return await executor(client, **options).execute(GraphQLRequest(query))


async def test_a_hung_subgraph_costs_only_its_own_fields():
    client = Scripted(assets=ONE, energy=never, health=lambda _: {"_entities": [{"health": 5}]})

    result = await run(client, '{ asset(id: "1") { name health energy { kwh } } }')

    assert result.data == {"asset": {"name": "P", "health": 5, "energy": None}}
    assert [(e["path"], e["extensions"]["code"]) for e in result.errors] == [
        (["asset", "energy"], "TIMEOUT")
    ]
    assert {n: r.status for n, r in result.subgraphs.items()} == {
        "assets": SubgraphStatus.OK,
        "energy": SubgraphStatus.TIMEOUT,
        "health": SubgraphStatus.OK,
    }
    assert client.count("energy") == 1


async def test_what_waited_for_a_failed_subgraph_is_skipped_and_says_so():
    client = Scripted(assets=ONE, energy=never, sites={"_entities": []})

    result = await run(client, '{ asset(id: "1") { energy { site { name } } } }')

    assert result.data == {"asset": {"energy": None}}
    assert result.subgraphs["sites"].status is SubgraphStatus.SKIPPED
    assert client.count("sites") == 0


async def test_a_batch_does_not_wait_for_entries_whose_inputs_hang():
    first = HEADER + ('type Query { a: A } type A @key(fields: "id") { id: ID! }')
    second = HEADER + 'type A @key(fields: "id") { id: ID! x: Int }'
    third = HEADER + (
        'type A @key(fields: "id") { id: ID! x: Int @external free: Int '
        'bound: Int @requires(fields: "x") }'
    )
    graph = supergraph(first=first, second=second, third=third)

    def entities(request):
        data = {}
        if b"free" in request.body:
            data = {"_entities": [{"free": 1}], "_e0": [{"free": 1}], "_e1": [{"free": 1}]}
        return data

    client = Scripted(first={"a": {"id": "1"}}, second=never, third=entities)
    options = ExecutorOptions(deadlines=Deadlines(request_s=2.0, subgraph_s=0.2, patience_s=0.02))

    result = await Executor(graph, client, options=options).execute(
        GraphQLRequest("{ a { free bound } }")
    )

    assert result.data == {"a": {"free": 1, "bound": None}}
    assert {e["path"][-1] for e in result.errors} >= {"bound"}


async def test_a_null_that_the_type_forbids_voids_the_nearest_nullable_parent():
    client = Scripted(assets=MANY, health=SubgraphFailure("UNAVAILABLE", "down", retryable=True))

    result = await run(client, "{ assets { name health } }")

    assert result.data is None
    assert [e["extensions"]["code"] for e in result.errors] == ["UNAVAILABLE"]


async def test_an_unexplained_null_is_reported_with_its_path():
    client = Scripted(assets={"asset": {"id": "1", "name": None}})

    result = await run(client, '{ asset(id: "1") { name } }')

    assert result.data == {"asset": None}
    assert result.errors[0]["path"] == ["asset", "name"]


async def test_a_subgraphs_error_keeps_its_extensions_and_gets_the_answers_path():
    def partial(_):
        return SubgraphResponse(
            {"_entities": [{"note": "n", "health": 1}, {"note": None, "health": 2}]},
            [
                {
                    "message": "no note",
                    "path": ["_entities", 1, "note"],
                    "extensions": {"code": "NOT_FOUND", "retryable": False, "traceId": "t"},
                }
            ],
        )

    result = await run(Scripted(assets=MANY, health=partial), "{ assets { health note } }")

    assert result.data["assets"][1] == {"health": 2, "note": None}
    assert result.errors == [
        {
            "message": "no note",
            "path": ["assets", 1, "note"],
            "extensions": {
                "code": "NOT_FOUND",
                "retryable": False,
                "traceId": "t",
                "serviceName": "health",
            },
        }
    ]


async def test_equal_representations_are_sent_once():
    client = Scripted(
        assets={"assets": [{"id": "1"}, {"id": "2"}, {"id": "1"}]},
        health={"_entities": [{"health": 1}, {"health": 2}]},
    )

    result = await run(client, "{ assets { health } }")

    assert result.data == {"assets": [{"health": 1}, {"health": 2}, {"health": 1}]}
    assert client.requests[1].body.count(b"__typename") == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"_entities": []},
        {"_entities": None},
        {"_entities": "x"},
        {"_entities": [1, 2, 3]},
        {},
    ],
)
async def test_a_malformed_answer_costs_its_fields_and_raises_nothing(answer):
    result = await run(Scripted(assets=MANY, health=answer), "{ assets { name note } }")

    assert [a["note"] for a in result.data["assets"]] == [None, None]
    assert result.errors
    assert result.subgraphs["health"].status is SubgraphStatus.ERROR


async def test_hooks_set_headers_and_extensions_and_see_responses():
    class Hooks(ExecutionHooks):
        def __init__(self):
            self.seen = []

        def headers(self, context, service):
            return {"x-for": f"{context}-{service}"}

        def request_extensions(self, context, service):
            return {"who": context}

        def on_response(self, context, fetch, paths, response):
            self.seen.append((fetch.service, paths, response.extensions))

    hooks = Hooks()
    client = Scripted(
        assets=SubgraphResponse(ONE, [], {"trust": "FRESH"}),
        energy={"_entities": [{"energy": {"kwh": 1.0}}]},
    )

    result = await Executor(MESH, client, hooks=hooks).execute(
        GraphQLRequest('{ asset(id: "1") { energy { kwh } } }'), context="me"
    )

    assert result.data == {"asset": {"energy": {"kwh": 1.0}}}
    assert [r.headers for r in client.requests] == [{"x-for": "me-assets"}, {"x-for": "me-energy"}]
    assert b'"extensions":{"who":"me"}' in client.requests[0].body
    assert hooks.seen == [
        ("assets", ((),), {"trust": "FRESH"}),
        ("energy", (("asset",),), {}),
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "BAD_REQUEST"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("query ($id: ID!) { asset(id: $id) { name } }", "BAD_USER_INPUT"),
        ("{ " + " ".join(f"a{n}: __typename" for n in range(20)) + " }", "LIMIT_EXCEEDED"),
        ("{ a: assets { id } " * 1 + "b: assets { energy { site { name } } } }", "LIMIT_EXCEEDED"),
        ("{ " + "__typename " * 500 + "}", "LIMIT_EXCEEDED"),
        ("{" * 2000, "GRAPHQL_PARSE_FAILED"),
    ],
)
async def test_a_refused_request_says_why_and_asks_nobody(query, code):
    client = Scripted()
    limits = Limits(tokens=400, depth=3, aliases=10)

    result = await run(client, query, limits=limits)

    expected = {code, "LIMIT_EXCEEDED"} if query.startswith("{{") else {code}
    assert {e["extensions"]["code"] for e in result.errors} <= expected
    assert not result.has_data
    assert client.requests == []


async def test_introspection_is_answered_without_subgraphs_and_can_be_refused():
    query = '{ __schema { queryType { name } } __type(name: "Asset") { fields { name } } }'

    result = await run(Scripted(), query)
    refused = await run(Scripted(), query, introspection=False)

    assert result.data["__schema"] == {"queryType": {"name": "Query"}}
    assert {f["name"] for f in result.data["__type"]["fields"]} == {
        "id", "name", "energy", "health", "note",
    }  # fmt: skip
    assert refused.errors


async def test_a_request_ends_on_the_supergraph_that_it_began_with():
    started, finish = asyncio.Event(), asyncio.Event()

    async def slow(_):
        started.set()
        await finish.wait()
        return ONE

    engine = Engine(Scripted(assets=slow), supergraph=MESH)
    running = asyncio.create_task(engine.execute(GraphQLRequest('{ asset(id: "1") { name } }')))
    await started.wait()
    engine.swap(supergraph(assets=HEADER + "type Query { other: Int }"))

    assert engine.in_flight == 1
    assert not await engine.drain(timeout_s=0.01)
    refused = await engine.execute(GraphQLRequest('{ asset(id: "1") { name } }'))
    finish.set()
    result = await running

    assert refused.errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert result.data == {"asset": {"name": "P"}}
    assert await engine.drain(timeout_s=1.0)


async def test_an_engine_without_a_supergraph_is_unavailable():
    result = await Engine(Scripted()).execute(GraphQLRequest("{ __typename }"))

    assert result.errors[0]["extensions"] == {"code": "UNAVAILABLE", "retryable": True}
