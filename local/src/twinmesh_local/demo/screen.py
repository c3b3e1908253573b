"""Progress on standard error: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PLAIN_EVERY_S: Final = 5.0


class Screen(Protocol):
    """Where a person follows what happens."""

    def line(self, text: str) -> None:
        """Say something that stays."""
        ...

    def progress(self, what: str, ratio: float, detail: str) -> None:
        """Say how far something is, 0 to 1."""
        ...

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        ...


class PlainScreen:
    """See `Screen`: lines, a new one when something else begins or some seconds passed."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._what = ""
        self._told_s = float("-inf")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def line(self, text: str) -> None:
        """See `Screen.line`."""
        passed_s = time.monotonic() - self._began_s
        print(f"[{passed_s:6.1f} s] {text}", file=sys.stderr, flush=True)  # noqa: T201

    def progress(self, what: str, ratio: float, detail: str) -> None:
        """See `Screen.progress`."""
        now_s = time.monotonic()
        if what != self._what or now_s - self._told_s >= PLAIN_EVERY_S:
            self._what, self._told_s = what, now_s
            self.line(f"{what}: {100.0 * ratio:.0f} %, {detail}")


class RichScreen:
    """See `Screen`: one live bar below the lines."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
        )
        self._what = ""
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def line(self, text: str) -> None:
        """See `Screen.line`."""
        self._console.print(text, markup=False)

    def progress(self, what: str, ratio: float, detail: str) -> None:
        """See `Screen.progress`."""
        if what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._what = what
            self._task = self._bar.add_task(what, total=1.0, detail=detail)
        if self._task is not None:
            self._bar.update(self._task, completed=ratio, detail=detail)


def screen() -> Screen:
    """Return what suits standard error."""
    return RichScreen() if sys.stderr.isatty() else PlainScreen()
