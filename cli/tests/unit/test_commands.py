"""The command line from outside: help, usage, exit codes; nothing is running."""

import json

import pytest
from click.testing import CliRunner

from twinmesh_cli.asking import chosen
from twinmesh_cli.main import cli
from twinmesh_sdk.core.errors import InvalidInputError


@pytest.fixture
def run(tmp_path):
    def call(*arguments, state=tmp_path / "state"):
        environment = {"TWINMESH_STATE": str(state)}
        return CliRunner().invoke(cli, arguments, env=environment, prog_name="twinmesh")

    return call


COMMANDS = [
    "up",
    "down",
    "status",
    "logs",
    "ask",
    "trace",
    "token",
    "contract",
    "can-i-deploy",
    "deployment",
    "audit",
    "policy",
    "quarantine",
    "charter",
    "retention",
    "federation",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_listed_and_explains_itself(run, command):
    assert f"  {command} " in run("--help").output
    answer = run(command, "--help")

    assert answer.exit_code == 0
    assert answer.output.startswith(f"Usage: twinmesh {command}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["up", "--graph", "oracle"],
        ["up", "--with", "/does/not/exist"],
        ["logs"],
        ["logs", "nobody"],
        ["ask"],
        ["ask", "{a}", "--variables", "{"],
        ["ask", "{a}", "--variables", "[]"],
        ["token", "--as", "nobody"],
        ["token", "--as", "author", "--tenant", "globex"],
    ],
)
def test_wrong_usage_is_2(run, arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [["status"], ["status", "--json"], ["token"], ["ask", "{a}"], ["trace", "x"]]
)
def test_without_a_mesh_it_fails_with_1_and_says_what_to_do(run, arguments):
    answer = run(*arguments)

    assert answer.exit_code == 1
    assert "twinmesh up" in answer.stderr
    assert answer.stdout == ""


def test_down_is_content_when_nothing_runs(run):
    answer = run("down", "--json")

    assert answer.exit_code == 0
    assert json.loads(answer.output) == {"stopped": False}


def test_an_identity_is_chosen_by_name_or_by_tenant():
    assert chosen(None, None) == "erp-app"
    assert chosen(None, "acme") == "erp-app"
    assert chosen(None, "globex") == "outsider"
    assert chosen("planner", "acme") == "planner"
    with pytest.raises(InvalidInputError):
        chosen("planner", "globex")
