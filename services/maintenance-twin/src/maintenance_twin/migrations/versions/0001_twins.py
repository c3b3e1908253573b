"""Twins, conditions and work items with valid and recorded time, the row log, the mesh's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from twinmesh_sdk.adapters.postgres import add_mesh_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPEN_US = 2**63 - 1


def _bounds() -> list[sa.Column]:
    names = ("valid_from_us", "valid_to_us", "recorded_from_us", "recorded_to_us")
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    add_mesh_tables(op)
    op.create_table(
        "asset_twin",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("oldest_us", sa.BigInteger, nullable=False),
        sa.Column("silent", sa.Boolean, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "condition",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("axis", sa.Text, nullable=False),
        *_bounds(),
        sa.Column("document", JSONB, nullable=False),
        sa.CheckConstraint("valid_from_us < valid_to_us", name="condition_lasts"),
        sa.CheckConstraint("recorded_from_us < recorded_to_us", name="condition_was_known"),
    )
    key = ["tenant", "asset_id", "axis", "valid_from_us"]
    op.create_index("condition_of_asset", "condition", key)
    held = sa.text(f"recorded_to_us = {OPEN_US}")
    op.create_index("condition_held", "condition", key, unique=True, postgresql_where=held)
    op.create_table(
        "work_item",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("work_item_id", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        *_bounds(),
        sa.Column("document", JSONB, nullable=False),
        sa.CheckConstraint("recorded_from_us < recorded_to_us", name="item_was_known"),
    )
    op.create_index("item_queue", "work_item", ["tenant", "valid_from_us", "work_item_id"])
    op.create_index("item_of_asset", "work_item", ["tenant", "asset_id", "valid_from_us"])
    op.create_table(
        "row_block",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("first_us", sa.BigInteger, primary_key=True),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("names", JSONB, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "row_pruned",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("before_us", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("row_pruned", "row_block", "work_item", "condition", "asset_twin"):
        op.drop_table(table)
    for table in ("mesh_outbox", "mesh_inbox", "mesh_recorded_clock"):
        op.drop_table(table)
