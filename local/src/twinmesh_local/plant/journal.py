"""The plant's journal: what is replayed and how far it surely got, so that a restart goes on.

One JSON file, replaced in one step. The demonstration reads it to show progress and to learn what
the plant did (which pump was broken when); nothing of it reaches the mesh.
"""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import PlantTime


class Phase(StrEnum):
    """What the plant is doing, in this order."""

    IMPORTING = "IMPORTING"
    REPLAYING = "REPLAYING"
    BACKFILLING = "BACKFILLING"
    SIMULATING = "SIMULATING"
    LIVE = "LIVE"
    DONE = "DONE"


@dataclass(slots=True)
class Journal:
    """Where the plant stands.

    Attributes:
        run: Tells one replay from the next; a journal of another run is not continued.
        stretch: How many stretches of recordings are done.
        through_us: Rows up to this plant time of the current stretch have surely arrived.
        pace: Of the current stretch; None before it began.
        track: How many backfilled tracks are done; `row` of the next one have surely arrived.
        planned: Readings that the whole run sends, each counted once.
        sent: Of these, how many were sent so far (a restart may count some again).
        absorbed: Of these, how many a door had taken in just before, and so did not count again.
        ratio: Progress of the phase, 0 to 1.
        starts: When the reproducible episodes of this plant began, by seed.
        lived: Whether the plant ever ran in wall time: its clock then never goes behind that.
        assets: Names of the assets that have readings, and the last stamp of each.
        episode: The simulated episode: pump, fault, onset; empty before it is planned.
        failures: Sentences about what went wrong for good.
    """

    run: str
    seed: int
    phase: Phase = Phase.IMPORTING
    stretch: int = 0
    through_us: int | None = None
    pace: PlantTime | None = None
    track: int = 0
    row: int = 0
    episodes: int = 0
    simulate_from_us: int | None = None
    starts: dict[str, int] = field(default_factory=dict)
    lived: bool = False
    planned: int = 0
    sent: int = 0
    absorbed: int = 0
    ratio: float = 0.0
    assets: dict[str, int] = field(default_factory=dict)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    episode: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self.phase = phase
        self.ratio = 0.0

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it back.

        Raises:
            InvalidInputError: It is no journal of this version.
        """
        try:
            value = json.loads(text)
            known = {each.name for each in fields(cls)}
            if not isinstance(value, dict) or set(value) != known:
                raise InvalidInputError("not a journal of this version")
            value["phase"] = Phase(value["phase"])
            if value["pace"] is not None:
                value["pace"] = PlantTime(**value["pace"])
            return cls(**value)
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInputError(f"the plant's journal is unreadable: {error}") from error


def load(path: Path, *, run: str | None = None) -> Journal | None:
    """Return the journal; None when there is no readable one, or it is not `run`'s."""
    try:
        journal = Journal.from_json(path.read_text())
    except (FileNotFoundError, InvalidInputError):
        return None
    return journal if run in {None, journal.run} else None


def save(path: Path, journal: Journal) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(journal.to_json())
    fresh.replace(path)
