"""Where to find kustomize."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "v5.7.1"


@pytest.fixture(scope="session")
def kustomize() -> list[str]:
    """Return the command that renders a kustomization: found, or built once from its Go module."""
    if found := shutil.which("kustomize"):
        return [found, "build"]
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "twinmesh" / "go-bin"
    binary = cache / f"kustomize-{VERSION}"
    if not binary.exists():
        if shutil.which("go") is None:
            pytest.skip("needs kustomize, kubectl, or Go to build kustomize: none is installed")
        module = f"sigs.k8s.io/kustomize/kustomize/v5@{VERSION}"
        built = subprocess.run(
            ["go", "install", module],
            env={**os.environ, "GOBIN": str(cache)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        if built.returncode != 0:
            pytest.skip(f"kustomize {VERSION} could not be built with Go: {built.stderr[-200:]}")
        (cache / "kustomize").rename(binary)
    return [str(binary), "build"]
