"""A registered contract never changes: only where it stands, and where its subgraph is reached."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION contracts_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND (
                OLD.service, OLD.version, OLD.digest, OLD.charter, OLD.sdl, OLD.descriptor_set,
                OLD.events, OLD.pushed_at, OLD.pushed_by
            ) IS NOT DISTINCT FROM (
                NEW.service, NEW.version, NEW.digest, NEW.charter, NEW.sdl, NEW.descriptor_set,
                NEW.events, NEW.pushed_at, NEW.pushed_by
            ) THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'a registered contract never changes';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER contracts_never_change BEFORE UPDATE OR DELETE ON contracts
        FOR EACH ROW EXECUTE FUNCTION contracts_never_change()
        """
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER contracts_never_change ON contracts")
    op.execute("DROP FUNCTION contracts_never_change()")
