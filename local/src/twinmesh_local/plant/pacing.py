"""Sending rows when they are due: the inner loop of replay and simulation."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from twinmesh_local.plant.clock import Pacer
from twinmesh_local.plant.model import Track
from twinmesh_local.plant.mqtt import MqttFeed

TICK_S: Final = 0.05
SLICE_US: Final = 5_000_000
"""Devices take turns of so much plant time, so that none runs far ahead when all are behind."""


class Cursor:
    """A track and how much of it was sent."""

    def __init__(self, track: Track, *, after_us: int | None) -> None:
        self.track = track
        done = 0 if after_us is None else int(np.searchsorted(track.stamps, after_us, "right"))
        self._row = done
        suffix = "Z" if track.zoned else ""
        texts = np.datetime_as_string(track.stamps[done:].astype("M8[us]"), unit="us")
        self._texts = [f"{text}{suffix}" for text in texts]
        self._offset = done

    @property
    def finished(self) -> bool:
        """Whether every row was sent."""
        return self._row >= self.track.stamps.size

    def next_us(self) -> int | None:
        """Return the stamp of the next row."""
        return None if self.finished else int(self.track.stamps[self._row])

    def take(self, through_us: int) -> list[tuple[str, bytes]]:
        """Return what to publish up to a plant time: pairs of signal and payload."""
        track = self.track
        last = int(np.searchsorted(track.stamps, through_us, "right"))
        messages: list[tuple[str, bytes]] = []
        for row in range(self._row, last):
            text = self._texts[row - self._offset]
            sequence = track.first_sequence + row
            messages += [
                (signal, payload_of(text, value, sequence))
                for signal, value in zip(track.signals, track.values[row].tolist(), strict=True)
                if value == value  # noqa: PLR0124 - false for NaN only
            ]
        self._row = max(self._row, last)
        return messages


def payload_of(stamp: str, value: float, sequence: int) -> bytes:
    """Return the JSON of one reading, as devices send it.

    >>> payload_of("2026-01-01T00:00:00Z", 1.5, 7)
    b'{"ts":"2026-01-01T00:00:00Z","value":1.5,"quality":"Good","seq":7}'
    """
    return (
        f'{{"ts":"{stamp}","value":{json.dumps(value)},"quality":"Good","seq":{sequence}}}'.encode()
    )


class Sender:
    """Publishes tracks by the pace, and knows what has surely arrived.

    Args:
        feeds: A connection per source.
        report: Called after each slice with the plant time up to which rows have surely arrived
            (None: none yet) and the number of readings sent since the last call.
    """

    def __init__(
        self,
        feeds: Mapping[str, MqttFeed],
        pacer: Pacer,
        report: Callable[[int | None, int], None],
    ) -> None:
        self._feeds = feeds
        self._pacer = pacer
        self._report = report
        self._marks: deque[tuple[float, int]] = deque()
        self._safe_us: int | None = None

    async def send(
        self, tracks: Sequence[Track], *, start_us: int, end_us: int, after_us: int | None
    ) -> None:
        """Publish every row in start..end when it is due; returns when all were handed over.

        Rows up to `after_us` have arrived already; None for a fresh start.

        Raises:
            UnavailableError: The broker stayed away.
        """
        cursors = [Cursor(track, after_us=after_us) for track in tracks]
        at_us = start_us if after_us is None else after_us
        while at_us < end_us:
            due_us = min(self._pacer.due_us(), end_us)
            if due_us <= at_us:
                await self._idle()
                continue
            upcoming = [us for cursor in cursors if (us := cursor.next_us()) is not None]
            first_us = min(upcoming, default=end_us)
            at_us = min(due_us, max(at_us, first_us) + SLICE_US)
            count = 0
            for cursor in cursors:
                count += await self._publish(cursor, at_us)
            self._marks.append((time.monotonic(), at_us))
            self._note(count)
            if at_us >= due_us:
                await self._idle()

    async def _publish(self, cursor: Cursor, through_us: int) -> int:
        feed = self._feeds[cursor.track.source]
        messages = cursor.take(through_us)
        for signal, payload in messages:
            await feed.publish(cursor.track.device, signal, payload)
        return len(messages)

    async def _idle(self) -> None:
        for feed in self._feeds.values():
            await feed.tick()
        self._note(0)
        await asyncio.sleep(TICK_S)

    def _note(self, count: int) -> None:
        oldest = [at for feed in self._feeds.values() if (at := feed.oldest_s()) is not None]
        settled_s = min(oldest, default=float("inf"))
        while self._marks and self._marks[0][0] < settled_s:
            self._safe_us = self._marks.popleft()[1]
        self._report(self._safe_us, count)

    async def settle(self) -> None:
        """Wait until everything published has surely arrived."""
        for feed in self._feeds.values():
            await feed.settle()
