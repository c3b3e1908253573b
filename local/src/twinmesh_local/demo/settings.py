"""What `make demo` is asked for: variables of make, each with an option of the same name."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinmesh_local.state import default_folder
from twinmesh_sdk.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """One demonstration.

    Attributes:
        once: One replay, checked, then exit; otherwise stay and feed the plant for ever.
        data: Folder of recordings, None to simulate only.
        graph: Engine of the asset graph; None takes what the state folder was made with.
        speed: Plant seconds per wall second; None takes each phase's own.
        seed: Of the simulation; None draws one.
    """

    once: bool
    data: Path | None
    graph: str | None
    speed: float | None
    seed: int | None
    state: Path


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> DemoOptions:
    """Read options; one that is given wins over the variable of the same name.

    Raises:
        InvalidInputError: A value makes no sense; the message says which would.
    """

    def given(name: str) -> str | None:
        return environment.get(name, "").strip() or None

    parser = argparse.ArgumentParser(prog="python -m twinmesh_local.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", default=_flag(given("ONCE")))
    parser.add_argument("--data", default=given("DATA"), metavar="FOLDER")
    parser.add_argument("--graph", default=given("GRAPH"), metavar="arcadedb|neo4j")
    parser.add_argument("--speed", default=given("SPEED"), metavar="1..3600")
    parser.add_argument("--seed", default=given("SEED"), metavar="NUMBER")
    parser.add_argument("--state", default=None, metavar="FOLDER")
    found = parser.parse_args(arguments)
    data = None if found.data is None else Path(found.data).expanduser().absolute()
    if data is not None and not data.is_dir():
        raise InvalidInputError(
            f"DATA={found.data} is no folder", hint="see docs/how-to/recordings.md for its layout"
        )
    return DemoOptions(
        once=found.once,
        data=data,
        graph=found.graph,
        speed=_number(found.speed, "SPEED", 1.0, 3600.0),
        seed=None if found.seed is None else int(_number(found.seed, "SEED", 0, 2**53) or 0),
        state=default_folder() if found.state is None else Path(found.state).absolute(),
    )


def _flag(text: str | None) -> bool:
    return text is not None and text.lower() not in {"0", "no", "false"}


def _number(text: str | None, name: str, low: float, high: float) -> float | None:
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidInputError(f"{name}={text[:40]} is no number") from error
    if not low <= number <= high:
        raise InvalidInputError(f"{name} lies in {low:g} to {high:g}, got {number:g}")
    return number


def from_process(arguments: Sequence[str]) -> DemoOptions:
    """Read the options of this process."""
    return read_options(arguments, os.environ)
