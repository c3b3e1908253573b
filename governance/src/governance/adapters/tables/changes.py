"""Deprecations and overrides."""

from typing import Final

from sqlalchemy import Column, DateTime, Index, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.tables.metadata import METADATA

DEPRECATIONS: Final = Table(
    "deprecations",
    METADATA,
    Column("service", Text, nullable=False),
    Column("coordinate", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("service", "coordinate"),
)

OVERRIDES: Final = Table(
    "overrides",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("findings", JSONB, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True)),
    Index("overrides_by_expiry", "expires_at"),
)
