"""One run of the plant: import, replay, backfill, simulate, each continued after a crash."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np

from twinmesh_local.plant import journal as journals
from twinmesh_local.plant import plan, simulator
from twinmesh_local.plant.backfill import BackfillDoor, Batch, batches
from twinmesh_local.plant.clock import Pacer
from twinmesh_local.plant.importing import ImportDoor
from twinmesh_local.plant.journal import Journal, Phase
from twinmesh_local.plant.model import PlantSpec, Track
from twinmesh_local.plant.mqtt import MqttFeed
from twinmesh_local.plant.pacing import Sender
from twinmesh_local.plant.plan import Recordings
from twinmesh_local.plant.simulator import Episode

REPLAY_SPEED: Final = 300.0
SIMULATION_SPEED: Final = 60.0
LIVE_SPEED: Final = 1.0
SAVE_S: Final = 0.5
GATE_S: Final = 0.1
DAY_US: Final = 86_400_000_000
AFTER_BACKFILL_US: Final = 3_600_000_000
"""The clock jumps this far beyond the last backfilled stamp."""


FIRST_DAY_US: Final = 1_767_600_000_000_000
"""2026-01-05 08:00 UTC, a Monday: when reproducible episodes begin on a plant that is new."""
MARGIN_US: Final = 5_000_000
"""An episode that is to end now ends so much earlier, for its preparation takes a while."""
KEPT_RUNS: Final = 100


class Begin(Enum):
    """When an episode begins.

    REPRODUCIBLE: at a fixed day, or when the same seed began before here; later if the plant clock
    is later already. ENDING_NOW: so early that it ends at the present. LIVE: now.
    """

    REPRODUCIBLE = 1
    ENDING_NOW = 2
    LIVE = 3


@dataclass(frozen=True, slots=True)
class Doors:
    """The mesh's doors that a plant uses, and the clock that it sets."""

    feeds: Mapping[str, MqttFeed]
    backfill: BackfillDoor
    registry: ImportDoor
    pacer: Pacer


def new_journal(run: str, *, seed: int | None, last: Journal | None) -> Journal:
    """Return the journal of a fresh run, with a random seed unless one is given.

    Args:
        run: Its name.
        seed: Of the simulation.
        last: The journal of the run before; what happened for ever is carried over.
    """
    fresh = Journal(run=run, seed=secrets.randbits(32) if seed is None else seed)
    if last is not None:
        fresh.starts = dict(last.starts)
        fresh.lived = last.lived
    return fresh


def empty_recordings() -> Recordings:
    """Return what a run without recordings replays."""
    return Recordings(plant=PlantSpec(), paced=(), backfilled=())


