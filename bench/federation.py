"""Measures composing and planning over other projects' cases. See README.md."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from graphql import parse, validate

from twinmesh_federation import (
    CompositionFailed,
    PlanError,
    Planner,
    Subgraph,
    Supergraph,
    compose,
    load_supergraph,
)

ROOT: Final = Path(__file__).resolve().parents[1]
CASES: Final = (
    Path(os.environ.get("TWINMESH_CASES", ROOT.parent / "shared" / "cases")) / "federation"
)
ROUNDS: Final = 5


def composition() -> dict[str, Any]:
    """Compose every line by `twinmesh federation compose --batch`, as a stranger would."""
    table = CASES / "composition.jsonl"
    cases = {c["id"]: c for c in map(json.loads, table.read_text().splitlines())}
    command = [str(Path(sys.executable).parent / "twinmesh"), "federation", "compose"]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--batch", str(table)], capture_output=True, check=True, timeout=300
    )
    seconds = time.perf_counter() - started
    answers = list(map(json.loads, done.stdout.splitlines()))
    outcomes = [a for a in answers if a["ok"] == cases[a["id"]]["ok"]]
    codes = [a for a in outcomes if a["codes"] == sorted(set(cases[a["id"]]["codes"] or ()))]
    return {
        "lines": len(cases),
        "outcomes": len(outcomes) / len(cases),
        "code_sets": len(codes) / len(cases),
        "lines_per_s": len(cases) / seconds,
    }


def _supergraphs() -> Iterator[tuple[Supergraph, dict[str, Any], dict[str, Any]]]:
    for path in sorted((CASES / "audit").glob("*.json")):
        suite = json.loads(path.read_text())
        plans = json.loads((CASES / "plans" / path.name).read_text())
        yield load_supergraph(suite["supergraph_sdl"]), suite, plans
        own = compose([Subgraph(s["name"], s["url"], s["sdl"]) for s in suite["subgraphs"]])
        assert not isinstance(own, CompositionFailed), own.errors
        yield own.supergraph, suite, plans


def planning() -> dict[str, Any]:
    """Plan each audit query without any cache, over the given and over our own supergraph."""
    times: list[float] = []
    cpu: list[float] = []
    fewer = equal = more = refused = 0
    for supergraph, suite, plans in _supergraphs():
        for test in suite["tests"]:
            document = parse(test["query"])
            if validate(supergraph.api_schema, document):
                refused += 1
                continue
            try:
                taken = [_timed(supergraph, document) for _ in range(ROUNDS)]
            except PlanError:
                refused += 1
                continue
            times += [seconds for seconds, _, _ in taken]
            cpu += [seconds for _, seconds, _ in taken]
            reference = plans.get(test["name"], {})
            if "node" in reference:
                ours, theirs = _fetches(taken[0][2]), _fetches(reference["node"])
                fewer, equal, more = (
                    fewer + (ours < theirs), equal + (ours == theirs), more + (ours > theirs),
                )  # fmt: skip
    times.sort()
    cpu.sort()
    return {
        "plans": len(times) // ROUNDS,
        "refused": refused,
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
        "max_ms": times[-1] * 1e3,
        "cpu_p50_ms": cpu[len(cpu) // 2] * 1e3,
        "cpu_p99_ms": cpu[int(len(cpu) * 0.99)] * 1e3,
        "fetches_fewer_than_reference": fewer,
        "fetches_equal": equal,
        "fetches_more": more,
    }


def _timed(supergraph: Supergraph, document: Any) -> tuple[float, float, Any]:  # noqa: ANN401 - a document
    planner = Planner(supergraph)
    gc.collect(0)
    started, worked = time.perf_counter(), time.thread_time()
    plan = planner.plan(document)
    took, cpu = time.perf_counter() - started, time.thread_time() - worked
    return took, cpu, plan.to_json()["node"]


def _fetches(node: dict[str, Any] | None) -> int:
    if node is None:
        return 0
    if node["kind"] in {"Fetch", "BatchFetch"}:
        return 1
    inner = [*node.get("nodes", ())]
    inner += [node[k] for k in ("node", "ifClause", "elseClause") if node.get(k)]
    return sum(map(_fetches, inner))


def main() -> None:
    """Print the figures, one line each and as JSON."""
    if not (CASES / "composition.jsonl").is_file():
        raise SystemExit("the cases are absent: set TWINMESH_CASES to the folder with federation/")
    figures = {"composition": composition(), "planning": planning()}
    for name, values in figures.items():
        for key, value in values.items():
            print(f"{name:12} {key:30} {value:.4g}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
