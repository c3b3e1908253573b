import asyncio

import pytest

from twinmesh_federation.execution.client import (
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)
from twinmesh_federation.execution.resilience import (
    DeduplicatingClient,
    Resilience,
    ResilientClient,
)


class Flaky:
    """Fails as often as told, then answers."""

    def __init__(self, failures, code="UNAVAILABLE"):
        self.failures = failures
        self.code = code
        self.sent = 0

    async def send(self, request):
        self.sent += 1
        if self.failures:
            self.failures -= 1
            raise SubgraphFailure(self.code, "down", retryable=True)
        return SubgraphResponse({"a": [self.sent]})

    async def close(self):
        pass


def request(*, idempotent=True, **headers):
    return SubgraphRequest("s", "http://s", b"{}", headers, 1.0, idempotent)


async def test_a_query_is_retried_once_and_a_mutation_never():
    flaky = Flaky(1)
    assert (await ResilientClient(flaky, Resilience(backoff_s=0.0)).send(request())).data

    with pytest.raises(SubgraphFailure):
        await ResilientClient(Flaky(1), Resilience(backoff_s=0.0)).send(request(idempotent=False))


async def test_a_timeout_is_not_retried():
    flaky = Flaky(1, "TIMEOUT")

    with pytest.raises(SubgraphFailure):
        await ResilientClient(flaky, Resilience(backoff_s=0.0)).send(request())

    assert flaky.sent == 1


async def test_an_open_circuit_spares_the_subgraph_until_one_request_succeeds():
    now = 0.0
    flaky = Flaky(3, "TIMEOUT")
    client = ResilientClient(
        flaky, Resilience(attempts=1, failures_to_open=3, open_s=5.0), lambda: now
    )
    for _ in range(5):
        with pytest.raises(SubgraphFailure) as failure:
            await client.send(request())

    assert flaky.sent == 3
    assert failure.value.code == "TIMEOUT"

    now = 6.0
    await client.send(request())
    await client.send(request())

    assert flaky.sent == 5


async def test_equal_requests_under_way_share_one_and_get_their_own_copies():
    gate = asyncio.Event()

    class Slow(Flaky):
        async def send(self, request):
            await gate.wait()
            return await super().send(request)

    slow = Slow(0)
    client = DeduplicatingClient(slow, ("authorization",))
    tasks = [
        asyncio.create_task(client.send(request(authorization=who))) for who in ("a", "a", "b")
    ]
    await asyncio.sleep(0)
    gate.set()
    first, second, third = await asyncio.gather(*tasks)

    assert slow.sent == 2
    assert first.data == second.data != third.data
    assert first.data is not second.data
