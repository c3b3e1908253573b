"""Make roles and databases, then bring every service's schema to this release: one process for all.

Run as `python -m twinmesh_local.supervisor.migrate STATE_FOLDER`. Each service's
`migrations/env.py` finds a connection in `context.config.attributes["connection"]`.
"""

import asyncio
import importlib.util
import logging
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from twinmesh_local.catalogue import SERVICES
from twinmesh_local.state import State
from twinmesh_local.supervisor.stack import Stack

log = logging.getLogger(__name__)


def migrations_of(package: str) -> Path | None:
    """Return the folder of a package's migrations, without importing the package, if it has any."""
    found = importlib.util.find_spec(package)
    if found is not None and found.submodule_search_locations:
        folder = Path(found.submodule_search_locations[0]) / "migrations"
        if (folder / "env.py").exists():
            return folder
    return None


async def migrate(stack: Stack) -> None:
    """Do it; repeatable."""
    owners = [service for service in SERVICES if service.database]
    roles = {service.name.replace("-", "_"): service.package for service in owners}
    secrets = {role: stack.state.secret(f"postgres/{role}") for role in roles}
    await stack.postgres.ensure(secrets)
    for role, package in roles.items():
        if (folder := migrations_of(package)) is None:
            log.warning("%s has no migrations", package)
            continue
        url = stack.postgres.url(role, secrets[role])
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade, folder, url)
        finally:
            await engine.dispose()
        log.info("migrated %s", role)


def _upgrade(connection: Connection, folder: Path, url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def main() -> None:
    """Migrate the mesh of the state folder given."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(migrate(Stack(State.load(Path(sys.argv[1])))))


if __name__ == "__main__":
    main()
