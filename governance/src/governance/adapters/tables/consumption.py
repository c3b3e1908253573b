"""Who used which part of a contract."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from governance.adapters.tables.metadata import METADATA

CONTRACT_USES: Final = Table(
    "contract_uses",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("coordinate", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("count", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "client", "kind", "coordinate", "service"),
    Index("contract_uses_by_service", "service", "last_at"),
    Index("contract_uses_by_age", "last_at"),
)

CONSUMPTION_REPORTS: Final = Table(
    "consumption_reports",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("reporter", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant", "reporter", "instance", "sequence"),
    Index("consumption_reports_by_age", "received_at"),
)

CLIENT_OWNERS: Final = Table(
    "client_owners",
    METADATA,
    Column("client", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("contact", Text, nullable=False),
)
