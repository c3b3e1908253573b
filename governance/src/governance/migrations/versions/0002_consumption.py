"""Who used which part of a contract, and whom to ask about a client."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contract_uses",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("coordinate", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "client", "kind", "coordinate", "service"),
    )
    op.create_index("contract_uses_by_service", "contract_uses", ["service", "last_at"])
    op.create_index("contract_uses_by_age", "contract_uses", ["last_at"])
    op.create_table(
        "consumption_reports",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("reporter", sa.Text, nullable=False),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "reporter", "instance", "sequence"),
    )
    op.create_index("consumption_reports_by_age", "consumption_reports", ["received_at"])
    op.create_table(
        "client_owners",
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("client_owners")
    op.drop_table("consumption_reports")
    op.drop_table("contract_uses")
