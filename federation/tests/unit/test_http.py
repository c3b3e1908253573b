"""The Starlette handler: methods, media types, bounds, refusals."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_federation import Engine, Subgraph, SubgraphResponse, compose
from twinmesh_federation.execution.limits import nests_deeper
from twinmesh_federation.http import (
    GRAPHQL_RESPONSE,
    GraphQLHandler,
    RefusedRequest,
    accepted_media,
    application,
)

SDL = "type Query { hello: String } type Mutation { change: Int }"


class Answering:
    async def send(self, request):
        return SubgraphResponse({"hello": "world", "change": 1})

    async def close(self):
        pass


def client(**options):
    supergraph = compose([Subgraph("a", "http://a", SDL)]).supergraph
    engine = Engine(Answering(), supergraph=supergraph)
    app = application(engine, GraphQLHandler(engine, **options))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/json;q=0.5, application/graphql-response+json;q=0.9", GRAPHQL_RESPONSE),
        ("text/html, application/*;q=0.1", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
    ],
)
def test_the_media_type_is_the_one_the_client_prefers(accept, media):
    assert accepted_media(accept) == media


async def test_a_query_is_answered_by_post_and_get():
    async with client() as http:
        post = await http.post("/graphql", json={"query": "{ hello }"})
        get = await http.get("/graphql", params={"query": "{ hello }"})

    assert post.json() == get.json() == {"data": {"hello": "world"}}
    assert post.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET", "params": {"query": "mutation { change }"}}, 405),
        ({"method": "PUT", "json": {"query": "{ hello }"}}, 405),
        ({"method": "POST", "content": b"{", "headers": {"content-type": "application/json"}}, 400),
        (
            {"method": "POST", "content": b"{ hello }", "headers": {"content-type": "text/plain"}},
            415,
        ),
        ({"method": "POST", "json": [{"query": "{ hello }"}]}, 400),
        ({"method": "POST", "json": {"query": 1}}, 400),
        ({"method": "POST", "json": {"query": "{ hello }", "variables": []}}, 400),
        ({"method": "POST", "json": {}}, 400),
        ({"method": "POST", "json": {"query": "x" * 2_000}}, 413),
        (
            {"method": "POST", "json": {"query": "{ hello }"}, "headers": {"accept": "text/html"}},
            406,
        ),
        ({"method": "POST", "json": {"query": "{ nothing }"}}, 200),
        (
            {
                "method": "POST",
                "json": {"query": "{ nothing }"},
                "headers": {"accept": GRAPHQL_RESPONSE},
            },
            400,
        ),
    ],
)
async def test_what_cannot_be_answered_has_the_right_status_and_one_error(request_, status):
    async with client(max_body_bytes=1_000) as http:
        response = await http.request(url="/graphql", **request_)

    assert response.status_code == status
    assert response.json()["errors"]
    assert "data" not in response.json()


async def test_a_context_may_refuse_and_a_result_may_be_finished():
    def context(request, _graphql_request):
        if "authorization" not in request.headers:
            raise RefusedRequest(
                401, "UNAUTHENTICATED", "who?", headers={"www-authenticate": "Bearer"}
            )
        return request.headers["authorization"]

    def finish(context, result):
        result.extensions["who"] = context

    async with client(context=context, finish=finish) as http:
        refused = await http.post("/graphql", json={"query": "{ hello }"})
        answered = await http.post(
            "/graphql", json={"query": "{ hello }"}, headers={"authorization": "me"}
        )

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert answered.json()["extensions"] == {"who": "me"}


async def test_health_says_whether_a_supergraph_is_in_force():
    async with client() as http:
        assert (await http.get("/healthz")).status_code == 200
    empty = Engine(Answering())
    app = application(empty, GraphQLHandler(empty))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://t"
    ) as http:
        assert (await http.get("/healthz")).status_code == 503
        unready = await http.post("/graphql", json={"query": "{ hello }"})
    assert unready.status_code == 503


class Deep:
    """A subgraph whose scalar nests as deep as JSON is read."""

    async def send(self, request):
        assert request.body
        return SubgraphResponse({"any": json.loads("[" * 400 + "]" * 400)})

    async def close(self):
        pass


async def test_json_that_nests_too_deeply_is_refused_both_ways():
    sdl = "scalar Any type Query { any(of: Any): Any }"
    supergraph = compose([Subgraph("a", "http://a", sdl)]).supergraph
    engine = Engine(Deep(), supergraph=supergraph)
    app = application(engine, GraphQLHandler(engine))
    query = "query ($of: Any) { any(of: $of) }"
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as http:
        codes = []
        for depth in (5, 400):
            of = "[" * depth + "]" * depth
            body = f'{{"query": "{query}", "variables": {{"of": {of}}}}}'
            headers = {"content-type": "application/json"}
            answer = await http.post("/graphql", content=body, headers=headers)
            codes.append(answer.json()["errors"][0]["extensions"]["code"])
    assert codes == ["BAD_RESPONSE", "LIMIT_EXCEEDED"]


@given(st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=20))
def test_depth_is_counted_as_brackets_nest(value):
    depth, deepest = 0, 0
    for character in json.dumps(value):
        depth += {"[": 1, "]": -1}.get(character, 0)
        deepest = max(deepest, depth)
    assert not nests_deeper(value, deepest)
    assert deepest == 0 or nests_deeper(value, deepest - 1)
