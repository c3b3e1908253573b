"""Measured windows say whose they are."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KEYS = {
    "model_measurements": ("tenant", "model", "version", "from_at", "asset"),
    "model_comparisons": ("tenant", "model", "challenger", "champion", "from_at", "asset"),
}


def upgrade() -> None:
    for table, key in KEYS.items():
        # Windows from before are nobody's: they count no more.
        op.add_column(table, sa.Column("domain", sa.Text, nullable=False, server_default=""))
        op.alter_column(table, "domain", server_default=None)
        op.drop_constraint(f"{table}_pkey", table)
        op.create_primary_key(f"{table}_pkey", table, [*key, "domain"])


def downgrade() -> None:
    for table, key in KEYS.items():
        op.drop_constraint(f"{table}_pkey", table)
        op.execute(
            f"DELETE FROM {table} a USING {table} b WHERE a.domain > b.domain"  # noqa: S608 - names
            + "".join(f" AND a.{name} = b.{name}" for name in key)
        )
        op.create_primary_key(f"{table}_pkey", table, list(key))
        op.drop_column(table, "domain")
