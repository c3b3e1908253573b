"""Take readings in at the HTTP door: into the raw stream, and nowhere else."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.model.reading import RawReadings
from telemetry.ports import RawStream
from twinmesh_sdk.core.ids import SubjectToken, Tenant, derived_id

READINGS_PER_MESSAGE: Final = 20_000
"""36 bytes each at most, so a message stays below the stream's 1 MiB."""

Encode = Callable[[RawReadings], bytes]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the door took in.

    Attributes:
        repeated: Messages that the stream had already, from an earlier try with the same content.
    """

    readings: int
    messages: int
    repeated: int
    content_id: str


class AcceptReadings:
    """Publishes readings as batches; returns when the stream has all of them.

    The ids of the messages come from the content, so repeating a request that failed half way
    completes it, and repeating one that succeeded changes nothing: within the stream's duplicate
    window by the id, beyond it because stored values are recognised.
    """

    def __init__(self, stream: RawStream, encode: Encode) -> None:
        self._stream = stream
        self._encode = encode

    async def __call__(
        self, tenant: Tenant, source: SubjectToken, readings: RawReadings, traceparent: str = ""
    ) -> Accepted:
        """Take readings in.

        Raises:
            UnavailableError: The stream did not confirm; safe to repeat.
        """
        parts = [
            self._encode(readings.take(slice(at, at + READINGS_PER_MESSAGE)))
            for at in range(0, len(readings), READINGS_PER_MESSAGE)
        ]
        content = _content_id(tenant, source, readings)
        headers = {"Tm-Format": "raw-batch"}
        if traceparent:
            headers["traceparent"] = traceparent
        repeated = 0
        for number, data in enumerate(parts):
            new = await self._stream.put(
                f"raw.{tenant}.{source}.batch",
                data,
                message_id=derived_id("raw", tenant, source, content, number),
                headers=headers,
            )
            repeated += not new
        return Accepted(len(readings), len(parts), repeated, content)


def _content_id(tenant: str, source: str, readings: RawReadings) -> str:
    """Return the hash of what the readings say; when they arrived is no part of it."""
    digest = hashlib.sha256(f"{tenant}\n{source}\n".encode())
    digest.update("\n".join(name.local for name in readings.names).encode())
    columns: Sequence[tuple[str, str]] = (
        ("name_ix", "<i8"),
        ("observed_us", "<i8"),
        ("value", "<f8"),
        ("source_status", "<u4"),
        ("sequence", "<i8"),
    )
    for name, dtype in columns:
        digest.update(getattr(readings, name).astype(dtype).tobytes())
    return f"sha256:{digest.hexdigest()}"
