"""Telemetry's tables in PostgreSQL; `migrations/` makes them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

METADATA: Final = sa.MetaData()

CURSORS: Final = sa.Table(
    "ingest_cursors",
    METADATA,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("epoch", sa.BigInteger, primary_key=True),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("recorded_us", sa.BigInteger, nullable=False),
)

COUNTS: Final = sa.Table(
    "ingest_counts",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("stored", sa.BigInteger, nullable=False),
    sa.Column("duplicate", sa.BigInteger, nullable=False),
    sa.Column("quarantined", sa.BigInteger, nullable=False),
    sa.CheckConstraint(
        "received = stored + duplicate + quarantined", name="nothing_lost_nothing_invented"
    ),
)

QUARANTINE: Final = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("ordinal", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("quarantine_id", sa.Text, nullable=False, unique=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("payload_format", sa.Text, nullable=False),
    sa.Column("headers", JSON, nullable=False),
    sa.Column("arrived_us", sa.BigInteger),
    sa.Column("observed_us", sa.BigInteger),
    sa.Column("readings", sa.Integer, nullable=False),
    sa.Column("raw_seq", sa.BigInteger, nullable=False),
    sa.Column("raw_ix", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("marked_us", sa.BigInteger),
    sa.Index("quarantine_of_tenant", "tenant", "status", "ordinal"),
    sa.Index("quarantine_by_name", "tenant", "source", "name", "status"),
    sa.Index("quarantine_marked", "status", "marked_us"),
)

SIGNALS: Final = sa.Table(
    "seen_signals",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("definition", JSON, nullable=False),
)

MOVEMENTS: Final = sa.Table(
    "source_movements",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("door_us", sa.BigInteger, nullable=False),
    sa.Column("stream_us", sa.BigInteger, nullable=False),
    sa.Column("resolve_us", sa.BigInteger, nullable=False),
    sa.Column("store_us", sa.BigInteger, nullable=False),
    sa.Column("publish_us", sa.BigInteger, nullable=False),
)

MARKS: Final = sa.Table(
    "marks",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

VERDICTS: Final = sa.Table(
    "verdicts",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("signal_id", sa.Text, primary_key=True),
    sa.Column("decision", sa.Text, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("budget_s", sa.Double, nullable=False),
    sa.Column("observed_us", sa.BigInteger),
    sa.Column("effective_us", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

ALERTS: Final = sa.Table(
    "pipeline_alerts",
    METADATA,
    sa.Column("alert_id", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("last_moving_hop", sa.Text, nullable=False),
    sa.Column("last_moved_us", sa.BigInteger, nullable=False),
    sa.Column("detected_us", sa.BigInteger, nullable=False),
    sa.Column("recovered_us", sa.BigInteger),
    sa.Column("signal_ids", JSON, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Index("alerts_of_tenant", "tenant", "detected_us", "alert_id"),
)
