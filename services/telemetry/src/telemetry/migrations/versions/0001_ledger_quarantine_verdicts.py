"""The ingest ledger, quarantine, verdicts, pipeline alerts, and the mesh's own tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSON

from twinmesh_sdk.adapters.postgres import add_mesh_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_mesh_tables(op)
    op.create_table(
        "ingest_cursors",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, primary_key=True),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "ingest_counts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.Column("duplicate", sa.BigInteger, nullable=False),
        sa.Column("quarantined", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "received = stored + duplicate + quarantined", name="nothing_lost_nothing_invented"
        ),
    )
    op.create_table(
        "quarantine",
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
    )
    op.create_index("quarantine_of_tenant", "quarantine", ["tenant", "status", "ordinal"])
    op.create_index("quarantine_by_name", "quarantine", ["tenant", "source", "name", "status"])
    op.create_index("quarantine_marked", "quarantine", ["status", "marked_us"])
    op.create_table(
        "seen_signals",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("definition", JSON, nullable=False),
    )
    op.create_table(
        "source_movements",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("door_us", sa.BigInteger, nullable=False),
        sa.Column("stream_us", sa.BigInteger, nullable=False),
        sa.Column("resolve_us", sa.BigInteger, nullable=False),
        sa.Column("store_us", sa.BigInteger, nullable=False),
        sa.Column("publish_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("signal_id", sa.Text, primary_key=True),
        sa.Column("decision", sa.Text, primary_key=True),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("budget_s", sa.Double, nullable=False),
        sa.Column("observed_us", sa.BigInteger),
        sa.Column("effective_us", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "pipeline_alerts",
        sa.Column("alert_id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("last_moving_hop", sa.Text, nullable=False),
        sa.Column("last_moved_us", sa.BigInteger, nullable=False),
        sa.Column("detected_us", sa.BigInteger, nullable=False),
        sa.Column("recovered_us", sa.BigInteger),
        sa.Column("signal_ids", JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("alerts_of_tenant", "pipeline_alerts", ["tenant", "detected_us", "alert_id"])


def downgrade() -> None:
    raise NotImplementedError("readings and their ledger are never thrown away by a migration")
