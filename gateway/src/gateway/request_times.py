"""The times of one request: fixed once here, forwarded to every subgraph, obeyed by all."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import ReadTime, format_time, parse_time

EXTENSION: Final = "twinmesh"
_KNOWN: Final = {"asOf", "knownAt"}


def read_times(extensions: object, *, plant_now: datetime) -> ReadTime:
    """Fix `now`, `asOf` and `knownAt` of a request.

    Args:
        extensions: The request's `extensions` member, unchecked.
        plant_now: Plant time of the tenant at this moment; becomes `now`, and `asOf` unless given.

    Raises:
        InvalidInputError: `extensions.twinmesh` has another form, or a time is unusable.
    """
    wanted = extensions.get(EXTENSION) if isinstance(extensions, Mapping) else None
    if wanted is None:
        return ReadTime(now=plant_now, as_of=plant_now)
    if not isinstance(wanted, Mapping):
        raise InvalidInputError("extensions.twinmesh must be an object with asOf and knownAt")
    if strangers := sorted(str(key)[:40] for key in wanted.keys() - _KNOWN):
        raise InvalidInputError(
            f"extensions.twinmesh does not know {', '.join(strangers)}",
            hint="it takes asOf and knownAt, both RFC 3339 times",
        )
    as_of, known_at = (_time(wanted, name) for name in ("asOf", "knownAt"))
    return ReadTime(now=plant_now, as_of=as_of or plant_now, known_at=known_at)


def _time(wanted: Mapping[str, object], name: str) -> datetime | None:
    text = wanted.get(name)
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidInputError(f"extensions.twinmesh.{name} must be an RFC 3339 time")
    return parse_time(text)


def time_headers(times: ReadTime) -> dict[str, str]:
    """Return the headers that carry the times to a subgraph."""
    headers = {"tm-now": format_time(times.now), "tm-as-of": format_time(times.as_of)}
    if times.known_at is not None:
        headers["tm-known-at"] = format_time(times.known_at)
    return headers
