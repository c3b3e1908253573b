"""`recorded_at`: wall time that strictly increases over all processes on one database."""

from datetime import datetime

import sqlalchemy as sa

from twinmesh_sdk.adapters.postgres.database import Database
from twinmesh_sdk.adapters.postgres.tables import mesh_tables
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.ports.clock import Clock


class RecordedClock:
    """Gives each transaction a recorded time later than all before it.

    The row that holds the last one stays locked until the transaction ends, so the order of
    recorded times is the order of commits: who reads `known_at` a time sees all up to it.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._table = mesh_tables(sa.MetaData()).clock

    async def tick(self) -> datetime:
        """Return the next recorded time, UTC. Call it inside `Database.begin`, once, and late.

        Raises:
            UnavailableError: The database does not answer.
        """
        last = self._table.c.last_us
        query = (
            sa.update(self._table)
            .values(last_us=sa.func.greatest(last + 1, to_us(self._clock.wall_now())))
            .returning(last)
        )
        async with self._database.begin() as connection:
            return from_us((await connection.execute(query)).scalar_one())
