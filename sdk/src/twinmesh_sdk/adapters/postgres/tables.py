"""The tables that the mesh needs in every service's database."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

OUTBOX: Final = "mesh_outbox"
INBOX: Final = "mesh_inbox"
CLOCK: Final = "mesh_recorded_clock"


@dataclass(frozen=True, slots=True)
class MeshTables:
    """The mesh's tables in one `MetaData`."""

    outbox: sa.Table
    inbox: sa.Table
    clock: sa.Table


def mesh_tables(metadata: sa.MetaData) -> MeshTables:
    """Return the mesh's tables, added to a service's `MetaData` once."""
    if OUTBOX in metadata.tables:
        tables = metadata.tables
        return MeshTables(tables[OUTBOX], tables[INBOX], tables[CLOCK])
    outbox = sa.Table(
        OUTBOX,
        metadata,
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False, unique=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
    )
    inbox = sa.Table(
        INBOX,
        metadata,
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column(
            "handled_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            index=True,
        ),
    )
    clock = sa.Table(
        CLOCK,
        metadata,
        sa.Column("only", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("last_us", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint('"only"', name="one_row"),
    )
    return MeshTables(outbox, inbox, clock)


def add_mesh_tables(op: Any) -> None:  # noqa: ANN401 - alembic's proxy module
    """Create the mesh's tables: call it from a service's first migration with `alembic.op`."""
    tables = mesh_tables(sa.MetaData())
    for table in (tables.outbox, tables.inbox, tables.clock):
        table.create(op.get_bind())
    op.execute(sa.insert(tables.clock).values(only=True, last_us=0))
