import pytest

from twinmesh_local.demo.settings import read_options
from twinmesh_sdk.core.errors import InvalidInputError


def test_makes_variables_are_read_and_options_win(tmp_path):
    environment = {"ONCE": "1", "DATA": str(tmp_path), "GRAPH": "neo4j", "SPEED": "60", "SEED": "7"}
    found = read_options([], environment)
    assert (found.once, found.data, found.graph) == (True, tmp_path, "neo4j")
    assert (found.speed, found.seed) == (60.0, 7)
    assert read_options(["--speed", "2"], environment).speed == 2.0


def test_empty_variables_mean_nothing_was_asked():
    found = read_options([], {"ONCE": "", "DATA": "", "GRAPH": "", "SPEED": ""})
    assert (found.once, found.data, found.graph, found.speed, found.seed) == (
        False, None, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "environment",
    [
        {"DATA": "/no/such/folder"}, {"SPEED": "0.5"}, {"SPEED": "4000"}, {"SPEED": "fast"},
        {"SPEED": "nan"}, {"SEED": "-1"}, {"SEED": "x"},
    ],
)  # fmt: skip
def test_values_without_sense_are_refused(environment):
    with pytest.raises(InvalidInputError):
        read_options([], environment)
