"""One suite for every adapter of `AuditTrail`, and what only the database can promise."""

import asyncio
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryRegistry, MemoryTrail
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresRegistry, PostgresTrail
from governance.adapters.postgres.audit import append
from governance.decide import merkle
from governance.decide.audit_leaf import ERASED, opened
from governance.decide.merkle import Frontier, leaf_hash
from governance.model.audit import AuditEntry, LogName
from twinmesh_sdk.core.errors import UnavailableError

ACME = LogName("acme")


@dataclass
class Backend:
    registry: Any
    trail: Any


@pytest.fixture
def memory():
    registry = MemoryRegistry()
    return Backend(registry, MemoryTrail(registry))


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url, pool_size=10)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def postgres(engine):
    return Backend(PostgresRegistry(engine), PostgresTrail(engine))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def backend(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def entry(now):
    def make(**parts):
        made = AuditEntry(now, "mara", "acme", "model.approve", "pump 1.0.0", "ACCEPTED")
        return replace(made, **parts)

    return make


async def root(trail, log=ACME):
    size = await trail.size(log)
    ranges = [(0, size)]
    return merkle.proof(ranges, await trail.nodes(log, merkle.wanted(ranges)))[0]


async def test_an_entry_comes_back_as_it_was_recorded(backend, entry):
    made = entry(detail={"model": "pump", "note": "fine"}, personal={"phone": "0123"})
    await backend.trail.append(ACME, [made])

    assert [opened(e) for e in await backend.trail.entries(ACME, after=0, limit=9)] == [
        replace(made, sequence=1)
    ]
    assert await backend.registry.audit("acme", before=None, limit=9) == [replace(made, sequence=1)]


async def test_the_stored_subtrees_give_the_root_of_the_entries(backend, entry):
    for batch in (1, 2, 5, 1):
        await backend.trail.append(ACME, [entry(subject=str(n)) for n in range(batch)])
    entries = await backend.trail.entries(ACME, after=0, limit=100)

    assert [e.sequence for e in entries] == list(range(1, 10))
    assert await root(backend.trail) == (
        Frontier().extended(leaf_hash(e.leaf) for e in entries)[0].root
    )


async def test_concurrent_appends_leave_no_gap_and_tenants_have_their_own_count(backend, entry):
    async def alone(n):
        await backend.trail.append(LogName(f"t{n % 3}"), [entry(tenant=f"t{n % 3}")] * (n % 4 + 1))

    async def with_state(n):
        try:
            async with backend.registry.exclusive() as session:
                await session.record(entry(tenant=f"t{n % 3}", subject="with state"))
                if n % 2:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    await asyncio.gather(*(call(n) for n in range(12) for call in (alone, with_state)))

    expected = {
        f"t{t}": sum(n % 4 + 1 + (n % 2 == 0) for n in range(12) if n % 3 == t) for t in range(3)
    }
    assert await backend.trail.sizes() == expected
    for log, size in expected.items():
        entries = await backend.trail.entries(LogName(log), after=0, limit=100)
        assert [e.sequence for e in entries] == list(range(1, size + 1))
        tree, _ = Frontier().extended(leaf_hash(e.leaf) for e in entries)
        assert await root(backend.trail, LogName(log)) == tree.root


async def test_nothing_stays_of_an_append_that_cannot_be_recorded(backend, entry):
    with pytest.raises(Exception, match="at most"):
        await backend.trail.append(ACME, [entry(), entry(subject="x" * 500)])

    assert await backend.trail.size(ACME) == 0


async def test_erasing_a_person_leaves_every_leaf_and_root_as_it_was(backend, entry):
    await backend.trail.append(
        ACME,
        [
            entry(detail={"note": "my word"}),
            entry(actor="tom", detail={"reason": "mara submitted it", "n": 1}),
            entry(actor="tom", detail={"reason": "tamara did"}),
        ],
    )
    before = await backend.trail.entries(ACME, after=0, limit=9)
    said = await backend.trail.erase("mara", entry(actor="dpo", action="audit.erase", subject=""))
    after = await backend.trail.entries(ACME, after=0, limit=9)

    assert [e.leaf for e in after[:3]] == [e.leaf for e in before]
    views = [opened(e) for e in after]
    assert [v.actor for v in views] == [ERASED, "tom", "tom", "dpo"]
    assert [v.detail.get("note") or v.detail.get("reason") for v in views[:3]] == [
        ERASED, ERASED, "tamara did",
    ]  # fmt: skip
    assert said.sequence == 4
    assert (views[3].subject, views[3].outcome) == (before[0].person, "ACCEPTED")
    assert views[3].detail == {"texts": 2}
    assert await root(backend.trail) == (
        Frontier().extended(leaf_hash(e.leaf) for e in after)[0].root
    )


async def test_who_comes_back_after_an_erasure_has_another_pseudonym(backend, entry):
    first = (await backend.trail.append(ACME, [entry()]))[0]
    await backend.trail.erase("mara", entry(actor="dpo"))
    again = (await backend.trail.append(ACME, [entry()]))[0]
    unknown = await backend.trail.erase("nobody", entry(actor="dpo"))

    assert again.person != first.person
    assert opened(unknown).outcome == "UNCHANGED"


@pytest.mark.stack
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET leaf = ''",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_nodes SET hash = ''",
        "DELETE FROM audit_nodes",
        "UPDATE audit_logs SET size = 1",
        "DELETE FROM audit_logs",
        "UPDATE audit_texts SET text = 'x'",
        "UPDATE audit_persons SET subject = 'x'",
    ],
)
async def test_the_database_refuses_what_an_append_only_log_never_does(
    postgres, engine, entry, change
):
    await postgres.trail.append(ACME, [entry(detail={"note": "n"})] * 2)

    with pytest.raises(DBAPIError, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text(change))


