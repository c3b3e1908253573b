"""PostgreSQL: the database of one service, its outbox, inbox and recorded clock, its migrations."""

from twinmesh_sdk.adapters.postgres.database import Database, translated
from twinmesh_sdk.adapters.postgres.inbox import PostgresInbox
from twinmesh_sdk.adapters.postgres.migrations import migrate, run_migrations
from twinmesh_sdk.adapters.postgres.outbox import PostgresOutbox
from twinmesh_sdk.adapters.postgres.recorded import RecordedClock
from twinmesh_sdk.adapters.postgres.tables import add_mesh_tables, mesh_tables

__all__ = [
    "Database",
    "PostgresInbox",
    "PostgresOutbox",
    "RecordedClock",
    "add_mesh_tables",
    "mesh_tables",
    "migrate",
    "run_migrations",
    "translated",
]
