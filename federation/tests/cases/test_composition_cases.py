"""Composition inputs with the outcome that two other composers agree on."""

import json
import os
from pathlib import Path

import pytest

from twinmesh_federation import CompositionFailed, Subgraph, compose

ROOT = Path(__file__).parents[3]
CASES = Path(os.environ.get("TWINMESH_CASES", ROOT.parent / "shared" / "cases")) / "federation"
TABLE = CASES / "composition.jsonl"

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(
        not TABLE.is_file(),
        reason="composition.jsonl absent: set TWINMESH_CASES to the folder with federation/",
    ),
]


def outcome(case):
    subgraphs = [Subgraph(s["name"], s.get("url") or "", s["sdl"]) for s in case["services"]]
    result = compose(subgraphs)
    if isinstance(result, CompositionFailed):
        return False, sorted({e.code for e in result.errors})
    return True, []


def test_outcomes_agree_with_other_composers_in_99_of_100_and_codes_in_95(record_property):
    lines = TABLE.read_text().splitlines()
    outcomes = codes = 0
    for line in lines:
        case = json.loads(line)
        ok, found = outcome(case)
        outcomes += ok == case["ok"]
        codes += ok == case["ok"] and found == sorted(set(case["codes"] or ()))
    record_property("outcomes", outcomes / len(lines))
    record_property("codes", codes / len(lines))

    assert outcomes / len(lines) >= 0.99
    assert codes / len(lines) >= 0.95
