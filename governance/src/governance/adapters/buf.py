"""buf as the oracle of breaking protobuf changes: a bounded subprocess over two images."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from governance.decide.protobuf_changes import ProtobufChange
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

TIMEOUT_S: Final = 20.0
MAX_OUTPUT_BYTES: Final = 4 * 1024 * 1024
FINDINGS_EXIT: Final = 100
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
                env={"HOME": folder, "PATH": "/usr/bin:/bin", "BUF_CACHE_DIR": folder},
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
        if process.returncode == 0:
            return []
        if process.returncode != FINDINGS_EXIT:
            reason = err[:500].decode("utf-8", "replace").strip()
            raise InvalidInputError(f"buf cannot compare the descriptors: {reason}")
        return [_change(line) for line in out[:MAX_OUTPUT_BYTES].splitlines() if line.strip()]


def _written(folder: str, name: str, data: bytes) -> str:
    path = Path(folder, name)
    path.write_bytes(data)
    return str(path)


def _change(line: bytes) -> ProtobufChange:
    said = json.loads(line)
    return ProtobufChange(
        rule=said.get("type", "BREAKING"), file=said.get("path", ""), message=said["message"]
    )
