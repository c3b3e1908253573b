"""The tables of the maintenance twin."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from twinmesh_sdk.core.times import OPEN_US

METADATA: Final = sa.MetaData()

TWIN: Final = sa.Table(
    "asset_twin",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("asset_id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("changes", sa.BigInteger, nullable=False),
    sa.Column("oldest_us", sa.BigInteger, nullable=False),
    sa.Column("silent", sa.Boolean, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
"""One row per asset: where its evaluation stands. `oldest_us` and `silent` serve the clock."""

CONDITION: Final = sa.Table(
    "condition",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("asset_id", sa.Text, nullable=False),
    sa.Column("axis", sa.Text, nullable=False),
    sa.Column("valid_from_us", sa.BigInteger, nullable=False),
    sa.Column("valid_to_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_from_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_to_us", sa.BigInteger, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.CheckConstraint("valid_from_us < valid_to_us", name="condition_lasts"),
    sa.CheckConstraint("recorded_from_us < recorded_to_us", name="condition_was_known"),
    sa.Index("condition_of_asset", "tenant", "asset_id", "axis", "valid_from_us"),
    sa.Index(
        "condition_held",
        "tenant",
        "asset_id",
        "axis",
        "valid_from_us",
        postgresql_where=sa.text(f"recorded_to_us = {OPEN_US}"),
        unique=True,
    ),
)
"""What was held about an asset: valid in the plant, and known to us, over two periods."""

ITEM: Final = sa.Table(
    "work_item",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("work_item_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("asset_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("valid_from_us", sa.BigInteger, nullable=False),
    sa.Column("valid_to_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_from_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_to_us", sa.BigInteger, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.CheckConstraint("recorded_from_us < recorded_to_us", name="item_was_known"),
    sa.Index("item_queue", "tenant", "valid_from_us", "work_item_id"),
    sa.Index("item_of_asset", "tenant", "asset_id", "valid_from_us"),
)
"""Versions of work items; one of them is held at any recorded time."""

ROWS: Final = sa.Table(
    "row_block",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("asset_id", sa.Text, primary_key=True),
    sa.Column("first_us", sa.BigInteger, primary_key=True),
    sa.Column("last_us", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("names", JSONB, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
"""Rows as they were decided, in blocks: what a correction is decided from again."""

PRUNED: Final = sa.Table(
    "row_pruned",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("before_us", sa.BigInteger, nullable=False),
)
"""Up to when the row log of a tenant has been forgotten."""

WITHDRAWN: Final = sa.Table(
    "model_withdrawn",
    METADATA,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("recalled_at_us", sa.BigInteger, nullable=False),
)
"""Versions of the condition model that may decide nothing more."""
