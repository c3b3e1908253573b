"""The registry in PostgreSQL."""

from governance.adapters.postgres.registry import PostgresRegistry, PostgresSession

__all__ = ["PostgresRegistry", "PostgresSession"]
