import json
import re

import pytest
from click.testing import CliRunner

from twinmesh_cli.contract import contract
from twinmesh_cli.contract_check import deadline
from twinmesh_sdk.core.errors import LimitExceededError

OLD = 'syntax = "proto3"; package a.v1; message M { string a = 1; string b = 2; }'
NEW = 'syntax = "proto3"; package a.v1; message M { string a = 1; }'


@pytest.fixture
def run(tmp_path):
    """Run `contract check` on files given as text; returns exit code and output."""

    def invoke(*arguments, **files):
        paths = []
        for name, text in files.items():
            path = tmp_path / name.replace("__", ".")
            path.write_text(text)
            paths.append(str(path))
        done = CliRunner().invoke(contract, ["check", *arguments, *paths])
        return done.exit_code, done.output

    return invoke


def test_compatible_is_0_and_says_so(run):
    code, said = run("--format", "protobuf", a__proto=NEW, b__proto=OLD)

    assert code == 0
    assert said.startswith("compatible")


def test_incompatible_is_1_and_names_rule_and_place(run):
    code, said = run("--format", "protobuf", a__proto=OLD, b__proto=NEW)

    assert code == 1
    assert "FIELD_REMOVED a.v1.M.b" in said


def test_the_profile_decides(run):
    code, _ = run("--format", "protobuf", "--profile", "confluent", a__proto=OLD, b__proto=NEW)

    assert code == 0


def test_the_mode_decides(run):
    code, _ = run("--format", "protobuf", "--mode", "FORWARD", a__proto=NEW, b__proto=OLD)
    both, _ = run("--format", "protobuf", "--mode", "FULL", a__proto=NEW, b__proto=OLD)

    assert (code, both) == (1, 1)


def test_transitive_modes_look_at_all_earlier_schemas(run):
    texts = {
        "a__json": '{"type": "string"}',
        "b__json": '{"type": ["string", "null"]}',
        "c__json": '{"type": ["null", "integer"]}',
    }
    code, said = run("--format", "json-schema", "--mode", "BACKWARD_TRANSITIVE", "--json", **texts)
    once, _ = run("--format", "json-schema", **texts)

    assert code == 1
    assert json.loads(said)["compatible"] is False
    assert once == 2


@pytest.mark.parametrize("profile", ["buf-file", "buf-package", "buf-wire-json"])
def test_buf_judges_under_its_own_profiles(run, profile):
    code, said = run(
        "--format", "protobuf", "--profile", profile, "--json", a__proto=OLD, b__proto=NEW
    )

    assert code == 1
    assert json.loads(said)["reasons"][0]["rule"].startswith("FIELD_NO_DELETE")


def test_a_witness_is_shown(run):
    code, said = run(
        "--format", "json-schema", "--json",
        a__json='{"type": "string", "maxLength": 9}', b__json='{"type": "string", "maxLength": 2}',
    )  # fmt: skip

    assert code == 1
    assert 2 < len(json.loads(said)["reasons"][0]["witness"]) <= 9


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("protobuf", "message {"),
        ("json-schema", "{"),
        ("json-schema", '{"type": "strange"}'),
        ("graphql", "type Query {"),
    ],
)
def test_unusable_input_is_2(run, kind, text):
    code, said = run("--format", kind, a__x=text, b__x=text)

    assert code == 2
    assert "INVALID_INPUT" in said


def test_an_unknown_profile_names_the_known_ones(run):
    code, said = run("--format", "graphql", "--profile", "x", a__x="", b__x="")

    assert code == 2
    assert "graphql-spec" in said


def test_a_batch_answers_line_by_line(run):
    lines = [
        {"id": "1", "format": "PROTOBUF", "mode": "BACKWARD", "old": OLD, "new": NEW},
        {"id": "2", "format": "PROTOBUF", "mode": "BACKWARD", "policy": "confluent",
         "old": OLD, "new": NEW},
        {"id": "3", "format": "GRAPHQL", "mode": "NO_BREAKING", "policy": "graphql-js",
         "old": "type Query { a: Int }", "new": "type Query { a: Int b: Int }"},
        {"id": "4", "format": "JSON_SCHEMA", "mode": "BACKWARD",
         "old": {"type": "string"}, "new": True},
    ]  # fmt: skip
    code, said = run("--batch", cases__jsonl="\n".join(map(json.dumps, lines)) + "\n\n")
    answers = [json.loads(line) for line in said.splitlines()]

    assert code == 0
    assert [(a["id"], a["compatible"]) for a in answers] == [
        ("1", False), ("2", True), ("3", True), ("4", True),
    ]  # fmt: skip
    assert answers[0]["reasons"][0]["rule"] == "FIELD_REMOVED"


def test_a_batch_with_a_bad_line_answers_the_others_and_is_2(run):
    good = json.dumps({"id": "g", "format": "GRAPHQL", "mode": "BACKWARD", "old": "", "new": ""})
    code, said = run("--batch", cases__jsonl=f"not json\n{good}\n[]\n")
    answers = [json.loads(line) for line in said.splitlines()]

    assert code == 2
    assert [(a["id"], a["compatible"]) for a in answers] == [
        ("line 1", None), ("g", True), ("line 3", None),
    ]  # fmt: skip


def test_a_batch_names_its_own_schemas(run, tmp_path):
    batch = tmp_path / "cases.jsonl"
    batch.write_text("")
    code, said = run("--batch", str(batch), "--format", "protobuf", a__proto=OLD)

    assert code == 2
    assert "--batch" in said


def test_a_pattern_that_takes_for_ever_is_given_up():
    with pytest.raises(LimitExceededError, match=r"more than 0\.05 s"), deadline(0.05):
        re.search("^(a+)+$", "a" * 60 + "b")

    with deadline(0.05):
        assert re.search("^a+$", "aa")
