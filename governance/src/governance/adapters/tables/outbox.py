"""Events that wait to be published: the mesh's own table."""

from typing import Final

from governance.adapters.tables.metadata import METADATA
from twinmesh_sdk.adapters.postgres import mesh_tables

OUTBOX: Final = mesh_tables(METADATA).outbox
