"""The registry in PostgreSQL."""

from governance.adapters.postgres.audit import PostgresTrail
from governance.adapters.postgres.lineage import PostgresLineage
from governance.adapters.postgres.outbox import RegistryOutbox
from governance.adapters.postgres.registry import PostgresRegistry, PostgresSession
from governance.adapters.postgres.shadows import PostgresShadows

__all__ = [
    "PostgresLineage",
    "PostgresRegistry",
    "PostgresSession",
    "PostgresShadows",
    "PostgresTrail",
    "RegistryOutbox",
]
