"""Policy sets."""

from typing import Final

from sqlalchemy import Column, DateTime, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.tables.metadata import METADATA

POLICY_SETS: Final = Table(
    "policy_sets",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("cedar", Text, nullable=False),
    Column("tests", JSONB, nullable=False),
    Column("digest", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("put_at", DateTime(timezone=True), nullable=False),
    Column("note", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True)),
)
