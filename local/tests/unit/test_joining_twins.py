"""What a folder must hold before it may join the mesh."""

import pytest

from twinmesh_local.state import State
from twinmesh_local.supervisor.stack import Stack
from twinmesh_local.supervisor.twins import MAX_FILE_BYTES, read_twin
from twinmesh_sdk.core.errors import InvalidInputError

PYPROJECT = '[project]\nname = "water-twin"\nversion = "1.0.0"\n'
CHARTER = "name: water-twin\nversion: 1.0.0\ncontract: {subgraph: schema.graphql, events: %s}\n"


def lay_out(folder, *, pyproject=PYPROJECT, charter=CHARTER % "[]", package="src/water_twin"):
    contract = folder / package / "contract"
    contract.mkdir(parents=True)
    (folder / package / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(pyproject)
    (contract / "twin.yaml").write_text(charter)
    return folder


@pytest.mark.parametrize("package", ["src/water_twin", "water_twin"])
def test_a_folder_with_package_and_contract_is_a_twin(tmp_path, package):
    twin = read_twin(lay_out(tmp_path, package=package), tmp_path / "envs")

    assert (twin.name, twin.package) == ("water-twin", "water_twin")
    assert tmp_path / "envs" in twin.python.parents


@pytest.mark.parametrize(
    "parts",
    [
        {"pyproject": "no toml ["},
        {"pyproject": "[tool.x]\n"},
        {"pyproject": "#" * (MAX_FILE_BYTES + 1)},
        {"charter": "["},
        {"charter": "[]"},
        {"charter": "version: 1"},
        {"charter": "name: ../../etc"},
        {"charter": "name: Water"},
        {"charter": "name: 7"},
        {"charter": "name: " + "w" * 64},
        {"charter": "name: gateway"},
        {"charter": "name: plant"},
    ],
)
def test_what_is_no_twin_is_refused(tmp_path, parts):
    with pytest.raises(InvalidInputError):
        read_twin(lay_out(tmp_path, **parts), tmp_path / "envs")


def test_a_folder_without_a_contract_is_refused_with_an_example(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)

    with pytest.raises(InvalidInputError) as refused:
        read_twin(tmp_path, tmp_path / "envs")

    assert "hello-twin" in refused.value.hint


def stack_of(tmp_path):
    return Stack(State.open(tmp_path / "state", graph=None))


def test_a_twin_publishes_events_of_its_own_domain_only(tmp_path):
    charter = CHARTER % "[{type: water.leak.found.v1, message: x.Y}]"
    twin = read_twin(lay_out(tmp_path, charter=charter), tmp_path / "envs")

    user = stack_of(tmp_path).twin_user(twin)

    assert "tm.*.water.>" in user.publish
    assert not any(subject.startswith(("tele.", "raw.", "tm.>")) for subject in user.publish)


@pytest.mark.parametrize(
    "events",
    [
        "[{type: maintenance.work_item.opened.v1, message: x.Y}]",
        "[{type: '>', message: x.Y}]",
        "[{type: '*.a.b.v1', message: x.Y}]",
        "[{message: x.Y}]",
        "[7]",
        "{a: b}",
    ],
)
def test_a_twin_cannot_claim_what_is_anothers_or_everything(tmp_path, events):
    twin = read_twin(lay_out(tmp_path, charter=CHARTER % events), tmp_path / "envs")

    with pytest.raises(InvalidInputError):
        stack_of(tmp_path).twin_user(twin)
