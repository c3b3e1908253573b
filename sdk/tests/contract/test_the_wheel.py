"""The built SDK wheel is enough for a stranger's twin."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "hello-twin" / "src"
BUILD_S = 120


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheels of the SDK and of its generated code, unpacked, outside the checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    for member in ("sdk", "proto/python"):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
        subprocess.run(
            [*command, str(ROOT / member)], check=True, capture_output=True, timeout=BUILD_S
        )
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_hello_twin_loads_on_the_wheels_alone(unpacked, tmp_path):
    code = (
        "import twinmesh_sdk, hello_twin.app as app;"
        "from hello_twin.subgraph import schema;"
        "from twinmesh_sdk.contract import Contract;"
        "from twinmesh_sdk.graphql import sdl_of;"
        "assert Contract.load('hello_twin').sdl == sdl_of(schema);"
        "print(twinmesh_sdk.__file__)"
    )
    paths = os.pathsep.join([str(unpacked), str(EXAMPLE)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": paths, "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_S,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(unpacked))


def test_hello_twin_imports_the_sdk_and_what_comes_with_it_only():
    imported = set()
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
            elif isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)

    assert imported - set(sys.stdlib_module_names) == {"hello_twin", "strawberry", "twinmesh_sdk"}
