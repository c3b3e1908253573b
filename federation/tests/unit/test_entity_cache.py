"""Entities kept for a while: found again only where nothing tells the requests apart."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_federation import Engine, GraphQLRequest, Subgraph, compose
from twinmesh_federation.execution.client import SubgraphRequest, SubgraphResponse
from twinmesh_federation.execution.entity_cache import EntityCache, EntityCachingClient
from twinmesh_federation.testing import LocalSubgraphs
from twinmesh_federation.testing.local import LocalSubgraph

QUERY = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Pump { name } } }"
WITH = (
    "query($r: [_Any!]!, $n: Int) { _entities(representations: $r) { ... on Pump { n(of: $n) } } }"
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Pumps:
    """Answers pumps, counts what it is asked, fails for those told."""

    def __init__(self, broken=(), extensions=None):
        self.asked = []
        self.broken = set(broken)
        self.extensions = extensions or {}

    def pump(self, i):
        return None if i in self.broken else {"name": f"{i}@{len(self.asked)}"}

    async def send(self, request):
        variables = orjson.loads(request.body)["variables"]
        ids = [r["id"] for r in variables["r"]]
        self.asked.append(ids)
        return SubgraphResponse(
            {"_entities": [self.pump(i) for i in ids]},
            [
                {"message": "broken", "path": ["_entities", at]}
                for at, i in enumerate(ids)
                if i in self.broken
            ],
            dict(self.extensions),
        )  # fmt: skip

    async def close(self):
        pass


def client(pumps, *, clock=None, ttl_s=10.0, vary=None, keeps=lambda _: True, **bounds):
    cache = EntityCache(clock=clock or Clock(), **bounds)
    vary = vary or (lambda request: tuple(sorted(request.headers.items())))
    return EntityCachingClient(pumps, cache, ttl_s={"Pump": ttl_s}, vary=vary, keeps=keeps)


async def ask(cached, *ids, query=QUERY, idempotent=True, variables=None, **headers):
    representations = [{"__typename": "Pump", "id": i} for i in ids]
    body = orjson.dumps({"query": query, "variables": {"r": representations, **(variables or {})}})
    return await cached.send(SubgraphRequest("plants", "u", body, headers, 1.0, idempotent))


def names(response):
    return [e and e["name"] for e in response.data["_entities"]]


async def test_what_is_known_is_not_asked_again_and_says_its_age():
    clock, pumps = Clock(), Pumps()
    cached = client(pumps, clock=clock)
    first = await ask(cached, "a", "b")
    clock.now = 4.0
    second = await ask(cached, "b", "c", "a")
    clock.now = 6.0
    third = await ask(cached, "c", "a")

    assert pumps.asked == [["a", "b"], ["c"]]
    assert first.cached is None
    assert names(second) == ["b@1", "c@2", "a@1"]
    assert (second.cached.entities, second.cached.types) == (2, ("Pump",))
    assert second.cached.oldest_s == 4.0
    assert names(third) == ["c@2", "a@1"]
    assert (third.cached.entities, third.cached.oldest_s) == (2, 6.0)


async def test_an_entity_is_asked_for_again_after_its_time():
    clock, pumps = Clock(), Pumps()
    cached = client(pumps, clock=clock)
    await ask(cached, "a")
    clock.now = 10.0
    again = await ask(cached, "a")
    assert again.cached is None
    assert names(again) == ["a@2"]


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"authorization": "another"}},
        {"query": QUERY.replace("name", "id name")},
        {"idempotent": False},
    ],
)
async def test_what_tells_requests_apart_tells_entities_apart(other):
    pumps = Pumps()
    cached = client(pumps)
    await ask(cached, "a", authorization="one")
    headers = other.pop("headers", {"authorization": "one"})
    await ask(cached, "a", **other, **headers)
    assert pumps.asked == [["a"], ["a"]]


async def test_arguments_tell_entities_apart():
    pumps = Pumps()
    cached = client(pumps)
    for n in (1, 2, 1):
        await ask(cached, "a", query=WITH, variables={"n": n})
    assert len(pumps.asked) == 2


async def test_a_request_may_be_kept_out_of_the_cache():
    pumps = Pumps()
    cached = client(pumps, vary=lambda _: None)
    await ask(cached, "a")
    await ask(cached, "a")
    assert len(pumps.asked) == 2


async def test_failed_and_absent_entities_are_not_kept_and_errors_find_their_places():
    pumps = Pumps(broken="x")
    cached = client(pumps)
    await ask(cached, "a")
    answer = await ask(cached, "a", "b", "x")
    assert names(answer) == ["a@1", "b@2", None]
    assert answer.errors == [{"message": "broken", "path": ["_entities", 2]}]
    again = await ask(cached, "x", "b")
    assert pumps.asked[-1] == ["x"]
    assert again.errors[0]["path"] == ["_entities", 0]


async def test_answers_that_may_not_be_kept_are_not():
    pumps = Pumps(extensions={"trust": "LATE"})
    cached = client(pumps, keeps=lambda response: "trust" not in response.extensions)
    await ask(cached, "a")
    await ask(cached, "a")
    assert len(pumps.asked) == 2


async def test_what_the_engine_does_to_an_answer_does_not_reach_the_cache():
    cached = client(Pumps())
    await ask(cached, "a")
    (await ask(cached, "a")).data["_entities"][0]["name"] = "changed"
    assert names(await ask(cached, "a")) == ["a@1"]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 200)), max_size=60))
def test_the_cache_stays_within_its_bounds(puts):
    cache = EntityCache(entries=8, max_bytes=500)
    for key, size in puts:
        cache.put(key, {"x": "y" * size}, 10.0)
        assert len(cache) <= 8
        assert cache.held_bytes <= 500
    cache.clear()
    assert (len(cache), cache.held_bytes) == (0, 0)


async def test_the_engine_answers_the_same_with_and_without_it():
    link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])'
    list_sdl = link + ' type Query { pumps: [Pump] } type Pump @key(fields: "id") { id: ID! }'
    name_sdl = link + ' type Pump @key(fields: "id") { id: ID! name: String }'

    def local(sdl):
        return LocalSubgraph(
            sdl,
            resolve=lambda source, info, **_: (
                [{"id": str(n)} for n in range(5)]
                if info.field_name == "pumps"
                else source.get(info.field_name)
            ),
            resolve_entity=lambda r: {**r, "name": f"pump {r['id']}"},
            resolve_type=lambda value, info: value["__typename"],
        )

    subgraphs = LocalSubgraphs({"list": local(list_sdl), "names": local(name_sdl)})
    composed = compose([Subgraph("list", "", list_sdl), Subgraph("names", "", name_sdl)])
    cached = client(subgraphs)
    engine = Engine(cached, supergraph=composed.supergraph)
    request = GraphQLRequest("{ pumps { id name } }")
    first, second = [await engine.execute(request) for _ in range(2)]
    assert first.data == second.data
    assert first.data["pumps"][3] == {"id": "3", "name": "pump 3"}
    assert subgraphs.sent == ["list", "names", "list"]
