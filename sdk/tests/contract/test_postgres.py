"""Outbox, inbox and recorded clock on real PostgreSQL, and the migrations that make them."""

import asyncio
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from twinmesh_sdk.adapters.postgres import (
    Database,
    PostgresInbox,
    PostgresOutbox,
    RecordedClock,
    migrate,
)
from twinmesh_sdk.core.errors import (
    ConflictError,
    InvalidInputError,
    UnavailableError,
)
from twinmesh_sdk.core.events import Envelope, EventType
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import START, SimulatedClock

ENV = """
from twinmesh_sdk.adapters.postgres import run_migrations
run_migrations()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
from twinmesh_sdk.adapters.postgres import add_mesh_tables
revision, down_revision, branch_labels, depends_on = "0001", None, None, None
def upgrade():
    add_mesh_tables(op)
    op.create_table("thing", sa.Column("name", sa.Text, primary_key=True),
                    sa.Column("small", sa.SmallInteger, nullable=False))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None
def upgrade():
    op.add_column("thing", sa.Column("note", sa.Text))
"""
INSERT = sa.text("INSERT INTO thing (name, small) VALUES (:name, :small)")
AGE_FIRST_TWO = sa.text(
    "UPDATE mesh_inbox SET handled_at = now() - interval '46 days' WHERE event_id < 'evt_2'"
)
NAMES = sa.text("SELECT name FROM thing ORDER BY name")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A service's package with migrations, as a service ships it."""
    home = tmp_path / "some_twin"
    (home / "migrations" / "versions").mkdir(parents=True)
    (home / "__init__.py").touch()
    (home / "migrations" / "env.py").write_text(ENV)
    (home / "migrations" / "versions" / "v0001.py").write_text(FIRST)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield home
    sys.modules.pop("some_twin", None)


@pytest.fixture
async def database(database_url, package):
    async with Database(database_url, package=package.name) as opened:
        yield opened


def event(number):
    return Envelope(
        id=f"evt_{number}",
        type=EventType("test.thing.made.v1"),
        source="tester",
        tenant=Tenant("acme"),
        subject="a",
        time=START,
        data=bytes([number]),
        traceparent=f"00-{number:032x}-{1:016x}-01",
    )


async def insert(database, name, small=1):
    async with database.begin() as connection:
        await connection.execute(INSERT, {"name": name, "small": small})


async def names(database):
    async with database.connect() as connection:
        return list((await connection.execute(NAMES)).scalars())


async def test_processes_that_start_together_migrate_once(database_url, package):
    await asyncio.gather(*(migrate(database_url, package.name) for _ in range(4)))
    (package / "migrations" / "versions" / "v0002.py").write_text(SECOND)
    await asyncio.gather(*(migrate(database_url, package.name) for _ in range(4)))

    async with Database(database_url) as database, database.connect() as connection:
        await connection.execute(sa.text("SELECT note FROM thing"))


async def test_state_and_events_are_saved_together_or_not_at_all(database):
    outbox = PostgresOutbox(database)

    async def save_and_crash():
        async with database.begin():
            await insert(database, "lost")
            await outbox.add([event(1)])
            raise RuntimeError("crash before the commit")

    with pytest.raises(RuntimeError):
        await save_and_crash()
    async with database.begin():
        await insert(database, "kept")
        await outbox.add([event(2)])

    assert await names(database) == ["kept"]
    assert [entry.envelope for entry in await outbox.pending(10)] == [event(2)]


async def test_the_outbox_gives_the_oldest_first_and_forgets_what_was_sent(database):
    outbox = PostgresOutbox(database)
    await outbox.add(event(n) for n in range(5))
    await outbox.add([event(3)])

    first = await outbox.pending(2)
    await outbox.delete([entry.key for entry in first])

    assert [entry.envelope.id for entry in first] == ["evt_0", "evt_1"]
    assert [e.envelope.id for e in await outbox.pending(10)] == ["evt_2", "evt_3", "evt_4"]


async def test_an_event_is_handled_once(database):
    inbox = PostgresInbox(database)
    firsts = []
    for _ in range(2):
        async with inbox.once("tester", "evt_1") as first:
            firsts.append(first)

    assert firsts == [True, False]


async def test_a_handler_that_fails_leaves_no_mark_and_no_state(database):
    inbox = PostgresInbox(database)

    async def handle():
        async with inbox.once("tester", "evt_1"):
            await insert(database, "half")
            raise InvalidInputError("no")

    with pytest.raises(InvalidInputError):
        await handle()

    async with inbox.once("tester", "evt_1") as first:
        assert first
    assert await names(database) == []


async def test_the_inbox_forgets_what_the_bus_no_longer_keeps(database):
    inbox = PostgresInbox(database)
    for number in range(3):
        async with inbox.once("tester", f"evt_{number}"):
            pass
    async with database.begin() as connection:
        await connection.execute(AGE_FIRST_TWO)

    assert await inbox.forget_old() == 2
    assert await inbox.forget_old() == 0
    async with inbox.once("tester", "evt_2") as first:
        assert not first


async def test_two_processes_do_not_handle_one_event_both(database, database_url):
    async def handle(opened):
        async with PostgresInbox(opened).once("tester", "evt_1") as first:
            await asyncio.sleep(0)
            return first

    async with Database(database_url) as other:
        outcomes = await asyncio.gather(handle(database), handle(other))

    assert sorted(outcomes) == [False, True]


async def test_a_lost_race_inside_a_transaction_can_be_caught_and_survived(database):
    async with database.begin():
        await insert(database, "one")
        with pytest.raises(ConflictError):
            await insert(database, "one")
        await insert(database, "two")

    assert await names(database) == ["one", "two"]


async def test_a_value_that_does_not_fit_is_invalid_input(database):
    with pytest.raises(InvalidInputError):
        async with database.begin() as connection:
            await connection.execute(sa.text("SELECT CAST(1000000 AS smallint)"))


async def test_recorded_times_strictly_increase_over_processes(database, database_url):
    clock = SimulatedClock()  # stands still, as two machines' clocks may

    async def ticks(opened):
        recorded = RecordedClock(opened, clock)
        return [await recorded.tick() for _ in range(20)]

    async with Database(database_url) as other:
        one, two = await asyncio.gather(ticks(database), ticks(other))

    assert len(set(one + two)) == 40
    assert one == sorted(one)
    assert min(one + two) == START


async def test_an_absent_database_is_unavailable():
    database = Database("postgresql+asyncpg://nobody:none@127.0.0.1:1/none")

    with pytest.raises(UnavailableError):
        await database.check()
    with pytest.raises(UnavailableError):
        async with database.begin():
            pass


async def test_migrations_that_fail_say_so(database_url, package):
    versions = Path(package) / "migrations" / "versions"
    (versions / "v0002.py").write_text(SECOND.replace("op.add_column", "op.drop_it"))

    with pytest.raises(AttributeError):
        await migrate(database_url, package.name)
