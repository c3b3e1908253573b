"""What documents show exists: files, queries, targets, commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
QUERIES = sorted((ROOT / "docs/queries").glob("*.graphql"))
BIN = Path(sys.executable).parent
PATHS = re.compile(
    r"`((?:docs|deploy|proto|sdk|federation|gateway|governance|services|local|cli|examples|tests"
    r"|bench)/[A-Za-z0-9_./-]+)`"
)


def exists(name):
    """Tell whether a path exists from the root, or in every member (`tests/unit`)."""
    return (ROOT / name).exists() or (ROOT / "sdk" / name).exists()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(path):
    named = {found.rstrip("/.") for found in PATHS.findall(path.read_text())}
    missing = sorted(name for name in named if not exists(name))
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_make_target_that_a_document_names_exists(path):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z][a-z-]*)", path.read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", QUERIES, ids=lambda p: p.name)
def test_every_saved_query_fits_the_public_graph(path):
    schema = build_schema((ROOT / "docs/reference/schema.graphql").read_text())
    assert validate(schema, parse(path.read_text())) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_query_that_a_document_shows_fits_the_public_graph(path):
    schema = build_schema((ROOT / "docs/reference/schema.graphql").read_text())
    shown = re.findall(r"<!-- query -->\n```graphql\n(.*?)```", path.read_text(), re.DOTALL)
    for query in shown:
        assert validate(schema, parse(query)) == []


def test_every_command_that_readme_names_exists():
    named = set(re.findall(r"\btwinmesh ([a-z]+)", (ROOT / "README.md").read_text()))
    listed = subprocess.run(
        [BIN / "twinmesh", "--help"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    known = set(re.findall(r"^  ([a-z]+)  ", listed, re.MULTILINE))
    assert named - known == set()
