"""Shadows: windows that twins measured, rulings on them, requests to retrain."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _columns(kind: type[sa.types.TypeEngine], *names: str) -> list[sa.Column]:
    made = sa.DateTime(timezone=True) if kind is sa.DateTime else kind()
    return [sa.Column(name, made, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "model_measurements",
        *_columns(sa.Text, "tenant", "model", "version", "asset"),
        *_columns(sa.DateTime, "from_at", "to_at"),
        *_columns(sa.Text, "configuration"),
        *_columns(sa.BigInteger, "rows"),
        *_columns(sa.Float, "error", "residual"),
        *_columns(sa.DateTime, "recorded_at"),
        sa.PrimaryKeyConstraint("tenant", "model", "version", "from_at", "asset"),
    )
    op.create_index("model_measurements_by_age", "model_measurements", ["recorded_at"])
    op.create_table(
        "model_comparisons",
        *_columns(sa.Text, "tenant", "model", "challenger", "champion", "asset"),
        *_columns(sa.DateTime, "from_at", "to_at"),
        *_columns(sa.BigInteger, "pairs"),
        *_columns(sa.Float, "champion_error", "challenger_error"),
        *_columns(sa.BigInteger, "judged", "disagreements"),
        *_columns(sa.DateTime, "recorded_at"),
        sa.PrimaryKeyConstraint("tenant", "model", "challenger", "champion", "from_at", "asset"),
    )
    op.create_index("model_comparisons_by_age", "model_comparisons", ["recorded_at"])
    op.create_table(
        "model_rulings",
        *_columns(sa.Text, "tenant", "model", "version", "kind", "against"),
        *_columns(sa.DateTime, "tenure"),
        *_columns(sa.Text, "why"),
        *_columns(sa.Boolean, "carried_out"),
        *_columns(sa.DateTime, "at", "recorded_at"),
        sa.Column("figures", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model", "version", "kind", "against", "tenure"),
    )
    op.create_table(
        "model_retrainings",
        sa.Column("id", sa.Text, primary_key=True),
        *_columns(sa.Text, "tenant", "model", "version"),
        *_columns(sa.DateTime, "tenure", "since", "noticed_at", "recorded_at"),
        *_columns(sa.Float, "sum"),
        *_columns(sa.Text, "answered_by"),
    )
    op.create_index("model_retrainings_by_model", "model_retrainings", ["model", "recorded_at"])


def downgrade() -> None:
    for table in ("model_retrainings", "model_rulings", "model_comparisons", "model_measurements"):
        op.drop_table(table)
