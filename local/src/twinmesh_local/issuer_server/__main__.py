"""Run the issuer: `python -m twinmesh_local.issuer_server`."""

import uvicorn

from twinmesh_local.issuer_server.app import Issuer
from twinmesh_local.issuer_server.settings import IssuerSettings
from twinmesh_local.issuer_server.tokens import load_key


def main() -> None:
    """Serve until told to stop."""
    settings = IssuerSettings()
    issuer = Issuer(
        url=f"http://{settings.host}:{settings.port}",
        key=load_key(settings.folder / "key.pem"),
        clients_file=settings.folder / "clients.json",
    )
    uvicorn.run(
        issuer.app(),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
