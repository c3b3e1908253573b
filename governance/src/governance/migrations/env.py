"""Alembic's entry: `governance.adapters.migration` hands it a connection."""

from alembic import context

from governance.adapters.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
