"""Alembic's entry: the SDK runs it in process at start-up."""

from energy_twin.adapters.tables import METADATA
from twinmesh_sdk.adapters.postgres import run_migrations

run_migrations(METADATA)
