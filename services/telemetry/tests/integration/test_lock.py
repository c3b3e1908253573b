import asyncio

import pytest

from telemetry.adapters.postgres_lock import only_one
from twinmesh_sdk.adapters.postgres import Database
from twinmesh_sdk.core.errors import UnavailableError

pytestmark = pytest.mark.stack
WAIT_S = 20


async def ended(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_of_two_works_and_the_other_takes_over(database_url):
    async with Database(database_url) as one, Database(database_url) as other:
        working = asyncio.Queue()

        def work(name):
            async def run():
                working.put_nowait(name)
                await asyncio.Event().wait()

            return run

        first = asyncio.create_task(only_one(one.engine, "x").holding(work("first"))())
        assert await asyncio.wait_for(working.get(), WAIT_S) == "first"
        second = asyncio.create_task(only_one(other.engine, "x").holding(work("second"))())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(working.get(), 0.7)
        await ended(first)
        assert await asyncio.wait_for(working.get(), WAIT_S) == "second"
        await ended(second)


async def test_work_that_fails_begins_again_and_so_does_what_stands_beside_it(database_url):
    async with Database(database_url) as database:
        lock = only_one(database.engine, "y")
        turns, beside = asyncio.Queue(), asyncio.Queue()

        async def fails():
            turns.put_nowait("turn")
            if turns.qsize() < 3:
                raise UnavailableError("away")
            await asyncio.Event().wait()

        async def watches():
            beside.put_nowait("begun")
            await asyncio.Event().wait()

        tasks = [
            asyncio.create_task(lock.holding(fails)()),
            asyncio.create_task(lock.beside(watches)()),
        ]
        async with asyncio.timeout(WAIT_S):
            await beside.get()
        await ended(*tasks)
        assert turns.qsize() >= 1
