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
    Column("training_data", Text, nullable=False),
    Column("signature", JSONB, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True)),
    Column("approval_note", Text, nullable=False),
    Column("approval_expires_at", DateTime(timezone=True)),
    Column("signed", Text, nullable=False),
    Column("activations", JSONB, nullable=False),
    Column("recall", JSONB(none_as_null=True)),
    PrimaryKeyConstraint("name", "version"),
)
