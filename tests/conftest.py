"""Whole runs of the demonstration: each made once, looked at by several tests."""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = Path(os.environ.get("TWINMESH_RECORDINGS", ROOT.parent / "shared" / "data"))
RUN_S = 900


@dataclass(frozen=True)
class DemoRun:
    """What one `make demo ONCE=1` left behind."""

    exit_code: int
    report: dict[str, Any]
    progress: str


def run_demo(state: Path, **variables: str) -> DemoRun:
    """Run `make demo ONCE=1` with a state folder of its own; nothing survives it."""
    command = ["make", "--no-print-directory", "demo", "ONCE=1"]
    command += [f"{name}={value}" for name, value in variables.items()]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TWINMESH_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=RUN_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    lines = out.strip().splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        pytest.fail(f"no report on the last line, exit {process.returncode}:\n{out}\n{err[-4000:]}")
    return DemoRun(process.returncode, report, err)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give whoever comes first the time that a whole run may take on a slow machine."""
    runs = {"replayed", "simulated", "simulated_on_neo4j"}
    for item in items:
        if runs & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(RUN_S + 60))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of recordings, or skip by name."""
    if not (RECORDINGS / "skab").is_dir():
        pytest.skip(
            f"no recordings in {RECORDINGS}: see docs/how-to/recordings.md, set TWINMESH_RECORDINGS"
        )
    return RECORDINGS


@pytest.fixture(scope="session")
def replayed(recordings, tmp_path_factory) -> DemoRun:
    """Return the run over all recordings."""
    return run_demo(tmp_path_factory.mktemp("replayed"), DATA=str(recordings))


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> DemoRun:
    """Return the run of a bare checkout: the simulated plant."""
    return run_demo(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="session")
def simulated_on_neo4j(tmp_path_factory) -> DemoRun:
    """Return the same run with Neo4j as the graph, or skip by name."""
    local = shutil.which("java") and shutil.which("mvn")
    if not local and "NEO4J_URI" not in os.environ:
        pytest.skip("needs Neo4j: install a JDK 17 and Maven, or set NEO4J_URI")
    return run_demo(tmp_path_factory.mktemp("on-neo4j"), GRAPH="neo4j")
