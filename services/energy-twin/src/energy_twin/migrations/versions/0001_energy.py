"""Signals, readings as they came, baselines with valid and recorded time, the mesh's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from twinmesh_sdk.adapters.postgres import add_mesh_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPEN_US = 2**63 - 1


def upgrade() -> None:
    add_mesh_tables(op)
    op.create_table(
        "energy_signal",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("cadence_s", sa.Double, nullable=False),
    )
    op.create_index("energy_signal_of_asset", "energy_signal", ["tenant", "asset_id"])
    op.create_table(
        "energy_segment",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("from_us", sa.BigInteger, primary_key=True),
        sa.Column("to_us", sa.BigInteger, primary_key=True),
        sa.Column("known_at_us", sa.BigInteger, primary_key=True),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("times", sa.LargeBinary, nullable=False),
        sa.Column("values", sa.LargeBinary, nullable=False),
        sa.Column("grades", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("from_us <= to_us", name="segment_lasts"),
    )
    op.create_table(
        "energy_baseline",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("baseline_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("asset_id", sa.Text, nullable=False),
        sa.Column("configuration_id", sa.Text, nullable=False),
        sa.Column("valid_from_us", sa.BigInteger, nullable=False),
        sa.Column("valid_to_us", sa.BigInteger, nullable=False),
        sa.Column("recorded_from_us", sa.BigInteger, nullable=False),
        sa.Column("recorded_to_us", sa.BigInteger, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.CheckConstraint("valid_from_us < valid_to_us", name="baseline_lasts"),
        sa.CheckConstraint("recorded_from_us < recorded_to_us", name="baseline_was_known"),
    )
    key = ["tenant", "asset_id", "valid_from_us"]
    op.create_index("energy_baseline_of_asset", "energy_baseline", key)
    held = sa.text(f"recorded_to_us = {OPEN_US}")
    op.create_index(
        "energy_baseline_held", "energy_baseline", key, unique=True, postgresql_where=held
    )
    op.create_index("energy_baseline_by_id", "energy_baseline", ["tenant", "baseline_id"])


def downgrade() -> None:
    for table in ("energy_baseline", "energy_segment", "energy_signal"):
        op.drop_table(table)
