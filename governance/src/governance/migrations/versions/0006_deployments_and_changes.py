"""What runs where; deprecations and overrides; events about them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from twinmesh_sdk.adapters.postgres import add_mesh_tables, mesh_tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("environment", "service", "version"),
    )
    op.create_table(
        "deprecations",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("coordinate", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("service", "coordinate"),
    )
    op.create_table(
        "overrides",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("findings", JSONB, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "approved_by = '' OR approved_by <> requested_by", name="override_by_two_persons"
        ),
    )
    op.create_index("overrides_by_expiry", "overrides", ["expires_at"])
    add_mesh_tables(op)


def downgrade() -> None:
    tables = mesh_tables(sa.MetaData())
    for table in (tables.clock, tables.inbox, tables.outbox):
        op.drop_table(table.name)
    op.drop_table("overrides")
    op.drop_table("deprecations")
    op.drop_table("deployments")
