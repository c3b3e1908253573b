"""House rules that no linter knows. Each message tells how to comply."""

import filecmp
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROTOS = sorted((ROOT / "proto/twinmesh").rglob("*.proto"))
SERVICES = [*sorted(p.name for p in (ROOT / "services").iterdir() if p.is_dir()), "governance"]
UNIT_SUFFIX = re.compile(
    r"_(s|ms|us|h|w|kw|wh|kwh|j|pa|m|mm|m2|m3|m3_per_s|k|hz|ratio|v|a|kg|kg_per_kwh|count|per_s)$"
)
VAGUE = {"utils", "helpers", "common", "misc", "manager"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_under_the_import_contracts(service):
    package = service.replace("-", "_")
    linter = CONFIG["tool"]["importlinter"]
    contracts = {c["id"]: c for c in linter["contracts"]}

    assert package in linter["root_packages"]
    assert package in contracts["rooms"]["containers"]
    assert package in contracts["islands"]["modules"]
    for room in ("model", "decide"):
        assert f"{package}.{room}" in contracts["pure-rooms"]["source_modules"]


@pytest.mark.parametrize("path", PROTOS, ids=lambda p: str(p.relative_to(ROOT / "proto/twinmesh")))
def test_every_number_on_the_wire_names_its_unit(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r"\s*(?:repeated |optional )?(?:double|float) (\w+) =", line)
        if match and "// lint: " not in line:
            assert UNIT_SUFFIX.search(match[1]), (
                f"{path.name}:{number}: {match[1]} lacks a unit; end it with one, or say after the "
                "field `// lint: in which unit` where the unit is a field of its own"
            )


def test_regenerating_the_contracts_changes_nothing(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "proto/generate.py", "--out", tmp_path], check=True, timeout=120
    )
    fresh = {p.relative_to(tmp_path) for p in (tmp_path / "twinmesh").rglob("*") if p.is_file()}
    generated = ROOT / "proto/python"
    committed = {p.relative_to(generated) for p in tracked() if generated / "twinmesh" in p.parents}

    assert fresh == committed, "run `make proto` and commit what it writes"
    for name in fresh:
        assert filecmp.cmp(tmp_path / name, generated / name, shallow=False), f"stale: {name}"


def test_the_contracts_pass_buf_lint():
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run(
        [buf, "lint"], cwd=ROOT / "proto", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_has_a_vague_name():
    vague = [p for p in tracked() if p.stem in VAGUE or p.parent.name in VAGUE]
    assert vague == [], "name the file after what it does"


def test_broad_excepts_log_or_raise():
    for path in tracked():
        if path.suffix != ".py" or "_pb2" in path.name or "tests" in path.parts:
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*except (Exception|BaseException)\b", line):
                body = "\n".join(lines[number : number + 12])
                assert re.search(r"log(ger)?\.exception|\braise\b", body), (
                    f"{path.relative_to(ROOT)}:{number + 1}: catch what you expect, log.exception, "
                    "or raise"
                )


def test_nothing_names_this_machine_or_a_registry():
    words = re.compile(
        r"/(work|farm|root)/|files\.pythonhosted|pypi\.org/simple|registry\.npmjs|repo1?\.maven"
    )
    for path in tracked():
        if path.resolve() == Path(__file__).resolve() or path.suffix in {".binpb", ".png"}:
            continue
        text = path.read_text(errors="replace")
        found = words.search(text)
        assert found is None, f"{path.relative_to(ROOT)} says {found and found[0]}"


def test_the_lock_has_hashes_and_no_addresses():
    text = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text
    pinned = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
    assert all("==" in line for line in pinned)


def test_every_database_has_one_line_of_migrations():
    folders = {path.parents[1] for path in tracked() if path.parent.name == "versions"}
    assert folders
    for folder in sorted(folders):
        scripts = ScriptDirectory(str(folder))
        revisions = [revision.revision for revision in scripts.walk_revisions()]
        files = sorted(path.name for path in (folder / "versions").glob("*.py"))
        assert [name.split("_")[0] for name in files] == revisions[::-1], folder


def test_every_decision_has_a_number_of_its_own():
    for folder in {path.parent for path in tracked() if path.parent.name == "decisions"}:
        names = sorted(path.name for path in folder.glob("[0-9]*.md"))
        assert [name[:4] for name in names] == [f"{n:04d}" for n in range(1, len(names) + 1)]
        for name in names:
            assert (folder / name).read_text().startswith(f"# {name[:4]}"), name
