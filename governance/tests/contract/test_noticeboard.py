"""One suite for every adapter of `Noticeboard`."""

from dataclasses import dataclass
from typing import Any

import pytest
from nats.js.errors import NoKeysError

from governance.adapters.memory import MemoryNoticeboard
from governance.adapters.nats import BUNDLES, CONTRACTS, MODELS, NatsNoticeboard
from twinmesh_sdk.adapters.nats import MeshNats


@dataclass
class Backend:
    """A noticeboard, and a way to look at it from outside."""

    board: Any
    read: Any
    lose: Any


@pytest.fixture
def memory():
    board = MemoryNoticeboard()

    async def read():
        return dict(board.contracts), dict(board.models), dict(board.objects)

    async def lose():
        board.contracts.clear()
        board.models.clear()
        board.objects.clear()

    return Backend(board, read, lose)


@pytest.fixture
async def nats(private_nats):
    bus = MeshNats(private_nats.url, user=private_nats.user, password=private_nats.password)

    async def entries(name):
        bucket = await bus.js.key_value(name)
        try:
            keys = await bucket.keys()
        except NoKeysError:
            return {}
        return {key: (await bucket.get(key)).value for key in keys}

    async def read():
        store = await bus.js.object_store(BUNDLES)
        names = [info.name for info in await store.list()]
        objects = {name: (await store.get(name)).data for name in names}
        return await entries(CONTRACTS), await entries(MODELS), objects

    async def lose():
        await bus.js.delete_key_value(CONTRACTS)
        await bus.js.delete_key_value(MODELS)
        await bus.js.delete_object_store(BUNDLES)

    async with bus:
        yield Backend(NatsNoticeboard(bus), read, lose)


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.stack)])
def backend(request):
    return request.getfixturevalue(request.param)


SHOWN = {
    "contracts": {"active.a": b"1", "event.a.b.c.v1": b"2", "budgets": b"{}"},
    "models": {"active.m": b"3"},
    "objects": {"supergraph-x": b"4" * 300_000},
}


async def test_what_is_shown_can_be_read(backend):
    written = await backend.board.show(**SHOWN)

    assert written == 5
    assert await backend.read() == tuple(SHOWN.values())


async def test_showing_the_same_again_writes_nothing(backend):
    await backend.board.show(**SHOWN)

    assert await backend.board.show(**SHOWN) == 0


async def test_what_is_no_longer_in_force_goes_and_objects_stay(backend):
    await backend.board.show(**SHOWN)
    await backend.board.show(
        contracts={"active.a": b"9"}, models={}, objects={"supergraph-y": b"5"}
    )
    contracts, models, objects = await backend.read()

    assert contracts == {"active.a": b"9"}
    assert models == {}
    assert set(objects) == {"supergraph-x", "supergraph-y"}


async def test_lost_buckets_are_made_again(backend):
    await backend.board.show(**SHOWN)
    await backend.lose()
    await backend.board.show(**SHOWN)

    assert await backend.read() == tuple(SHOWN.values())
