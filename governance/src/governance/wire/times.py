"""Times that may be unset."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from twinmesh_sdk.wire import moment


def time_or_none(message: Any, field: str) -> Any:  # noqa: ANN401 - any message with a timestamp
    """Return a timestamp field as a time; None when it is unset."""
    value: Timestamp = getattr(message, field)
    return moment(value) if message.HasField(field) else None
