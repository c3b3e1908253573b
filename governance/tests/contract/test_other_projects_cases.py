"""Other projects' own test tables, each under the profile that its policy names."""

import json
import os
from pathlib import Path

import pytest

from governance.adapters.buf import compare_images, compare_sources
from governance.adapters.protoc import compile_protos
from governance.decide.compat.case import case_of
from governance.decide.compat.verdict import compatible
from governance.usecases.checking import CheckCompatibility
from twinmesh_sdk.core.errors import TwinError

pytestmark = pytest.mark.cases

ROOT = Path(__file__).resolve().parents[3]
CASES = Path(os.environ.get("TWINMESH_CASES", ROOT.parent / "shared" / "cases")) / "contracts"
TABLES = (
    "buf_breaking",
    "confluent_jsonschema",
    "confluent_protobuf",
    "graphql_js",
    "graphql_inspector",
)
AGREEMENT = {"graphql_inspector": 0.95, "apicurio_protobuf": 0.95}


def lines(table):
    file = CASES / f"{table}.jsonl"
    if not file.exists():
        pytest.skip(f"needs {file.name}: set TWINMESH_CASES to a folder with contracts/{file.name}")
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


def judge(checker, line):
    try:
        return compatible(checker(case_of(line)))
    except TwinError as error:
        return str(error)


@pytest.fixture(scope="module")
def checker():
    return CheckCompatibility(compile_protos, compare_sources, compare_images)


@pytest.mark.parametrize("table", TABLES)
def test_every_hard_line_agrees_under_its_policys_profile(table, checker):
    hard = [line for line in lines(table) if line["gate"] == "hard"]
    differing = [
        (line["id"], line["description"], judge(checker, line))
        for line in hard
        if judge(checker, line) is not line["expected_compatible"]
    ]

    assert differing == []


@pytest.mark.parametrize("name", AGREEMENT)
def test_tables_that_are_no_gate_agree_nearly_everywhere(name, checker):
    table = lines(name)
    agreeing = [line for line in table if judge(checker, line) is line["expected_compatible"]]

    assert len(agreeing) >= AGREEMENT[name] * len(table)


def test_the_differences_that_the_registry_names_are_found(checker):
    wrong = []
    for line in lines("confluent_protobuf") + lines("confluent_jsonschema"):
        said = {change.rule for change in checker(case_of(line)) if change.breaking}
        named = {change.split()[0] for change in line["changes"]}
        if not said <= named:
            wrong.append((line["id"], sorted(said - named)))

    assert wrong == []