@pytest.mark.stack
async def test_an_append_is_on_disk_whatever_the_servers_default(postgres, engine, entry):
    seen = []

    async def watch(connection):
        seen.append((await connection.execute(text("SHOW synchronous_commit"))).scalar_one())

    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL synchronous_commit = off"))
        await append(connection, ACME, [entry()])
        await watch(connection)
        fsync = (await connection.execute(text("SHOW fsync"))).scalar_one()

    assert (seen, fsync) == (["on"], "on")


@pytest.mark.stack
async def test_a_log_from_before_there_were_trees_is_carried_over(database_url, now):
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, "0001")
        for number, tenant in enumerate(["acme", "globex", "acme"], 1):
            await connection.execute(
                text(
                    "INSERT INTO audit VALUES (:n, :at, 'mara', :tenant, 'model.approve', 'pump', "
                    '\'REFUSED\', \'{"reason": "no", "n": 1}\')'
                ),
                {"n": number, "at": now, "tenant": tenant},
            )
    await migrate(engine)
    trail = PostgresTrail(engine)

    assert await trail.sizes() == {"acme": 2, "globex": 1}
    last = (await trail.entries(ACME, after=1, limit=9))[0]
    assert opened(last) == AuditEntry(
        now, "mara", "acme", "model.approve", "pump", "REFUSED", {"reason": "no", "n": 1}, 2
    )
    await trail.append(ACME, [opened(last)])
    assert (
        await root(trail)
        == (
            Frontier().extended(
                leaf_hash(e.leaf) for e in await trail.entries(ACME, after=0, limit=9)
            )
        )[0].root
    )
    await engine.dispose()


def _upgrade(connection, revision):
    config = Config()
    config.set_main_option("script_location", str(files("governance") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_a_store_that_is_not_there_is_unavailable(entry):
    engine = create_async_engine("postgresql+asyncpg://nobody:x@127.0.0.1:1/none")
    with pytest.raises(UnavailableError):
        await PostgresTrail(engine).append(ACME, [entry()])
    await engine.dispose()
