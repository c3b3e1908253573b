"""Charter against reality."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from governance.adapters.tables.metadata import METADATA

REALITY_SIGNALS: Final = Table(
    "reality_signals",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("signal_id", Text, nullable=False),
    Column("within", Boolean),
    Column("effective_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "decision", "signal_id"),
)

REALITY_HOURS: Final = Table(
    "reality_hours",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("hour", DateTime(timezone=True), nullable=False),
    Column("within_s", Float, nullable=False),
    Column("outside_s", Float, nullable=False),
    PrimaryKeyConstraint("tenant", "decision", "hour"),
)

REALITY_REPORTS: Final = Table(
    "reality_reports",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("value", Float, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "service", "metric"),
)

REALITY_STANDINGS: Final = Table(
    "reality_standings",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at_least", Float),
    Column("at_most", Float),
    Column("achieved", Float),
    Column("samples", BigInteger, nullable=False),
    Column("standing", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("turned_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "service", "kind", "name"),
)
