"""The registry in PostgreSQL."""

from governance.adapters.postgres.audit import PostgresTrail
from governance.adapters.postgres.lineage import PostgresLineage
from governance.adapters.postgres.outbox import RegistryOutbox
from governance.adapters.postgres.registry import PostgresRegistry, PostgresSession

__all__ = [
    "PostgresLineage",
    "PostgresRegistry",
    "PostgresSession",
    "PostgresTrail",
    "RegistryOutbox",
]
