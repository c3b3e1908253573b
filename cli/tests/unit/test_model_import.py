"""`twinmesh model import-mlflow` without a server: what is read, and what is refused."""

import json

import pytest
from click.testing import CliRunner

from twinmesh_cli import model_import
from twinmesh_cli.main import cli

MLMODEL = """
artifact_path: condition
flavors: {python_function: {loader_module: mlflow.sklearn}}
mlflow_version: 2.19.0
run_id: 0f3c9a7a
signature:
  inputs: '[{"type": "double", "name": "flow", "required": true}]'
  outputs: '[{"type": "double", "name": "probability", "required": true}]'
"""


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "condition"
    (place / "data").mkdir(parents=True)
    (place / "MLmodel").write_text(MLMODEL)
    (place / "data" / "model.pkl").write_bytes(b"not opened")
    return place


def run(folder, *arguments):
    return CliRunner().invoke(cli, ["model", "import-mlflow", str(folder), *arguments])


def test_a_dry_run_says_what_would_enter(folder):
    answer = run(folder, "--version", "1.0.0", "--asset-class", "pump", "--dry-run", "--json")
    said = json.loads(answer.output)
    assert answer.exit_code == 0
    assert (said["name"], said["version"], said["draft"]) == ("condition", "1.0.0", True)
    assert said["signature"]["inputs"] == [{"name": "flow", "kind": "double"}]
    assert said["submitted"] is False


def test_the_digest_is_of_everything_in_the_folder_and_of_nothing_else(folder, tmp_path):
    def digest(place):
        options = ("--name", "x", "--version", "1.0.0", "--dry-run", "--json")
        return json.loads(run(place, *options).output)["artefact_digest"]

    first = digest(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    assert digest(moved) == first
    (moved / "data" / "model.pkl").write_bytes(b"another")
    assert digest(moved) != first


def test_a_registered_model_brings_its_version(folder):
    (folder / "registered_model_meta").write_text("model_name: Feed Pump\nmodel_version: '3'\n")
    answer = run(folder, "--dry-run")
    assert answer.output.startswith("feed-pump 1.3.0 would enter as DRAFT sha256:")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "MLmodel").unlink(), "MLmodel"),
        (lambda f: (f / "MLmodel").write_text("flavors: ["), "no YAML"),
        (lambda f: (f / "link").symlink_to("/etc/hostname"), "no plain file"),
        (lambda f: (f / "linked").symlink_to("/etc"), "no plain file"),
    ],
)
def test_what_cannot_be_read_is_2_and_named(folder, spoil, said):
    spoil(folder)
    answer = run(folder, "--version", "1.0.0", "--dry-run")
    assert answer.exit_code == 2
    assert said in answer.output


def test_without_a_version_one_must_be_given(folder):
    answer = run(folder, "--dry-run")
    assert answer.exit_code == 2
    assert "--version" in answer.output


def test_a_folder_has_a_bounded_size(folder, monkeypatch):
    monkeypatch.setattr(model_import, "MAX_FOLDER_BYTES", 100)
    answer = run(folder, "--version", "1.0.0", "--dry-run")
    assert answer.exit_code == 2
    assert "more than 100 bytes" in answer.output
