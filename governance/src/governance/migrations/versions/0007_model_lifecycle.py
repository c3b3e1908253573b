"""Models: several periods, signatures, what an approval binds to, recalls."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UTC = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def upgrade() -> None:
    for name in ("training_data", "signed"):
        op.add_column("models", sa.Column(name, sa.Text, nullable=False, server_default=""))
        op.alter_column("models", name, server_default=None)
    for name, empty in (("signature", "{}"), ("activations", "[]")):
        op.add_column("models", sa.Column(name, JSONB, nullable=False, server_default=empty))
        op.alter_column("models", name, server_default=None)
    op.add_column("models", sa.Column("approval_expires_at", sa.DateTime(timezone=True)))
    op.add_column("models", sa.Column("recall", JSONB))
    op.execute(
        f"""
        UPDATE models SET activations = jsonb_build_array(jsonb_build_object(
            'effective_from', {UTC.format("effective_from")},
            'effective_to', {UTC.format("effective_to")},
            'activated_by', activated_by,
            'recorded_at', {UTC.format("activated_at")}
        )) WHERE effective_from IS NOT NULL
        """  # noqa: S608 - no value from outside
    )
    op.drop_constraint("period_in_order", "models")
    for name in ("effective_from", "effective_to", "activated_by", "activated_at"):
        op.drop_column("models", name)


def downgrade() -> None:
    for name in ("effective_from", "effective_to", "activated_at"):
        op.add_column("models", sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column("models", sa.Column("activated_by", sa.Text, nullable=False, server_default=""))
    op.execute(
        """
        UPDATE models SET
            effective_from = (activations->-1->>'effective_from')::timestamptz,
            effective_to = (activations->-1->>'effective_to')::timestamptz,
            activated_by = coalesce(activations->-1->>'activated_by', ''),
            activated_at = (activations->-1->>'recorded_at')::timestamptz
        """
    )
    op.create_check_constraint(
        "period_in_order", "models", "effective_to IS NULL OR effective_to >= effective_from"
    )
    for name in ("training_data", "signed", "signature", "activations", "recall"):
        op.drop_column("models", name)
    op.drop_column("models", "approval_expires_at")
