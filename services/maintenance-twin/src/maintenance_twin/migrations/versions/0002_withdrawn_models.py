"""Model versions that were recalled, and what each version decided."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN_US = 2**63 - 1


def upgrade() -> None:
    op.create_table(
        "model_withdrawn",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recalled_at_us", sa.BigInteger, nullable=False),
    )
    held = sa.text(f"recorded_to_us = {OPEN_US} AND valid_to_us = {OPEN_US}")
    model = sa.text("(document->>'model')")
    op.create_index("condition_by_model", "condition", [model], postgresql_where=held)
    still = sa.text(f"recorded_to_us = {OPEN_US} AND status = 'OPEN'")
    op.create_index("item_open_by_model", "work_item", [model], postgresql_where=still)


def downgrade() -> None:
    op.drop_index("item_open_by_model", "work_item")
    op.drop_index("condition_by_model", "condition")
    op.drop_table("model_withdrawn")
