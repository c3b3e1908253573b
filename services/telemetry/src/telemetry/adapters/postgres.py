"""PostgreSQL: failures as ours, and texts it can hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from twinmesh_sdk.core.errors import ConflictError, UnavailableError


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises inside as the mesh's own errors."""
    try:
        yield
    except IntegrityError as error:
        raise ConflictError("telemetry's database holds something else already") from error
    except (OperationalError, InterfaceError, DBAPIError, OSError, TimeoutError) as error:
        raise UnavailableError("telemetry's database does not answer") from error


def storable(text: str) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
