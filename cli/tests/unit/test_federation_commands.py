"""`twinmesh federation compose` and `plan` as their callers know them."""

import json

import pytest
from click.testing import CliRunner

from twinmesh_cli.main import cli

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
A = LINK + 'type Query { a: T } type T @key(fields: "id") { id: ID! a: Int }'
B = LINK + 'type T @key(fields: "id") { id: ID! b: Int }'
BROKEN = "type T { x: Nope }"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("a", A), ("b", B), ("broken", BROKEN)):
        (tmp_path / f"{name}.graphql").write_text(text)

    def call(*arguments):
        return CliRunner().invoke(cli, ["federation", *arguments], prog_name="twinmesh")

    return call


def test_subgraphs_that_fit_become_a_supergraph_file_that_plans(run, tmp_path):
    done = run("compose", "a=a.graphql", "b=b.graphql", "-o", "s.graphql", "--json")
    assert (done.exit_code, json.loads(done.stdout)["errors"]) == (0, [])

    (tmp_path / "q").write_text("query Q { a { id b } } query R { a { a } }")
    planned = run("plan", "--supergraph", "s.graphql", "--operation-name", "Q", "q")
    node = json.loads(planned.stdout)["node"]
    assert planned.exit_code == 0
    assert node["kind"] == "Sequence"
    first, second = node["nodes"]
    assert (first["kind"], first["serviceName"], first["operation"]) == ("Fetch", "a", "{a{id}}")
    assert (second["kind"], second["path"]) == ("Flatten", ["a"])
    assert second["node"]["serviceName"] == "b"
    assert second["node"]["requires"][0]["selections"][1]["name"] == "id"


def test_the_supergraph_is_printed_where_no_file_is_named(run):
    done = run("compose", "a=a.graphql", "b=b.graphql")

    assert done.exit_code == 0
    assert "join__Graph" in done.stdout


def test_subgraphs_that_do_not_fit_are_told_with_code_subgraph_and_hint(run, tmp_path):
    for more in ([], ["--json"], ["-o", "s.graphql"]):
        done = run("compose", "a=a.graphql", "b=broken.graphql", *more)
        [error] = json.loads(done.stdout)["errors"]
        assert done.exit_code == 1
        assert (error["code"], error["subgraphs"]) == ("INVALID_GRAPHQL", ["b"])
        assert error["coordinate"] == "T.x"
        assert error["hint"]
    assert not (tmp_path / "s.graphql").exists()


def test_a_subgraph_that_does_not_tell_its_schema_is_an_error_of_the_same_form(run):
    done = run("compose", "a=http://127.0.0.1:9/graphql")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["errors"][0]["code"] == "SUBGRAPH_UNREACHABLE"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["compose"], 2, "at least one subgraph"),
        (["compose", "a"], 2, "NAME=FILE_OR_URL"),
        (["compose", "a=none.graphql"], 2, "neither a file nor a URL"),
        (["compose", "a=a.graphql", "-o", "none/s.graphql"], 1, "cannot be written"),
        (["plan", "--supergraph", "a.graphql", "a.graphql"], 1, "not a supergraph"),
        (["serve", "--port", "1"], 2, "either --supergraph or --subgraphs"),
    ],
)
def test_wrong_usage_says_what_is_wrong(run, arguments, code, told):
    done = run(*arguments)

    assert done.exit_code == code
    assert told in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--host", "0.0.0.0"], "not a loopback address"),
        (["--deadline", "nobody=1"], "no subgraph"),
        (["--deadline", "a=soon"], "SUBGRAPH=SECONDS"),
        (["--deadline", "a=0"], "above 0"),
        (["--forward-header", "host"], "set by the gateway itself"),
    ],
)
def test_a_gateway_is_not_started_on_wrong_terms(run, given, told):
    assert run("compose", "a=a.graphql", "-o", "s.graphql").exit_code == 0

    done = run("serve", "--supergraph", "s.graphql", "--port", "0", *given)

    assert done.exit_code == 2
    assert told in done.stderr


def test_a_batch_answers_line_by_line(run, tmp_path):
    def case(name, **sdls):
        return json.dumps(
            {"id": name, "services": [{"name": n, "sdl": s} for n, s in sdls.items()]}
        )

    lines = [case("good", a=A, b=B), "", case("bad", a=A, b=BROKEN), case("none")]
    (tmp_path / "batch.jsonl").write_text("\n".join(lines))

    done = run("compose", "--batch", "batch.jsonl")

    assert done.exit_code == 0
    assert list(map(json.loads, done.stdout.splitlines())) == [
        {"id": "good", "ok": True, "codes": []},
        {"id": "bad", "ok": False, "codes": ["INVALID_GRAPHQL"]},
        {"id": "none", "ok": False, "codes": ["NO_QUERIES"]},
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ a { nope } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ a ", "GRAPHQL_PARSE_FAILED"),
        ("{ a {} }", "GRAPHQL_VALIDATION_FAILED"),
        ("query Q { a { a } } query R { a { a } }", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
def test_what_cannot_be_planned_says_why(run, tmp_path, query, code):
    run("compose", "a=a.graphql", "-o", "s.graphql")
    (tmp_path / "q").write_text(query)

    done = run("plan", "--supergraph", "s.graphql", "q")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["errors"][0]["extensions"]["code"] == code
