"""The registry in PostgreSQL."""

from governance.adapters.postgres.audit import PostgresTrail
from governance.adapters.postgres.registry import PostgresRegistry, PostgresSession

__all__ = ["PostgresRegistry", "PostgresSession", "PostgresTrail"]
