"""Receipts of derived outputs, and what each was derived from."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _texts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _times(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "receipts",
        *_texts("tenant", "client", "door", "output_type", "output_id"),
        sa.Column("output_version", sa.BigInteger, nullable=False),
        *_texts("model", "model_version", "operation"),
        *_times("first_at", "last_at"),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "model", "model_version", "output_type", "output_id", "output_version",
            "client", "door",
        ),
        sa.CheckConstraint("count > 0 AND first_at <= last_at", name="receipt_counts"),
    )  # fmt: skip
    op.create_index(
        "receipts_of_model", "receipts", ["tenant", "model", "model_version", "last_at"]
    )
    op.create_index("receipts_by_age", "receipts", ["last_at"])
    op.create_table(
        "receipt_reports",
        *_texts("reporter", "instance"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        *_times("taken_at"),
        sa.PrimaryKeyConstraint("reporter", "instance", "sequence"),
    )
    op.create_index("receipt_reports_by_age", "receipt_reports", ["taken_at"])
    op.create_table(
        "derived",
        *_texts("tenant", "output_type", "output_id"),
        sa.Column("output_version", sa.BigInteger, nullable=False),
        *_texts("service", "subject", "model", "model_version", "state"),
        *_texts("configuration_version", "inputs_digest"),
        *_times("at", "announced_at"),
        sa.PrimaryKeyConstraint("tenant", "output_type", "output_id"),
    )
    op.create_index(
        "derived_by_model", "derived", ["tenant", "model", "model_version", "state", "at"]
    )
    op.create_index("derived_by_subject", "derived", ["tenant", "subject", "at"])


def downgrade() -> None:
    for table in ("derived", "receipt_reports", "receipts"):
        op.drop_table(table)
