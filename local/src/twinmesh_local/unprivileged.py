"""Which account a program that refuses root runs as, and whether it can reach its files."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinmesh_sdk.core.errors import PreconditionFailedError

CANDIDATES: Final = ("nobody", "daemon")
CAPABILITIES: Final = (2, 1)
"""CAP_DAC_READ_SEARCH; else CAP_DAC_OVERRIDE, the only one of the two in most containers."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom to become.

    Attributes:
        name: None: stay who we are.
        capability: It needs this one to enter folders that are closed to it.
    """

    name: str | None
    capability: int | None = None


def account_for(*paths: Path) -> Account:
    """Return the account for a program that refuses root and needs `paths`.

    Raises:
        PreconditionFailedError: We are root, and no other account could reach the paths.
    """
    if os.geteuid() != 0:
        return Account(None)
    name = _existing()
    blocked = next((p for path in paths for p in _ways(path) if not _open_to_all(p)), None)
    if blocked is None:
        return Account(name)
    capability = _held_capability()
    if capability is None:
        raise PreconditionFailedError(
            f"PostgreSQL refuses to run as root, and the account {name} cannot enter {blocked}",
            hint="run as an ordinary user, or keep the checkout where others may read it",
        )
    return Account(name, capability)


def give(folder: Path, account: Account) -> None:
    """Make `folder`, for its owner only, and hand it to the account."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if account.name is not None:
        entry = pwd.getpwnam(account.name)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def give_file(path: Path, account: Account) -> None:
    """Hand one file to the account."""
    if account.name is not None:
        entry = pwd.getpwnam(account.name)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _existing() -> str:
    for name in CANDIDATES:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise PreconditionFailedError(
        f"PostgreSQL refuses to run as root, and there is no account {' or '.join(CANDIDATES)}",
        hint="run as an ordinary user",
    )


def _ways(path: Path) -> list[Path]:
    """Return the folders on the way to `path`."""
    return list(path.resolve().parents)


def _open_to_all(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & stat.S_IXOTH)


def _held_capability() -> int | None:
    """Return the least of the capabilities that we hold and that would do."""
    status = Path("/proc/self/status").read_text()
    permitted = next(line for line in status.splitlines() if line.startswith("CapPrm:"))
    held = int(permitted.split()[1], 16)
    return next((number for number in CAPABILITIES if held >> number & 1), None)
