"""Models."""

from typing import Final

from sqlalchemy import Column, DateTime, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.tables.metadata import METADATA

MODELS: Final = Table(
    "models",
    METADATA,
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("artefact_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("scope", JSONB, nullable=False),
    Column("back_test", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    Column("submitted_by", Text, nullable=False),
    Column("submitted_at", DateTime(timezone=True), nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True)),
    Column("approval_note", Text, nullable=False),
    Column("effective_from", DateTime(timezone=True)),
    Column("effective_to", DateTime(timezone=True)),
    Column("activated_by", Text, nullable=False),
    Column("activated_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("name", "version"),
)
