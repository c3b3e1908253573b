"""How versions did on live events, and what was ruled about them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.tables.metadata import METADATA

MEASUREMENTS: Final = Table(
    "model_measurements",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("from_at", DateTime(timezone=True), nullable=False),
    Column("to_at", DateTime(timezone=True), nullable=False),
    Column("configuration", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("error", Float, nullable=False),
    Column("residual", Float, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "model", "version", "from_at", "asset", "domain"),
    Index("model_measurements_by_age", "recorded_at"),
)

COMPARISONS: Final = Table(
    "model_comparisons",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("challenger", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("from_at", DateTime(timezone=True), nullable=False),
    Column("to_at", DateTime(timezone=True), nullable=False),
    Column("pairs", BigInteger, nullable=False),
    Column("champion_error", Float, nullable=False),
    Column("challenger_error", Float, nullable=False),
    Column("judged", BigInteger, nullable=False),
    Column("disagreements", BigInteger, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "model", "challenger", "champion", "from_at", "asset", "domain"),
    Index("model_comparisons_by_age", "recorded_at"),
)

RULINGS: Final = Table(
    "model_rulings",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("against", Text, nullable=False),
    Column("tenure", DateTime(timezone=True), nullable=False),
    Column("why", Text, nullable=False),
    Column("carried_out", Boolean, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("figures", JSONB, nullable=False),
    PrimaryKeyConstraint("tenant", "model", "version", "kind", "against", "tenure"),
)

RETRAININGS: Final = Table(
    "model_retrainings",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("tenure", DateTime(timezone=True), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("noticed_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("sum", Float, nullable=False),
    Column("answered_by", Text, nullable=False),
    Index("model_retrainings_by_model", "model", "recorded_at"),
)
