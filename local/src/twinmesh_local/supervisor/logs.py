"""Per-process logs of bounded size: the current file and the one before it."""

import os
import shutil
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 8 * 2**20


def open_log(folder: Path, name: str) -> int:
    """Return a descriptor that appends to a process's log."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def trim(folder: Path) -> None:
    """Set aside every log that is full. Its writer appends, so it goes on at the new beginning."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > MAX_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def tail(folder: Path, name: str, lines: int) -> str:
    """Return the last lines of a log; empty when there is none."""
    path = folder / f"{name}.log"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 400 * lines))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
