"""buf as the oracle of breaking protobuf changes: a bounded subprocess on a temporary copy."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from governance.adapters.protoc import write_sources
from governance.decide.compat.buf_finding import BufFinding
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

TIMEOUT_S: Final = 20.0
MAX_OUTPUT_BYTES: Final = 4 * 1024 * 1024
FINDINGS_EXIT: Final = 100
_ALLOWED: Final = {"version", "breaking", "build", "modules", "lint", "name"}


def buf_program() -> str:
    """Return the path of buf: beside this Python, or on the PATH.

    Raises:
        UnavailableError: It is not installed.
    """
    beside = Path(sys.executable).parent / "buf"
    found = str(beside) if beside.exists() else shutil.which("buf")
    if found is None:
        raise UnavailableError("buf is not installed", hint="install the distribution buf-bin")
    return found


def _environment(folder: str) -> dict[str, str]:
    return {"HOME": folder, "PATH": "/usr/bin:/bin", "BUF_CACHE_DIR": folder}


def _changes(status: int, out: bytes, err: bytes, folder: str) -> list[BufFinding]:
    if status == 0:
        return []
    if status != FINDINGS_EXIT:
        reason = (err or out)[:500].decode("utf-8", "replace").strip().replace(folder + "/", "")
        raise InvalidInputError(f"buf cannot compare them: {reason}")
    return [_change(line) for line in out[:MAX_OUTPUT_BYTES].splitlines() if line.strip()]


def _checked(config: str) -> str:
    """Return a buf.yaml that only says what to compare: no plugins, no remote dependencies.

    Raises:
        InvalidInputError: It says more, or is no YAML.
    """
    try:
        said = yaml.safe_load(config)
    except yaml.YAMLError as error:
        raise InvalidInputError("buf.yaml is no YAML") from error
    if not isinstance(said, dict) or not set(said) <= _ALLOWED:
        raise InvalidInputError(f"buf.yaml may only have {', '.join(sorted(_ALLOWED))}")
    return config


def _change(line: bytes) -> BufFinding:
    said = json.loads(line)
    return BufFinding(
        rule=said.get("type", "BREAKING"), file=said.get("path", ""), message=said["message"]
    )


def compare_sources(
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    config: str,
    old_config: str | None = None,
) -> list[BufFinding]:
    """Return what buf finds between two trees of `.proto` files.

    Args:
        old: Text by path.
        new: Text by path.
        config: The new tree's buf.yaml.
        old_config: The old tree's, when it has another.

    Raises:
        InvalidInputError: A tree does not build, or a configuration is none.
        UnavailableError: buf did not answer in time.
    """
    with tempfile.TemporaryDirectory(prefix="twinmesh-buf-") as folder:
        for side, sources, yaml_text in (("old", old, old_config or config), ("new", new, config)):
            root = Path(folder, side)
            root.mkdir()
            write_sources(root, sources)
            (root / "buf.yaml").write_text(_checked(yaml_text), encoding="utf-8")
        return _breaking(folder, "new", "old")


def compare_images(old: bytes, new: bytes, *, config: str) -> list[BufFinding]:
    """Return what buf finds between two serialised descriptor sets.

    Raises:
        InvalidInputError: One of them is none, or the configuration is none.
        UnavailableError: buf did not answer in time.
    """
    with tempfile.TemporaryDirectory(prefix="twinmesh-buf-") as folder:
        Path(folder, "old.binpb").write_bytes(old)
        Path(folder, "new.binpb").write_bytes(new)
        Path(folder, "buf.yaml").write_text(_checked(config), encoding="utf-8")
        return _breaking(folder, "new.binpb", "old.binpb", "--config", "buf.yaml")


def _breaking(folder: str, new: str, old: str, *more: str) -> list[BufFinding]:
    try:
        done = subprocess.run(  # noqa: S603 - our own program, arguments without a shell
            [buf_program(), "breaking", new, "--against", old, "--error-format=json", *more],
            cwd=folder,
            env=_environment(folder),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"buf took more than {TIMEOUT_S:g} s") from error
    return _changes(done.returncode, done.stdout, done.stderr, folder)
