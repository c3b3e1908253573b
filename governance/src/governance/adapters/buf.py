"""buf as the oracle of breaking protobuf changes: a bounded subprocess over two images."""

import asyncio
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
from governance.decide.protobuf_changes import ProtobufChange
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

TIMEOUT_S: Final = 20.0
MAX_OUTPUT_BYTES: Final = 4 * 1024 * 1024
FINDINGS_EXIT: Final = 100
_ALLOWED: Final = {"version", "breaking", "build", "modules", "lint", "name"}
_CONFIG: Final = '{"version":"v2","breaking":{"use":["FILE"]}}'


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


class BufOracle:
    """See `BreakingOracle`. Category FILE: what breaks generated Python, the wire and JSON."""

    async def changes(self, old: bytes, new: bytes) -> list[ProtobufChange]:
        """See `BreakingOracle.changes`."""
        with tempfile.TemporaryDirectory(prefix="twinmesh-buf-") as folder:
            before = _written(folder, "old.binpb", old)
            after = _written(folder, "new.binpb", new)
            process = await asyncio.create_subprocess_exec(
                buf_program(), "breaking", after, "--against", before,
                "--config", _CONFIG, "--error-format=json",
                cwd=folder,
                env=_environment(folder),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    out, err = await process.communicate()
            except TimeoutError as error:
                raise UnavailableError(f"buf took more than {TIMEOUT_S:g} s") from error
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return _changes(process.returncode or 0, out, err, folder)


def _environment(folder: str) -> dict[str, str]:
    return {"HOME": folder, "PATH": "/usr/bin:/bin", "BUF_CACHE_DIR": folder}


def _changes(status: int, out: bytes, err: bytes, folder: str) -> list[ProtobufChange]:
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


def _written(folder: str, name: str, data: bytes) -> str:
    path = Path(folder, name)
    path.write_bytes(data)
    return str(path)


def _change(line: bytes) -> ProtobufChange:
    said = json.loads(line)
    return ProtobufChange(
        rule=said.get("type", "BREAKING"), file=said.get("path", ""), message=said["message"]
    )


def compare_sources(
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    config: str,
    old_config: str | None = None,
) -> list[ProtobufChange]:
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
        try:
            done = subprocess.run(  # noqa: S603 - our own program, arguments without a shell
                [buf_program(), "breaking", "new", "--against", "old", "--error-format=json"],
                cwd=folder,
                env=_environment(folder),
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"buf took more than {TIMEOUT_S:g} s") from error
        return _changes(done.returncode, done.stdout, done.stderr, folder)
