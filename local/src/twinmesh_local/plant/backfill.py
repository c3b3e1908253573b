"""What a historian does: rows of the past, in CSV batches, through the HTTP door."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import numpy as np

from twinmesh_local.plant.identity import TokenSource
from twinmesh_local.plant.model import Track
from twinmesh_local.plant.retrying import persistently
from twinmesh_local.plant.roles import UTC_ZONE
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

READINGS_PER_BATCH: Final = 20_000
"""One message of the raw stream."""
CALL_S: Final = 30.0
HEADER: Final = "device,signal,ts,value,seq"


@dataclass(frozen=True, slots=True)
class Batch:
    """One request's body.

    Attributes:
        rows: Rows of the track that it covers, after those before it.
        readings: How many values it carries.
        zone: Of its stamps; empty where each says its own.
    """

    rows: int
    readings: int
    body: bytes
    zone: str


def batches(track: Track, *, from_row: int = 0) -> Iterator[Batch]:
    """Cut a track into batches; the cuts are the same every time."""
    step = max(1, READINGS_PER_BATCH // max(1, len(track.signals)))
    first_row = from_row // step * step
    for first in range(first_row, track.stamps.size, step):
        stamps = track.stamps[first : first + step]
        texts = np.datetime_as_string(stamps.astype("M8[us]"), unit="us").tolist()
        suffix = "Z" if track.zoned else ""
        lines = [HEADER]
        for row, (text, values) in enumerate(
            zip(texts, track.values[first : first + step].tolist(), strict=True)
        ):
            sequence = track.first_sequence + first + row
            lines += [
                f"{track.device},{signal},{text}{suffix},{value!r},{sequence}"
                for signal, value in zip(track.signals, values, strict=True)
                if value == value  # noqa: PLR0124 - false for NaN only
            ]
        body = ("\n".join(lines) + "\n").encode()
        yield Batch(stamps.size, len(lines) - 1, body, zone="" if track.zoned else UTC_ZONE)


class BackfillDoor:
    """telemetry's `POST /v1/readings`, with the plant's own token."""

    def __init__(self, http: httpx.AsyncClient, *, url: str, tokens: TokenSource) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/v1/readings"
        self._tokens = tokens

    async def send(self, source: str, batch: Batch) -> int:
        """Hand over one batch; returns when the mesh has it for good.

        Returns:
            How many of its readings the door took in: none, if it had the same batch just before.

        Raises:
            InvalidInputError: The door refuses it.
            UnavailableError: The door stayed away.
        """
        if not batch.readings:
            return 0
        return await persistently(partial(self._post, source, batch))

    async def _post(self, source: str, batch: Batch) -> int:
        token = await self._tokens.token()
        try:
            answer = await self._http.post(
                self._url,
                params={"source": source, "zone": batch.zone},
                content=batch.body,
                headers={"authorization": f"Bearer {token}", "content-type": "text/csv"},
                timeout=CALL_S,
            )
        except httpx.HTTPError as error:
            raise UnavailableError(f"telemetry's door does not answer: {error!r}") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            await asyncio.sleep(0.2)
            raise UnavailableError(f"telemetry's door answers {answer.status_code}")
        if answer.status_code != 202:
            raise InvalidInputError(
                f"telemetry's door refuses a batch of {source}: {answer.status_code} "
                f"{answer.text[:300]}"
            )
        return 0 if answer.json().get("repeated") else batch.readings
