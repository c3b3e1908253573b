"""A stranger's twin: a folder with a `pyproject.toml`, a package and its contract."""

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from twinmesh_local.catalogue import BY_NAME
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

INSTALL_S: Final = 300.0
MAX_NAME: Final = 63
MAX_FILE_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Twin:
    """A twin that joined.

    Attributes:
        folder: Where its `pyproject.toml` is.
        package: What `python -m` runs.
        env: Its virtual environment, which also sees ours.
    """

    name: str
    package: str
    folder: Path
    charter: Mapping[str, Any]
    env: Path

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.env / "bin" / "python"


def read_twin(folder: Path, envs: Path) -> Twin:
    """Read what a folder declares.

    Raises:
        InvalidInputError: It lacks a pyproject, a package with a contract, or a usable name.
    """
    folder = folder.resolve()
    try:
        project = tomllib.loads(_text(folder / "pyproject.toml"))
    except FileNotFoundError as error:
        raise InvalidInputError(f"{folder} has no pyproject.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInputError(f"{folder}/pyproject.toml cannot be read: {error}") from error
    if "project" not in project:
        raise InvalidInputError(f"{folder}/pyproject.toml has no [project]")
    package, contract = _package(folder)
    try:
        charter = yaml.safe_load(_text(contract / "twin.yaml"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{contract}/twin.yaml cannot be read: {error}") from error
    name = charter.get("name") if isinstance(charter, dict) else None
    if not isinstance(name, str) or not _plain(name):
        raise InvalidInputError(f"{contract}/twin.yaml needs a `name` of [a-z0-9-]")
    if name in BY_NAME or name == "plant":
        raise InvalidInputError(f"{name} is the name of a service of the mesh")
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return Twin(name, package, folder, charter, envs / f"{name}-{mark}")


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InvalidInputError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
    return path.read_text()


def _plain(name: str) -> bool:
    inner = name.replace("-", "")
    return (
        bool(inner)
        and inner.isascii()
        and inner.isalnum()
        and name == name.lower()
        and len(name) <= MAX_NAME
    )


def _package(folder: Path) -> tuple[str, Path]:
    """Return the package that holds the contract, and the contract's folder."""
    found = sorted(
        path.parent
        for path in (*folder.glob("src/*/contract/twin.yaml"), *folder.glob("*/contract/twin.yaml"))
        if (path.parent.parent / "__init__.py").exists()
    )
    if len(found) != 1:
        raise InvalidInputError(
            f"{folder} needs one package with a contract/twin.yaml, found {len(found)}",
            hint="lay it out as examples/hello-twin",
        )
    return found[0].parent.name, found[0]


def install(twin: Twin) -> None:
    """Make the twin's environment and install the twin into it; nothing is downloaded.

    Its dependencies are those of the SDK, which the environment sees through ours; others have to
    be installed by its owner beforehand.

    Raises:
        UnavailableError: It does not install.
    """
    stamp = twin.env / "installed"
    content = (twin.folder / "pyproject.toml").read_text() + sys.version
    mark = hashlib.sha256(content.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == mark:
        return
    if not twin.python.exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(twin.env)], "its environment")
    # A venv made from a venv does not see the first one's packages by itself.
    target = next(twin.env.glob("lib/python3*/site-packages"))
    ours = [p for p in map(Path, sys.path) if p.name in {"site-packages", "dist-packages"}]
    (target / "twinmesh_mesh.pth").write_text(
        "".join(f"import site; site.addsitedir({str(path)!r})\n" for path in ours)
    )
    pip = [sys.executable, "-m", "pip", "--python", str(twin.python), "install", "-q", "--no-deps"]
    pip += ["--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    _run([*pip, "--force-reinstall", "-e", str(twin.folder)], "the twin")
    stamp.write_text(mark)


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    if done.returncode != 0:
        raise UnavailableError(f"{what} did not install: {(done.stderr or done.stdout)[-1500:]}")
