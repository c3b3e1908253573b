"""One suite for every adapter of `HeadBoard`; what the stream refuses; who publishes on them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.js.errors import APIError

from governance.adapters.heads import STREAM, FileHeads, NatsHeads
from governance.adapters.memory import MemoryHeads, MemoryRegistry, MemoryTrail
from governance.decide import audit_heads
from governance.decide.merkle import Frontier, leaf_hash
from governance.model.audit import AuditEntry, LogName, TreeHead
from governance.usecases.auditing import AuditHeads, Forked, PublishHeads
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError
from twinmesh_sdk.testing.clock import SimulatedClock

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ACME, MESH = LogName("acme"), LogName("_mesh")


def head(size, log=ACME):
    frontier, _ = Frontier().extended(leaf_hash(bytes([n])) for n in range(size))
    return audit_heads.sign(TreeHead(log, size, frontier.root, NOW), KEY)


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as bus:
        await ensure_streams(bus)
        yield bus


@pytest.fixture
def memory():
    return MemoryHeads()


@pytest.fixture
def file(tmp_path):
    return FileHeads(tmp_path / "audit" / "heads.jsonl")


@pytest.fixture
def nats(bus):
    return NatsHeads(bus)


@pytest.fixture(params=["memory", "file", pytest.param("nats", marks=pytest.mark.stack)])
def board(request):
    return request.getfixturevalue(request.param)


async def test_published_heads_are_found_by_log_and_length(board):
    assert await board.latest(ACME) is None
    for each in (head(1), head(4, MESH), head(3), head(7)):
        await board.publish(each)

    assert await board.latest(ACME) == head(7)
    assert await board.latest(MESH) == head(4, MESH)
    assert await board.heads(ACME, after=0, limit=10) == [head(1), head(3), head(7)]
    assert await board.heads(ACME, after=1, limit=1) == [head(3)]


@pytest.mark.stack
async def test_nobody_deletes_from_the_stream_of_heads(bus):
    await NatsHeads(bus).publish(head(1))

    with pytest.raises(APIError):
        await bus.js.purge_stream(STREAM)
    with pytest.raises(APIError):
        await bus.js.delete_msg(STREAM, 1)
    config = (await bus.js.stream_info(STREAM)).config
    for weaker in ({"deny_delete": False}, {"deny_purge": False}):
        with pytest.raises(APIError):
            await bus.js.update_stream(replace(config, **weaker))


async def test_a_file_that_was_written_over_is_said_to_be_unreadable(tmp_path):
    path = tmp_path / "heads.jsonl"
    path.write_text("not a head\n")
    with pytest.raises(InvalidInputError):
        await FileHeads(path).latest(ACME)
    with pytest.raises(UnavailableError):
        await FileHeads(tmp_path).publish(head(1))


@pytest.fixture
def registry():
    return MemoryRegistry()


@pytest.fixture
def publisher(registry, memory):
    trail = MemoryTrail(registry)

    def make():
        return PublishHeads(trail, AuditHeads(trail, KEY, SimulatedClock(NOW)), [memory])

    return make


async def append(registry, count, subject="pump"):
    entry = AuditEntry(NOW, "mara", "acme", "model.approve", subject, "ACCEPTED")
    await MemoryTrail(registry).append(ACME, [entry] * count)


async def test_a_log_that_grew_gets_a_head_and_one_that_did_not_gets_none(
    registry, memory, publisher
):
    publish = publisher()
    await append(registry, 3)
    await publish()
    await publish()
    await append(registry, 2)
    await publish()
    await publisher()()  # a new process

    assert [h.head.size for h in memory.published] == [3, 5]


@pytest.mark.parametrize("written_anew", [2, 4])
async def test_a_log_that_does_not_continue_what_was_published_is_reported_and_gets_no_head(
    registry, memory, publisher, written_anew
):
    await append(registry, 3)
    await publisher()()
    registry.state.audit.clear()
    await append(registry, written_anew, subject="another past")

    publish = publisher()
    assert await publish() == [Forked(ACME, 3)]
    assert await publish() == []
    assert [h.head.size for h in memory.published] == [3]
