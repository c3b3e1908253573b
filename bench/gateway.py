"""Measures gateways on the same four subgraphs: CPU per request, p50, p99. See README.md."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx
import load
import orjson
import psutil
import subgraphs
import uvloop

from twinmesh_federation import CompositionFailed, Subgraph, compose

HERE: Final = Path(__file__).resolve().parent
CACHE: Final = HERE.parent / ".cache" / "bench-gateway"
PACKAGES: Final = {
    "graphql": "16.15.0",
    "@apollo/server": "5.5.1",
    "@apollo/gateway": "2.14.4",
    "@graphql-hive/gateway": "2.15.1",
}
START_LIMIT_S: Final = 60.0
CELL_LIMIT_S: Final = 30.0
INSTALL_LIMIT_S: Final = 600.0
FIELDS: Final = """
  id name manufacturer model serial description site { id name timeZone }
  health { score verdict assessedAt }
  signals { id kind unit value observedAt }
  power { activeW expectedW excessWh since }
  workItems { id title state openedAt assignee { id name } }
"""
SMALL: Final = 4
HEAVY: Final = 92


@dataclass(frozen=True, slots=True)
class Load:
    """One query and how often it is sent per number of connections."""

    name: str
    assets: int
    requests: int
    warm_up: int

    @property
    def body(self) -> bytes:
        """Return the request body."""
        query = f"query Assets($first: Int!) {{ assets(first: $first) {{ {FIELDS} }} }}"
        return orjson.dumps({"query": query, "variables": {"first": self.assets}})

    def expected(self) -> dict[str, Any]:
        """Return the answer's data, read from the subgraphs' model."""
        assets = []
        for number in range(self.assets):
            whole: dict[str, Any] = {}
            for make in subgraphs.MODEL.values():
                whole |= make(number)
            assets.append(_without_typenames(whole))
        return {"assets": assets}


@dataclass(frozen=True, slots=True)
class Cell:
    """Figures of one gateway under one load."""

    gateway: str
    query: str
    connections: int
    requests: int
    answer_bytes: int
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    per_s: float


def _without_typenames(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_without_typenames(v) for v in value]
    if isinstance(value, dict):
        return {k: _without_typenames(v) for k, v in value.items() if k != "__typename"}
    return value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], log: Path, cwd: Path | None = None) -> Iterator[psutil.Process]:
    with log.open("wb") as out:
        process = psutil.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=cwd)
        try:
            yield process
        finally:
            tree = [*process.children(recursive=True), process]
            for member in tree:
                member.terminate()
            for member in psutil.wait_procs(tree, timeout=10)[1]:
                member.kill()


def _await_answer(port: int, process: psutil.Process, log: Path) -> None:
    ends_at = monotonic() + START_LIMIT_S
    while monotonic() < ends_at:
        if process.poll() is not None:
            break
        try:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": "{ __typename }"}, timeout=5
            )
            if answer.status_code == 200:
                return
        except httpx.TransportError:
            pass
        sleep(0.1)
    raise SystemExit(f"the server on port {port} did not start:\n{log.read_text()[-2000:]}")


def _cpu_s(process: psutil.Process) -> float:
    """Return the processor seconds that a process tree has used so far."""
    total = 0.0
    for member in (process, *process.children(recursive=True)):
        times = member.cpu_times()
        total += times.user + times.system
    return total


def _measure(name: str, port: int, process: psutil.Process, cell: Load, connections: int) -> Cell:
    def run(requests: int, over: int) -> load.Timings:
        return uvloop.run(
            load.run(
                port, cell.body, requests=requests, connections=over, limit_s=CELL_LIMIT_S
            )
        )  # fmt: skip

    warm = run(cell.warm_up, min(4, connections))
    answer = orjson.loads(warm.first)
    if answer.get("data") != cell.expected() or "errors" in answer:
        raise SystemExit(f"{name} answered wrongly: {warm.first[:500]!r}")
    before, started = _cpu_s(process), monotonic()
    timings = run(cell.requests, connections)
    seconds, cpu_s = monotonic() - started, _cpu_s(process) - before
    if timings.odd:
        raise SystemExit(f"{name}: {timings.odd} of {len(timings.seconds)} answers differ")
    done = len(timings.seconds)
    return Cell(
        name, cell.name, connections, done, len(timings.first), cpu_s * 1e3 / done,
        timings.percentile_ms(0.5), timings.percentile_ms(0.99), done / seconds,
    )  # fmt: skip


def _install(node_folder: Path) -> str | None:
    """Install the peers into an untracked folder; return why they are absent, if they are."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are absent: the peers are skipped (install Node 20 or later)"
    wanted = "\n".join(f"{n}@{v}" for n, v in PACKAGES.items())
    mark = node_folder / "installed"
    if not mark.is_file() or mark.read_text() != wanted:
        node_folder.mkdir(parents=True, exist_ok=True)
        (node_folder / "package.json").write_text('{"private": true, "type": "module"}')
        try:
            subprocess.run(
                ["npm", "install", "--no-package-lock", "--no-save", "--no-audit", "--no-fund",
                 "--loglevel=error", *wanted.split("\n")],
                cwd=node_folder, check=True, timeout=INSTALL_LIMIT_S, capture_output=True,
                text=True,
            )  # fmt: skip
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            return f"npm could not install the peers, which are skipped: {error}"
        mark.write_text(wanted)
    shutil.copy(HERE / "apollo.mjs", node_folder)
    return None


