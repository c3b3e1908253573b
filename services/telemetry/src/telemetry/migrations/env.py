"""Alembic's entry; see `twinmesh_sdk.adapters.postgres.run_migrations`."""

from telemetry.adapters.tables import METADATA
from twinmesh_sdk.adapters.postgres import run_migrations

run_migrations(METADATA)
