"""Files that hold credentials: readable by their owner only, replaced in one step."""

import json
import os
import secrets
from pathlib import Path
from typing import Any


def new_secret() -> str:
    """Return a password of 192 random bits, letters and digits only, safe in any URL or file."""
    return secrets.token_hex(24)


def write_secret(path: Path, text: str) -> None:
    """Write `text` in one step, for the owner only: a reader sees the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON, see `write_secret`."""
    write_secret(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file; empty when there is none."""
    if not path.exists():
        return {}
    value: dict[str, Any] = json.loads(path.read_text())
    return value
