"""The audit log as one Merkle tree per tenant, with what can be erased beside it."""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from governance.decide.audit_leaf import personal_texts, seal
from governance.decide.merkle import Frontier, leaf_hash
from governance.model.audit import SALT_BYTES, AuditEntry, Secret

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 1000


def upgrade() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("log", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("peaks", ARRAY(sa.LargeBinary), nullable=False),
    )
    op.create_table(
        "audit_entries",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("log", "sequence"),
    )
    op.create_index("audit_entries_by_person", "audit_entries", ["log", "person"])
    op.create_table(
        "audit_nodes",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "index"),
    )
    op.create_table(
        "audit_persons",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "person"),
        sa.UniqueConstraint("log", "subject"),
    )
    op.create_table(
        "audit_texts",
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("log", "sequence", "name"),
    )
    _carry_over()
    _guard()
    op.execute("DROP TRIGGER audit_append_only ON audit")
    op.drop_table("audit")


def _guard() -> None:
    """Let the database itself refuse what an append-only log never does."""
    for table in ("audit_entries", "audit_nodes"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )
    for table in ("audit_persons", "audit_texts"):
        op.execute(
            f"CREATE TRIGGER {table}_erased_only BEFORE UPDATE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )
    op.execute(
        "CREATE TRIGGER audit_logs_kept BEFORE DELETE OR TRUNCATE ON audit_logs "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
    )
    op.execute(
        """
        CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.size <= OLD.size OR NEW.log <> OLD.log THEN
                RAISE EXCEPTION 'the audit log is append-only';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_logs_grow BEFORE UPDATE ON audit_logs "
        "FOR EACH ROW EXECUTE FUNCTION audit_only_grows()"
    )


def _carry_over() -> None:
    """Append what was recorded before there were trees, in its order."""
    connection = op.get_bind()
    frontiers: dict[str, Frontier] = defaultdict(Frontier)
    persons: dict[tuple[str, str], Secret] = {}
    done = 0
    while True:
        rows = connection.execute(
            sa.text("SELECT * FROM audit WHERE sequence > :done ORDER BY sequence LIMIT :batch"),
            {"done": done, "batch": BATCH},
        ).mappings()
        found = list(rows)
        if not found:
            break
        for row in found:
            done = row["sequence"]
            _append(connection, row, frontiers, persons)
    for log, frontier in frontiers.items():
        _insert(connection, "audit_logs", log=log, size=frontier.size, peaks=list(frontier.peaks))


def _append(
    connection: sa.Connection,
    row: Mapping[str, Any],
    frontiers: dict[str, Frontier],
    persons: dict[tuple[str, str], Secret],
) -> None:
    entry = AuditEntry(
        **{name: value for name, value in row.items() if name != "sequence"},
    )
    log = entry.tenant
    known = persons.get((log, entry.actor))
    actor = known or Secret(secrets.token_bytes(SALT_BYTES), entry.actor)
    texts = {
        name: Secret(secrets.token_bytes(SALT_BYTES), text)
        for name, text in personal_texts(entry).items()
    }
    sequence = frontiers[log].size + 1
    sealed = seal(entry, sequence, actor=actor, personal=texts)
    frontiers[log], nodes = frontiers[log].extended([leaf_hash(sealed.leaf)])
    if known is None:
        persons[log, entry.actor] = actor
        _insert(
            connection, "audit_persons", log=log, person=sealed.person, subject=actor.text,
            salt=actor.salt,
        )  # fmt: skip
    _insert(
        connection, "audit_entries", log=log, sequence=sequence, leaf=sealed.leaf,
        person=sealed.person,
    )  # fmt: skip
    for (level, index), digest in nodes.items():
        _insert(connection, "audit_nodes", log=log, level=level, index=index, hash=digest)
    for name, text in texts.items():
        _insert(
            connection, "audit_texts", log=log, sequence=sequence, name=name, text=text.text,
            salt=text.salt,
        )  # fmt: skip


def _insert(connection: sa.Connection, table: str, **values: Any) -> None:  # noqa: ANN401
    kinds = {"peaks": ARRAY(sa.LargeBinary)}
    columns = [sa.column(name, kinds.get(name)) for name in values]
    connection.execute(sa.insert(sa.table(table, *columns)).values(values))


def downgrade() -> None:
    raise NotImplementedError("an append-only log cannot be taken back: restore a backup")
