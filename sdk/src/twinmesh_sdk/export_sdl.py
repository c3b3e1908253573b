"""Write a subgraph's schema into its contract: `python -m twinmesh_sdk.export_sdl MODULE:SCHEMA`.

`MODULE` is where the schema is, for example `energy_twin.subgraph:schema`; the file written is
`contract/schema.graphql` of its package. With `--check` nothing is written, and a difference fails.
"""

import argparse
import importlib
import sys
from importlib.resources import files
from pathlib import Path

from twinmesh_sdk.graphql import sdl_of


def main() -> int:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schema", metavar="MODULE:SCHEMA")
    parser.add_argument("--check", action="store_true", help="compare only")
    arguments = parser.parse_args()
    module, _, name = arguments.schema.partition(":")
    sdl = sdl_of(getattr(importlib.import_module(module), name or "schema"))
    path = Path(str(files(module.partition(".")[0]))) / "contract" / "schema.graphql"
    if arguments.check:
        same = path.is_file() and path.read_text(encoding="utf-8") == sdl
        sys.stdout.write(f"{path.name} is {'current' if same else 'not what the code serves'}\n")
        return 0 if same else 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sdl, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