class PlantRun:
    """Feeds the mesh. Everything sent follows from the journal's seed and times.

    Args:
        speed: Plant seconds per wall second; None takes each phase's own.
        wall: UTC microseconds.
    """

    def __init__(
        self,
        doors: Doors,
        recordings: Recordings,
        journal: Journal,
        *,
        path: Path,
        speed: float | None,
        wall: Callable[[], int],
    ) -> None:
        self._doors = doors
        self._recordings = recordings
        self.journal = journal
        self._path = path
        self._speed = speed
        self._wall = wall
        self._saved_s = 0.0

    async def replay(self, *, first: "Begin | None") -> None:
        """Feed the recordings and a first simulated episode, until all of it has arrived.

        Args:
            first: When the episode begins; None simulates none.

        Raises:
            TwinError: A door refused, or stayed away.
        """
        journal = self.journal
        if journal.phase is Phase.IMPORTING:
            await self._import()
        if journal.phase is Phase.REPLAYING:
            await self._replay()
            journal.enter(Phase.BACKFILLING)
            self._save()
        if journal.phase is Phase.BACKFILLING:
            await self._backfill(self._recordings.backfilled)
            journal.enter(Phase.SIMULATING)
            self._save()
        if journal.phase is Phase.SIMULATING and first is not None:
            await self._simulate(first, self._speed or SIMULATION_SPEED)

    async def live(self) -> None:
        """Go on with one simulated episode after the other, in wall time unless it is ahead of it.

        Raises:
            TwinError: A door refused, or stayed away.
        """
        journal = self.journal
        if journal.phase is not Phase.LIVE:
            if journal.simulate_from_us is not None:
                self._next_episode()
            journal.enter(Phase.LIVE)
            journal.lived = True
            self._save()
        self._doors.pacer.lived = True
        await self._doors.pacer.catch_up(LIVE_SPEED)
        while True:
            await self._simulate(Begin.LIVE, self._speed or LIVE_SPEED)
            self._next_episode()

    def finish(self) -> None:
        """Note that everything was sent."""
        self.journal.enter(Phase.DONE)
        self.journal.ratio = 1.0
        self._save()

    def fail(self, sentence: str) -> None:
        """Note that the run ended early, and why."""
        self.journal.failures.append(sentence)
        self._save()

    def _save(self) -> None:
        self._saved_s = time.monotonic()
        journals.save(self._path, self.journal)

    def _next_episode(self) -> None:
        self.journal.episodes += 1
        self.journal.simulate_from_us = None
        self.journal.through_us = None
        self.journal.pace = None
        for runs in self.journal.runs.values():
            del runs[:-KEPT_RUNS]
        self._save()

    async def _import(self) -> None:
        recordings = self._recordings
        await self._doors.registry.send(recordings.plant)
        journal = self.journal
        journal.planned = recordings.readings
        journal.notices = list(recordings.notices)
        for track in recordings.paced + recordings.backfilled:
            self._announce(track)
        for each in recordings.plant.configurations:
            journal.runs.setdefault(each.asset, []).append(
                {"label": each.label, "from_us": each.valid_from_us}
            )
        journal.enter(Phase.REPLAYING)
        self._save()

    def _announce(self, track: Track) -> None:
        if track.stamps.size:
            last = int(track.stamps[-1])
            known = self.journal.assets.get(track.device, last)
            self.journal.assets[track.device] = max(known, last)

    def _sender(self, tracks: tuple[Track, ...], *, start_us: int, end_us: int) -> Sender:
        """Return a sender over the sources of `tracks` that keeps the journal."""
        journal = self.journal
        sources = {track.source for track in tracks}

        def report(through_us: int | None, sent: int) -> None:
            journal.sent += sent
            if through_us is not None:
                journal.through_us = through_us
                journal.ratio = (through_us - start_us) / max(1, end_us - start_us)
            if time.monotonic() - self._saved_s > SAVE_S:
                self._save()

        feeds = {name: feed for name, feed in self._doors.feeds.items() if name in sources}
        return Sender(feeds, self._doors.pacer, report)

    async def _stretch(
        self, tracks: tuple[Track, ...], *, start_us: int, end_us: int, speed: float
    ) -> None:
        """Send one stretch by the clock; the journal says where to go on."""
        journal = self.journal
        pacer = self._doors.pacer
        if journal.pace is None:
            if journal.phase is Phase.LIVE and speed == LIVE_SPEED:
                await pacer.follow()
            else:
                await pacer.jump(start_us, speed=speed, until_us=end_us)
            journal.pace = pacer.pace
            self._save()
        else:
            pacer.pace = journal.pace
        sender = self._sender(tracks, start_us=start_us, end_us=end_us)
        await sender.send(tracks, start_us=start_us, end_us=end_us, after_us=journal.through_us)
        if speed != LIVE_SPEED:
            await pacer.set_speed(LIVE_SPEED)  # what was sent shall not age while it settles
        await sender.settle()
        journal.pace = None
        journal.through_us = None

    async def _replay(self) -> None:
        tracks = self._recordings.paced
        stretches = plan.stretches(tracks)
        while self.journal.stretch < len(stretches):
            stretch = stretches[self.journal.stretch]
            inside = tuple(
                cut
                for track in tracks
                if (cut := between(track, stretch.start_us, stretch.end_us)).stamps.size
            )
            await self._stretch(
                inside,
                start_us=stretch.start_us,
                end_us=stretch.end_us,
                speed=self._speed or REPLAY_SPEED,
            )
            self.journal.stretch += 1
            self._save()

    async def _backfill(self, tracks: tuple[Track, ...]) -> None:
        """Move the clock beyond everything that is backfilled, then send it in batches."""
        journal = self.journal
        if not tracks:
            return
        end_us = max(int(track.stamps[-1]) for track in tracks if track.stamps.size)
        if journal.track == 0 and journal.row == 0:
            await self._doors.pacer.jump(end_us + AFTER_BACKFILL_US, speed=LIVE_SPEED)
        total = sum(track.stamps.size for track in tracks)
        done = sum(track.stamps.size for track in tracks[: journal.track])
        while journal.track < len(tracks):
            track = tracks[journal.track]
            for batch in batches(track, from_row=journal.row):
                await self._hand_over(track, batch)
                journal.row += batch.rows
                journal.ratio = (done + journal.row) / max(1, total)
                self._save()
            done += track.stamps.size
            journal.track += 1
            journal.row = 0
        self._save()

    async def _begin_us(self, begin: "Begin", seed: int, speed: float) -> int:
        """Return when an episode begins: never before plant time, unless it is a repeat."""
        plant_now = await self._doors.pacer.plant_now_us()
        match begin:
            case Begin.REPRODUCIBLE:
                again = self.journal.starts.get(str(seed))
                return again or max(FIRST_DAY_US, plant_now or 0)
            case Begin.ENDING_NOW:
                span_us = simulator.EPISODE_S * 1_000_000
                ending = self._wall() - span_us + round(span_us / speed) - MARGIN_US
                return max(ending, plant_now or 0)
            case Begin.LIVE:
                return plant_now or self._wall()

    async def _plan_episode(self, begin: "Begin", speed: float) -> Episode:
        """Fix seed and times of the next episode in the journal, before anything is sent."""
        journal = self.journal
        seed = int(
            np.random.default_rng([journal.seed, journal.episodes]).integers(2**32)
            if journal.episodes
            else journal.seed
        )
        if journal.simulate_from_us is None:
            start = await self._begin_us(begin, seed, speed)
            journal.simulate_from_us = -(-start // 1_000_000) * 1_000_000
            if begin is Begin.REPRODUCIBLE:
                journal.starts[str(seed)] = journal.simulate_from_us
        episode = simulator.plan_episode(seed, start_us=journal.simulate_from_us)
        journal.episode = _as_told(episode)
        return episode

    async def _simulate(self, begin: "Begin", speed: float) -> None:
        """Import the plant as overhauled, backfill its meters' past, send the episode."""
        journal = self.journal
        fresh = journal.simulate_from_us is None
        episode = await self._plan_episode(begin, speed)
        spec = simulator.plant_of(episode)
        past = _past(episode) if journal.episodes == 0 else ()
        tracks = _rows(episode)
        if fresh:
            for track in past + tracks:
                self._announce(track)
            for each in spec.configurations:
                runs = journal.runs.setdefault(each.asset, [])
                runs.append({"label": each.label, "from_us": each.valid_from_us})
            journal.planned += sum(track.readings for track in past + tracks)
            self._save()
        await self._doors.registry.send(spec)
        if journal.pace is None:
            await self._send_past(past)
        await self._stretch(tracks, start_us=episode.start_us, end_us=episode.end_us, speed=speed)

    async def _send_past(self, past: tuple[Track, ...]) -> None:
        for track in past:
            for batch in batches(track):
                await self._hand_over(track, batch)

    async def _hand_over(self, track: Track, batch: Batch) -> None:
        taken = await self._doors.backfill.send(track.source, batch)
        self.journal.sent += batch.readings
        self.journal.absorbed += batch.readings - taken


def between(track: Track, start_us: int, end_us: int) -> Track:
    """Return the rows of a track in start..end, the end included."""
    first = int(np.searchsorted(track.stamps, start_us, "left"))
    last = int(np.searchsorted(track.stamps, end_us, "right"))
    return Track(
        source=track.source,
        device=track.device,
        signals=track.signals,
        stamps=track.stamps[first:last],
        values=track.values[first:last],
        zoned=track.zoned,
        first_sequence=track.first_sequence + first,
    )


def _past(episode: Episode) -> tuple[Track, ...]:
    start_us = episode.start_us - simulator.HISTORY_DAYS * DAY_US
    return (
        simulator.building_rows(start_us, episode.start_us),
        simulator.station_rows(start_us, episode.start_us),
    )


def _rows(episode: Episode) -> tuple[Track, ...]:
    return (
        *(simulator.pump_rows(episode, pump) for pump in simulator.PUMPS),
        simulator.building_rows(episode.start_us, episode.end_us),
        simulator.station_rows(episode.start_us, episode.end_us),
    )


def _as_told(episode: Episode) -> dict[str, Any]:
    return {
        "seed": episode.seed,
        "label": episode.label,
        "pump": episode.pump,
        "healthy": [pump for pump in simulator.PUMPS if pump != episode.pump],
        "fault": str(episode.fault),
        "start_us": episode.start_us,
        "onset_us": episode.onset_us,
        "end_us": episode.end_us,
    }


async def opened(gate: Path | None) -> None:
    """Wait until the file `gate` is there, if one is named."""
    while gate is not None and not gate.exists():  # noqa: ASYNC110, ASYNC240 - a local file
        await asyncio.sleep(GATE_S)


async def idle() -> None:
    """Stay, so that whoever keeps us running does not start us again."""
    await asyncio.Event().wait()
