"""The store on its real server."""

import pytest
from sqlalchemy import text

from maintenance_twin.adapters.postgres import PostgresTwinStore
from maintenance_twin.adapters.postgres_reads import PostgresTwinReads
from maintenance_twin.model.tuning import DEFAULT
from twinmesh_sdk.adapters.plant_clock import WallClock
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox, RecordedClock


@pytest.fixture
async def database(database_url):
    async with Database(database_url, package="maintenance_twin", pool=8) as opened:
        yield opened


@pytest.fixture
def outbox(database):
    return PostgresOutbox(database)


@pytest.fixture
def store(database, outbox):
    return PostgresTwinStore(database, outbox, RecordedClock(database, WallClock()), DEFAULT)


@pytest.fixture
def reads(database):
    return PostgresTwinReads(database)


@pytest.fixture
def scalar(database):
    async def ask(sql):
        async with database.connect() as connection:
            return (await connection.execute(text(sql))).scalar_one()

    return ask
