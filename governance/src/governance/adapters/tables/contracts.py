"""Contracts and supergraphs."""

from typing import Final

from sqlalchemy import Column, DateTime, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from governance.adapters.tables.metadata import METADATA

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
