"""Fields of one JSON reading: stamp, value, sequence; each read leniently or refused."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from telemetry.model.quarantine import Reason
from telemetry.model.reading import NO_SEQUENCE
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME, to_us

MIN_US: Final = to_us(MIN_TIME)
MAX_US: Final = to_us(MAX_TIME)
_MILLISECONDS_FROM: Final = 1e11
_NOT_NUMBERS: Final = {"nan", "inf", "-inf", "+inf", "infinity", "-infinity", ""}


class Refused(Exception):  # noqa: N818 - a decision, not an error
    """Carries the reason out of the decoding of one payload."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_time(stamp: object) -> tuple[int, bool]:
    """Return a stamp as UTC microseconds and whether it came without a zone.

    Args:
        stamp: RFC 3339 text, or Unix time as a number: seconds below 1e11, else milliseconds.

    Raises:
        InvalidInputError: No time, or outside the years 1900 to 9998.
    """
    if isinstance(stamp, str):
        try:
            moment = datetime.fromisoformat(stamp)
            zoneless = moment.tzinfo is None
            us = to_us(moment.replace(tzinfo=UTC) if zoneless else moment)
        except (ValueError, OverflowError) as error:
            raise InvalidInputError(f"{stamp[:60]!r} is not an RFC 3339 time") from error
        return _plausible(us), zoneless
    if isinstance(stamp, int | float) and not isinstance(stamp, bool):
        seconds = stamp if abs(stamp) < _MILLISECONDS_FROM else stamp / 1e3
        if not abs(seconds) < 1e12:
            raise InvalidInputError("ts is outside the years 1900 to 9998")
        return _plausible(round(seconds * 1e6)), False
    raise InvalidInputError("ts is neither RFC 3339 text nor a Unix time")


def _plausible(us: int) -> int:
    if not MIN_US <= us < MAX_US:
        raise InvalidInputError("ts is outside the years 1900 to 9998")
    return us


def read_value(value: object) -> float:
    """Return a value as a float; NaN and infinity pass, for they are judged with the others."""
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOT_NUMBERS):
        return float("nan")
    raise Refused(Reason.MALFORMED, "value is not a number")


def load_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object; NaN and Infinity, which are no JSON, pass to be judged as values."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:  # the lenient reader: NaN and Infinity are no JSON, but devices send them
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Refused(Reason.MALFORMED, f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused(Reason.MALFORMED, "the payload is no JSON object")
    return document


def read_sequence(value: object) -> int:
    """Return a sequence number; -1 when there is none."""
    if value is None:
        return NO_SEQUENCE
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise Refused(Reason.MALFORMED, "seq is not a whole number from 0 to 2^63 - 1")
