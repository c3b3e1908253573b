"""The tables of governance's database, as the adapter reads and writes them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA: Final = MetaData()

CONTRACTS: Final = Table(
    "contracts",
    METADATA,
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("charter", JSONB, nullable=False),
    Column("sdl", Text, nullable=False),
    Column("descriptor_set", LargeBinary, nullable=False),
    Column("events", JSONB, nullable=False),
    Column("event_digests", JSONB, nullable=False),
    Column("subgraph_url", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("findings", JSONB, nullable=False),
    Column("pushed_at", DateTime(timezone=True), nullable=False),
    Column("pushed_by", Text, nullable=False),
    PrimaryKeyConstraint("service", "version"),
)

SUPERGRAPHS: Final = Table(
    "supergraphs",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("sdl", Text, nullable=False),
    Column("urls", JSONB, nullable=False),
    Column("members", JSONB, nullable=False),
)

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

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Index("audit_by_tenant", "tenant", "sequence"),
)
