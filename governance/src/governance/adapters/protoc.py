"""protoc in this process: Protobuf source to a descriptor set."""

import os
import tempfile
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

MAX_FILES: Final = 500
CACHED: Final = 256
MAX_SOURCE_BYTES: Final = 4 * 1024 * 1024


def compile_protos(sources: Mapping[str, str], wanted: list[str] | None = None) -> bytes:
    """Return the serialised descriptor set of `.proto` files, imports included.

    Args:
        sources: Text by path, as imports name them. Google's own files are known.
        wanted: The paths to compile; by default all.

    Raises:
        LimitExceededError: Too many files, or too much text.
        InvalidInputError: A path leaves its folder, or the sources do not compile.
    """
    if len(sources) > MAX_FILES or sum(map(len, sources.values())) > MAX_SOURCE_BYTES:
        raise LimitExceededError(
            f"at most {MAX_FILES} files and {MAX_SOURCE_BYTES} characters are compared at once"
        )
    return _compiled(tuple(sorted(sources.items())), tuple(sorted(wanted or sources)))


@lru_cache(maxsize=CACHED)
def _compiled(sources: tuple[tuple[str, str], ...], wanted: tuple[str, ...]) -> bytes:
    """Compile once per content: what was compared once is compared again with its successor."""
    with tempfile.TemporaryDirectory(prefix="twinmesh-protoc-", dir=_memory()) as folder:
        write_sources(Path(folder), dict(sources))
        out = Path(folder, ".descriptors")
        status, said = _protoc(folder, out, wanted)
        if status != 0:
            raise InvalidInputError(f"the Protobuf source does not compile: {said}")
        return out.read_bytes()


@cache
def _memory() -> str | None:
    """Return a folder that lives in memory; None where there is none, for the usual one."""
    folder = "/dev/shm"  # noqa: S108 - a private folder is made in it
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def write_sources(folder: Path, sources: Mapping[str, str]) -> None:
    """Write sources below a folder.

    Raises:
        InvalidInputError: A path is absolute, climbs out, or is not a `.proto`.
    """
    for name, text in sources.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".proto" or "\0" in name:
            raise InvalidInputError(f"{name[:80]!r} is no path of a .proto file")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _protoc(folder: str, out: Path, wanted: tuple[str, ...]) -> tuple[int, str]:
    """Run protoc, which speaks on file descriptor 2; returns its status and its words."""
    from grpc_tools import protoc  # type: ignore[import-untyped]  # noqa: PLC0415 - 8 MB

    arguments = [
        "protoc",
        f"-I{folder}",
        f"-I{_well_known()}",
        "--include_imports",
        f"--descriptor_set_out={out}",
        *wanted,
    ]
    with tempfile.TemporaryFile(dir=folder) as words:
        kept = os.dup(2)
        try:
            os.dup2(words.fileno(), 2)
            status = protoc.main(arguments)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        words.seek(0)
        said = words.read(2000).decode("utf-8", "replace").strip()
    return status, said.replace(folder + "/", "")


@cache
def _well_known() -> str:
    return str(files("grpc_tools") / "_proto")
