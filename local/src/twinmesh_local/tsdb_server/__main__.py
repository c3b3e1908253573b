"""Run the time-series store: `python -m twinmesh_local.tsdb_server`."""

import uvicorn

from twinmesh_local.tsdb_server.app import TsdbApp
from twinmesh_local.tsdb_server.engine import Engine
from twinmesh_local.tsdb_server.settings import TsdbSettings


def main() -> None:
    """Serve until told to stop, then let the engine finish."""
    settings = TsdbSettings()
    app = TsdbApp(Engine(settings.folder), password=settings.password.get_secret_value())
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        lifespan="on",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
        backlog=256,
    )


if __name__ == "__main__":
    main()
