"""Retention policies."""

from typing import Final

from sqlalchemy import Column, DateTime, Float, Table, Text

from governance.adapters.tables.metadata import METADATA

RETENTIONS: Final = Table(
    "retentions",
    METADATA,
    Column("data_class", Text, primary_key=True),
    Column("keep_days", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", DateTime(timezone=True), nullable=False),
)
