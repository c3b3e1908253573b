"""Bring governance's database to the schema of this release."""

from importlib.resources import files
from typing import Final

from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATION_LOCK: Final = 0x7477_6E6D_6967  # "twnmig": replicas that start together migrate once
HEAD: Final = "0012"


async def migrate(engine: AsyncEngine) -> None:
    """Run what has not run yet; repeatable, and safe from several processes at once."""
    async with engine.begin() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        present = await connection.execute(text("SELECT to_regclass('alembic_version')"))
        if present.scalar_one() is not None:
            at = await connection.execute(text("SELECT version_num FROM alembic_version"))
            if at.scalar_one_or_none() == HEAD:
                return  # Alembic costs 0.3 s to import; a start that needs nothing skips it
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("governance") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
