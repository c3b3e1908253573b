"""The audit log: one tree per log, and what can be erased beside it."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY

from governance.adapters.tables.metadata import METADATA

AUDIT_LOGS: Final = Table(
    "audit_logs",
    METADATA,
    Column("log", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("peaks", ARRAY(LargeBinary), nullable=False),
)

AUDIT_ENTRIES: Final = Table(
    "audit_entries",
    METADATA,
    Column("log", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("person", Text, nullable=False),
    PrimaryKeyConstraint("log", "sequence"),
    Index("audit_entries_by_person", "log", "person"),
)

AUDIT_NODES: Final = Table(
    "audit_nodes",
    METADATA,
    Column("log", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "level", "index"),
)

AUDIT_PERSONS: Final = Table(
    "audit_persons",
    METADATA,
    Column("log", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "person"),
    UniqueConstraint("log", "subject"),
)

AUDIT_TEXTS: Final = Table(
    "audit_texts",
    METADATA,
    Column("log", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "sequence", "name"),
)
