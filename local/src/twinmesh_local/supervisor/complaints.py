"""What is amiss with a running mesh, in sentences."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from twinmesh_local.supervisor.child import Phase

START_FREE_MB: Final = 500
"""Stores fail late and badly on a disk that is nearly full: no start below this."""
WARN_FREE_MB: Final = 200
"""Said aloud while running: acknowledged data is safe, but soon nothing more will be taken."""

_AMISS: Final = {Phase.NOT_READY, Phase.HUNG, Phase.BACKOFF}


@dataclass(frozen=True, slots=True)
class Room:
    """How much a disk still takes.

    Attributes:
        folder: A folder on that disk.
        free_mb: In MiB, as far as this user may fill it.
    """

    folder: Path
    free_mb: int

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Measure the disk that holds `folder`."""
        return cls(folder, shutil.disk_usage(folder).free // 2**20)

    @property
    def is_short(self) -> bool:
        """Whether stores will soon take nothing more."""
        return self.free_mb < WARN_FREE_MB

    def __str__(self) -> str:
        return (
            f"only {self.free_mb} MB are free at {self.folder}: "
            "make room, or the stores will take nothing more"
        )


def complaints(processes: Sequence[Mapping[str, Any]], room: Room) -> list[str]:
    """Say what is amiss: a disk without room, and each process that is not well.

    Args:
        processes: Rows as `twinmesh status --json` lists them.
        room: Of the state folder's disk.
    """
    full = [str(room)] if room.is_short else []
    return full + [
        f"{row['name']} is {row['state']}" + (f": {row['detail']}" if row["detail"] else "")
        for row in processes
        if row["state"] in _AMISS
    ]
