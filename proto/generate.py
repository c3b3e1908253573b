"""Generate `proto/python` from the `.proto` files; a test regenerates and compares.

Run `python proto/generate.py` after changing a `.proto`, and commit the result.
`python proto/generate.py --out DIR` writes elsewhere, which is how the test compares.
"""

import argparse
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Write `*_pb2.py`, `*_pb2.pyi`, `*_pb2_grpc.py` and `*_pb2_grpc.pyi` below `out`.

    Raises:
        SystemExit: A `.proto` does not compile; protoc has said why.
    """
    target = out / "twinmesh"
    if target.exists():
        shutil.rmtree(target)
    out.mkdir(parents=True, exist_ok=True)
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("twinmesh/**/*.proto"))
    scripts = Path(sys.executable).parent
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *protos,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    for package in target.rglob("v1"):
        (package / "py.typed").touch()


def main() -> None:
    """Read the command line and generate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "python")
    generate(parser.parse_args().out)


if __name__ == "__main__":
    main()
