"""A subgraph's subscriptions: events of the bus, of the caller's tenant, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest
import strawberry
from strawberry.dataloader import DataLoader

from twinmesh.core.v1 import trust_pb2
from twinmesh_sdk import graphql
from twinmesh_sdk.adapters.nats import feed as feeds
from twinmesh_sdk.contract import Contract, descriptor_set
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, NotFoundError
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.core.trust import Trust, Verdict
from twinmesh_sdk.runtime import (
    TwinService,
    TwinSettings,
    current_principal,
    current_read_time,
    current_tenant,
)
from twinmesh_sdk.testing.clock import START
from twinmesh_sdk.testing.mesh import register, running, settings_for

TYPE = EventType("test.trust.changed.v1")
ACME = Tenant("acme")


@strawberry.type
class Change:
    subject: strawberry.ID

    @strawberry.field
    async def load(self, info: strawberry.Info) -> int:
        return await info.context.loader.load(str(self.subject))

    @strawberry.field
    def trust(self) -> graphql.Trust:
        return graphql.Trust.of(Trust(Verdict.LATE))

    @strawberry.field
    def now(self) -> str:
        return format_time(current_read_time().now)

    @strawberry.field
    def failing(self) -> str | None:
        raise NotFoundError("no such thing")


@strawberry.type
class Query:
    @strawberry.field
    def who(self) -> str:
        return current_principal().subject


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def changed(
        self, info: strawberry.Info, only: strawberry.ID | None = None
    ) -> AsyncGenerator[Change, None]:
        current_principal().require("read")
        async for event in info.context.feed.listen(current_tenant()):
            if only is None or event.subject == only:
                yield Change(subject=strawberry.ID(event.subject))


SCHEMA = graphql.subgraph_schema(Query, subscription=Subscription)
CONTRACT = Contract.of(
    {
        "name": "tester",
        "version": "1.0.0",
        "kind": "foundation",
        "contract": {"events": [{"type": TYPE, "message": "twinmesh.core.v1.Trust"}]},
    },
    graphql.sdl_of(SCHEMA),
    descriptor_set(["twinmesh.core.v1"]),
)


class Context:
    """Per event: a loader of its own, that counts the calls of all."""

    calls = 0

    def __init__(self, feed):
        self.feed = feed

        async def load(ids):
            Context.calls += 1
            return [Context.calls for _ in ids]

        self.loader = DataLoader(load_fn=load)


def event(version, subject="a", *, tenant=ACME):
    return Envelope(
        id=event_id(tenant=tenant, type=TYPE, aggregate_id=subject, aggregate_version=version),
        type=TYPE,
        source="tester",
        tenant=tenant,
        subject=subject,
        time=START,
        data=trust_pb2.Trust(decision="trip").SerializeToString(),
    )


@asynccontextmanager
async def a_twin(nats, bus, issuer):
    service = TwinService(
        settings_for(TwinSettings, nats_url=nats.url, issuer=issuer.url), CONTRACT
    )
    feed = service.event_feed(TYPE)
    service.add_subgraph(SCHEMA, lambda: Context(feed))
    await register(bus, CONTRACT)
    async with (
        running(service),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}", timeout=15) as http,
    ):
        await feed.wait_live()
        yield service, feed, http


@asynccontextmanager
async def subscribed(http, query, headers, **variables):
    body = {"query": query, "variables": variables}
    sent = {**headers, "accept": "text/event-stream"}
    async with http.stream("POST", "/graphql", json=body, headers=sent) as response:
        yield response, read(response)


async def read(response):
    name = None
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:") and name:
            data = line.removeprefix("data:").strip()
            yield name, json.loads(data) if data else None


async def listeners(feed, count):
    async with asyncio.timeout(15):
        while len(feed._listeners) != count:  # noqa: ASYNC110 - another task's state
            await asyncio.sleep(0.01)


async def test_a_tenants_events_reach_its_subscriber_and_no_others(nats, bus, issuer):
    query = "subscription { changed { subject load now trust { verdict } } }"
    async with a_twin(nats, bus, issuer) as (service, feed, http):
        Context.calls = 0
        async with subscribed(http, query, issuer.headers()) as (response, events):
            assert response.headers["content-type"].startswith("text/event-stream")
            await listeners(feed, 1)
            await service.publisher.publish(event(1, "x", tenant=Tenant("other")))
            await service.publisher.publish(event(1, "a"))
            name, first = await anext(events)
            await service.publisher.publish(event(2, "a"))
            _, second = await anext(events)
        await listeners(feed, 0)

    assert name == "next"
    changes = [first["data"]["changed"], second["data"]["changed"]]
    assert [c["subject"] for c in changes] == ["a", "a"]
    assert [c["load"] for c in changes] == [1, 2], "each event has loaders of its own"
    assert changes[0]["now"] < changes[1]["now"], "each event is answered at its moment"
    assert first["extensions"]["twinmesh"]["trust"]["verdict"] == "LATE"


async def test_variables_narrow_what_is_heard_and_a_failed_field_is_coded(nats, bus, issuer):
    query = "subscription ($only: ID) { changed(only: $only) { subject failing } }"
    async with (
        a_twin(nats, bus, issuer) as (service, feed, http),
        subscribed(http, query, issuer.headers(), only="b") as (_, events),
    ):
        await listeners(feed, 1)
        await service.publisher.publish(event(1, "a"))
        await service.publisher.publish(event(1, "b"))
        _, answer = await anext(events)
    assert answer["data"]["changed"] == {"subject": "b", "failing": None}
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_whoever_has_the_head_of_the_answer_misses_nothing_from_then_on(nats, bus, issuer):
    query = "subscription { changed { subject } }"
    async with a_twin(nats, bus, issuer) as (service, feed, http):
        for version in range(5):
            async with subscribed(http, query, issuer.headers()) as (_, events):
                assert len(feed._listeners) == 1
                await service.publisher.publish(event(version, f"s{version}"))
                assert (await anext(events))[1]["data"]["changed"]["subject"] == f"s{version}"
            await listeners(feed, 0)


async def test_a_stream_outlives_the_deadline_of_a_request(nats, bus, issuer):
    headers = {**issuer.headers(), "tm-deadline-ms": "300"}
    query = "subscription { changed { subject } }"
    async with (
        a_twin(nats, bus, issuer) as (service, feed, http),
        subscribed(http, query, headers) as (_, events),
    ):
        await listeners(feed, 1)
        await asyncio.sleep(1.2)
        await service.publisher.publish(event(1))
        assert (await anext(events))[1]["data"]["changed"]["subject"] == "a"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("{ who }", 400),
        ("subscription {", 400),
        ("subscription A { changed { subject } } subscription B { changed { subject } }", 400),
    ],
)
async def test_what_is_no_subscription_is_refused(nats, bus, issuer, query, status):
    async with (
        a_twin(nats, bus, issuer) as (_, _, http),
        subscribed(http, query, issuer.headers()) as (response, _),
    ):
        assert response.status_code == status


async def test_who_may_not_subscribe_is_told_so(nats, bus, issuer):
    query = "subscription { changed { subject } }"
    async with a_twin(nats, bus, issuer) as (_, _, http):
        async with subscribed(http, query, {}) as (response, _):
            assert response.status_code == 401
        async with subscribed(http, query, issuer.headers(roles=[])) as (_, events):
            found = [e async for e in events]
        async with subscribed(http, "subscription { no }", issuer.headers()) as (_, events):
            invalid = [e async for e in events]
    assert [name for name, _ in found] == ["next", "complete"]
    assert found[0][1]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert invalid[0][1]["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_an_interruption_ends_the_stream_and_the_feed_goes_on(nats, bus, issuer):
    query = "subscription { changed { subject } }"
    async with a_twin(nats, bus, issuer) as (service, feed, http):
        async with subscribed(http, query, issuer.headers()) as (_, events):
            await listeners(feed, 1)
            feed._interrupt()
            found = [e async for e in events]
        assert found[0][1]["errors"][0]["extensions"] | {"traceId": ""} == {
            "code": "UNAVAILABLE", "retryable": True, "traceId": "",
            "hint": "subscribe again, look up the rest",
        }  # fmt: skip
        async with subscribed(http, query, issuer.headers()) as (_, events):
            await listeners(feed, 1)
            await service.publisher.publish(event(1))
            assert (await anext(events))[0] == "next"


def test_who_does_not_take_events_hears_no_more():
    listener = feeds._Listener(ACME)
    for version in range(feeds.MAX_WAITING + 5):
        listener.give(event(version))
    assert len(listener.waiting) == feeds.MAX_WAITING
    assert isinstance(listener.failure, LimitExceededError)


async def test_a_feed_takes_only_types_of_the_charter(nats, issuer):
    service = TwinService(
        settings_for(TwinSettings, nats_url=nats.url, issuer=issuer.url), CONTRACT
    )
    with pytest.raises(InvalidInputError):
        service.event_feed("other.thing.happened.v1")
