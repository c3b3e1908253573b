"""Receipts and derivations."""

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, Index, PrimaryKeyConstraint, Table, Text

from governance.adapters.tables.metadata import METADATA

RECEIPTS: Final = Table(
    "receipts",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("output_type", Text, nullable=False),
    Column("output_id", Text, nullable=False),
    Column("output_version", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint(
        "tenant",
        "model",
        "model_version",
        "output_type",
        "output_id",
        "output_version",
        "client",
        "door",
    ),
    Index("receipts_of_model", "tenant", "model", "model_version", "last_at"),
    Index("receipts_by_age", "last_at"),
)

RECEIPT_REPORTS: Final = Table(
    "receipt_reports",
    METADATA,
    Column("reporter", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("reporter", "instance", "sequence"),
    Index("receipt_reports_by_age", "taken_at"),
)

DERIVED: Final = Table(
    "derived",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("output_type", Text, nullable=False),
    Column("output_id", Text, nullable=False),
    Column("output_version", BigInteger, nullable=False),
    Column("service", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("configuration_version", Text, nullable=False),
    Column("inputs_digest", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("announced_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "output_type", "output_id"),
    Index("derived_by_model", "tenant", "model", "model_version", "state", "at"),
    Index("derived_by_subject", "tenant", "subject", "at"),
)
