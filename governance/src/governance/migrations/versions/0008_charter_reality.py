"""Charter against reality: what was measured, and where promises stand."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reality_signals",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("signal_id", sa.Text, nullable=False),
        sa.Column("within", sa.Boolean),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "decision", "signal_id"),
    )
    op.create_table(
        "reality_hours",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("within_s", sa.Float, nullable=False),
        sa.Column("outside_s", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "decision", "hour"),
    )
    op.create_table(
        "reality_reports",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "service", "metric"),
    )
    op.create_table(
        "reality_standings",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at_least", sa.Float),
        sa.Column("at_most", sa.Float),
        sa.Column("achieved", sa.Float),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("standing", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("turned_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "service", "kind", "name"),
    )


def downgrade() -> None:
    for table in ("standings", "reports", "hours", "signals"):
        op.drop_table(f"reality_{table}")
