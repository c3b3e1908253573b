"""Tables of the energy twin; the migrations create them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from twinmesh_sdk.adapters.postgres import mesh_tables

METADATA: Final = sa.MetaData()
mesh_tables(METADATA)

SIGNAL: Final = sa.Table(
    "energy_signal",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("asset_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("cadence_s", sa.Double, nullable=False),
    sa.Index("energy_signal_of_asset", "tenant", "asset_id"),
)

SEGMENT: Final = sa.Table(
    "energy_segment",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("from_us", sa.BigInteger, primary_key=True),
    sa.Column("to_us", sa.BigInteger, primary_key=True),
    sa.Column("known_at_us", sa.BigInteger, primary_key=True),
    sa.Column("readings", sa.Integer, nullable=False),
    sa.Column("times", sa.LargeBinary, nullable=False),
    sa.Column("values", sa.LargeBinary, nullable=False),
    sa.Column("grades", sa.LargeBinary, nullable=False),
)

BASELINE: Final = sa.Table(
    "energy_baseline",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("baseline_id", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("asset_id", sa.Text, nullable=False),
    sa.Column("configuration_id", sa.Text, nullable=False),
    sa.Column("valid_from_us", sa.BigInteger, nullable=False),
    sa.Column("valid_to_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_from_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_to_us", sa.BigInteger, nullable=False),
    sa.Column("document", JSONB, nullable=False),
)
