"""Processes that no supervisor looks after any more: found by their mark, and ended."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

SWEEP_S: Final = 5.0


def strays(tag: str) -> list[int]:
    """Return the processes whose environment carries `tag`, this one excepted."""
    mark = f"TWINMESH_RUN={tag}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def sweep(tag: str) -> int:
    """End every stray of `tag`, and wait until they are gone; return how many there were."""
    deadline = time.monotonic() + SWEEP_S
    ended: set[int] = set()
    while (found := [pid for pid in strays(tag) if not _is_zombie(pid)]) and (
        time.monotonic() < deadline
    ):
        for pid in found:
            ended.add(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return len(ended)


def _is_zombie(pid: int) -> bool:
    return process_state(pid) in {"Z", "X", ""}


def process_state(pid: int) -> str:
    """Return the kernel's letter for a process: R, S, D, T (stopped), Z; empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def resident_kb(pid: int) -> int:
    """Return the proportional memory of a process's group in KiB, where the kernel tells it."""
    return sum(_pss_kb(member) for member in _group(pid))


def _pss_kb(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _group(leader: int) -> list[int]:
    """Return a process and its descendants."""
    found = [leader]
    for pid in found:
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found