def _commands(supergraph: Path, port: int, node_folder: Path) -> dict[str, list[str]]:
    hive = str(node_folder / "node_modules" / ".bin" / "hive-gateway")
    start_hive = [
        "node", hive, "supergraph", str(supergraph), "--host", "127.0.0.1", "--port", str(port),
        "--hive-router-runtime",
    ]  # fmt: skip
    return {
        "twinmesh": [
            str(Path(sys.executable).parent / "twinmesh"), "federation", "serve",
            "--supergraph", str(supergraph), "--port", str(port),
        ],
        "hive": start_hive,
        "apollo": ["node", str(node_folder / "apollo.mjs"), str(supergraph), str(port)],
    }  # fmt: skip


def _table(cells: list[Cell]) -> str:
    ours = {(c.query, c.connections): c.cpu_ms for c in cells if c.gateway == "twinmesh"}
    lines = [
        "gateway   query  conns  requests     bytes  CPU ms/req   p50 ms   p99 ms  req/s"
        "  CPU / ours"
    ]
    for c in cells:
        ratio = c.cpu_ms / ours[c.query, c.connections] if ours else float("nan")
        lines.append(
            f"{c.gateway:9} {c.query:6} {c.connections:5}  {c.requests:8} {c.answer_bytes:9}"
            f"  {c.cpu_ms:10.2f} {c.p50_ms:8.2f} {c.p99_ms:8.2f} {c.per_s:6.0f}  {ratio:10.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", nargs="+", choices=["twinmesh", "hive", "apollo"])
    arguments.add_argument("--requests", type=int, default=2_000, help="per cell; heavy: a fifth")
    arguments.add_argument("--json", type=Path, help="write the figures here too")
    given = arguments.parse_args()
    requests = min(max(given.requests, 10), 20_000)
    loads = [
        Load("small", SMALL, requests, min(400, requests)),
        Load("heavy", HEAVY, max(10, requests // 5), min(100, requests)),
    ]
    wanted = given.only or ["twinmesh", "hive", "apollo"]
    skipped = None
    if set(wanted) - {"twinmesh"}:
        skipped = _install(CACHE)
    if skipped is not None:
        print(skipped, file=sys.stderr)
        wanted = ["twinmesh"]
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder:
        cells = _run(Path(folder), wanted, loads)
    print(_table(cells))
    figures = {
        "cells": [asdict(c) for c in cells],
        "versions": PACKAGES if skipped is None else {},
    }
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def _run(folder: Path, wanted: list[str], loads: list[Load]) -> list[Cell]:
    ports = {name: _free_port() for name in subgraphs.SDL}
    composition = compose(
        [Subgraph(n, f"http://127.0.0.1:{ports[n]}/graphql", s) for n, s in subgraphs.SDL.items()]
    )
    assert not isinstance(composition, CompositionFailed), composition.errors
    supergraph = folder / "supergraph.graphql"
    supergraph.write_text(composition.supergraph_sdl)
    cells: list[Cell] = []
    with _all_subgraphs(folder, ports):
        for name in wanted:
            port, log = _free_port(), folder / f"{name}.log"
            command = _commands(supergraph, port, CACHE)[name]
            with _running(command, log, CACHE if name != "twinmesh" else None) as process:
                _await_answer(port, process, log)
                cells += [
                    _measure(name, port, process, cell, connections)
                    for cell in loads
                    for connections in (1, 32)
                ]
    return cells


@contextmanager
def _all_subgraphs(folder: Path, ports: dict[str, int]) -> Iterator[None]:
    remaining = list(ports.items())
    if not remaining:
        yield
        return
    name, port = remaining.pop()
    log = folder / f"{name}.log"
    command = [sys.executable, str(HERE / "subgraphs.py"), name, str(port)]
    with _running(command, log) as process:
        _await_answer(port, process, log)
        with _all_subgraphs(folder, dict(remaining)):
            yield


if __name__ == "__main__":
    main()
