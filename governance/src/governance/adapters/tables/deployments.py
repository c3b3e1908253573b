"""Which version of a service runs where."""

from typing import Final

from sqlalchemy import Column, DateTime, PrimaryKeyConstraint, Table, Text

from governance.adapters.tables.metadata import METADATA

DEPLOYMENTS: Final = Table(
    "deployments",
    METADATA,
    Column("environment", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("recorded_by", Text, nullable=False),
    PrimaryKeyConstraint("environment", "service", "version"),
)
