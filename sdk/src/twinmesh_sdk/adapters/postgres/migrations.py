"""A service's Alembic migrations, run in process at start-up; one process of several at a time."""

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from twinmesh_sdk.core.errors import UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.engine import Connection

LOCK_KEY: Final = 0x7477696E  # "twin"
LOCK_MS: Final = 60_000


async def migrate(url: str, package: str) -> None:
    """Bring a database up to `head` of `<package>/migrations`.

    Raises:
        UnavailableError: The database does not answer, or the migrations fail.
    """
    from sqlalchemy import exc, text  # noqa: PLC0415 - slow to import
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            # Held by the session, so that two processes that start together take turns.
            await connection.execute(text(f"SET lock_timeout = {LOCK_MS}"))
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
            await connection.commit()
            await connection.run_sync(_upgrade, package)
            await connection.commit()
    except (TimeoutError, exc.SQLAlchemyError, OSError) as error:
        raise UnavailableError(f"migrations of {package} failed: {error}") from error
    finally:
        await engine.dispose()


def _upgrade(connection: "Connection", package: str) -> None:
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - slow to import
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(files(package) / "migrations"))
    heads = set(scripts.get_heads())
    if set(MigrationContext.configure(connection).get_current_heads()) == heads:
        return
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files(package) / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_migrations(metadata: "MetaData | None" = None) -> None:
    """Be the body of a service's `migrations/env.py`.

    Works in process, where `migrate` hands over its connection, and for the `alembic` command,
    which needs `-x url=postgresql+asyncpg://…`.
    """
    from alembic import context  # noqa: PLC0415 - slow to import

    def configure(connection: Any) -> None:  # noqa: ANN401 - a sync facade
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            context.run_migrations()

    connection = context.config.attributes.get("connection")
    if connection is not None:
        configure(connection)
        return

    async def by_url() -> None:
        from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

        engine = create_async_engine(context.get_x_argument(as_dictionary=True)["url"])
        async with engine.connect() as opened:
            await opened.run_sync(configure)
            await opened.commit()
        await engine.dispose()

    asyncio.run(by_url())
