"""The mesh that runs on this machine, as the commands find it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from twinmesh_sdk.core.errors import InvalidInputError, TwinError

if TYPE_CHECKING:
    from twinmesh_local.mesh import Mesh


def mesh() -> "Mesh":
    """Return the mesh of the state folder, running or not."""
    from twinmesh_local.mesh import Mesh  # noqa: PLC0415 - `--help` need not wait for it
    from twinmesh_local.state import default_folder  # noqa: PLC0415

    return Mesh(default_folder())


@contextmanager
def failures_told() -> Iterator[None]:
    """Say an anticipated failure in one line, with what can be done, and exit with 1 or 2."""
    try:
        yield
    except TwinError as error:
        click.echo(f"{error.code}: {error}" + (f"\n{error.hint}" if error.hint else ""), err=True)
        raise SystemExit(2 if isinstance(error, InvalidInputError) else 1) from error


def token_of(identity: str) -> str:
    """Return a demo identity's token from the issuer on this machine."""
    with failures_told():
        return mesh().token(identity)


def governance_address() -> str:
    """Return governance's gRPC address on this machine."""
    return grpc_address("governance")


def grpc_address(service: str) -> str:
    """Return a service's gRPC address on this machine."""
    with failures_told():
        return f"127.0.0.1:{mesh().port(f'{service}.grpc')}"
