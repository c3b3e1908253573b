"""Packages of npm that the tests run, installed once into a cache where npm is."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

GIVEN = os.environ.get("TWINMESH_NODE_MODULES")
CACHE = Path.home() / ".cache" / "twinmesh" / "node"
INSTALL_S = 180


@pytest.fixture(scope="session")
def npm() -> Callable[..., Path]:
    """Return what returns a `node_modules` folder with some packages, or skips by name."""

    def installed(*packages: str) -> Path:
        if GIVEN is not None:
            return Path(GIVEN)
        if not (shutil.which("node") and shutil.which("npm")):
            pytest.skip("needs node 18 or later with npm, or set TWINMESH_NODE_MODULES")
        folder = CACHE / "-".join(packages).replace("@", "-")
        if not (folder / "installed").exists():
            folder.mkdir(parents=True, exist_ok=True)
            options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                ["npm", "install", "--prefix", str(folder), *options, *packages],
                capture_output=True, text=True, timeout=INSTALL_S, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                pytest.skip(f"npm installs no {packages[0]} here: {done.stderr.strip()[-300:]}")
            (folder / "installed").touch()
        return folder / "node_modules"

    return installed
