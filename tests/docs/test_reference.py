"""Documents about a list are compared with the list."""

import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, is_input_object_type, is_interface_type, is_object_type

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run(
        [sys.executable, ROOT / "docs/reference/generate.py", "--out", folder],
        check=True,
        timeout=60,
    )
    return folder


@pytest.mark.parametrize("name", ["schema.graphql", "governance.openapi.json"])
def test_what_is_generated_is_what_is_committed(fresh, name):
    """The public graph as the contracts compose to it; governance's door as it is served."""
    committed = (ROOT / "docs/reference" / name).read_text()
    assert (fresh / name).read_text() == committed, "run `make docs` and commit what it writes"


def test_every_field_of_the_public_graph_is_described():
    schema = build_schema((ROOT / "docs/reference/schema.graphql").read_text())
    shared = {"edges", "nodes", "node", "cursor", "pageInfo", "id"}
    silent = []
    for name, kind in schema.type_map.items():
        if name.startswith("__") or not (
            is_object_type(kind) or is_interface_type(kind) or is_input_object_type(kind)
        ):
            continue
        silent += [
            f"{name}.{field}"
            for field, definition in kind.fields.items()
            if field not in shared and not definition.description
        ]
    assert silent == []
