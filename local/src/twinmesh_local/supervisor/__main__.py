"""Run a mesh: `python -m twinmesh_local.supervisor STATE_FOLDER [OPTIONS_AS_JSON]`.

Prints one JSON line when it could not begin, and ends with 1. Options: `graph`, `plant` (the
plant's environment; null runs none), `join` (folders of twins).
"""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from twinmesh_local.supervisor import control
from twinmesh_local.supervisor.supervisor import Lock, Supervisor, open_stack
from twinmesh_sdk.core.errors import TwinError


async def _run(folder: Path, options: dict[str, object]) -> None:
    lock = Lock(folder / "run" / "lock")
    lock.take()
    joining = [Path(str(path)) for path in options.get("join") or ()]  # type: ignore[attr-defined]
    graph, plant = options.get("graph"), options.get("plant")
    stack = open_stack(
        folder,
        graph=str(graph) if graph else None,
        plant={str(k): str(v) for k, v in plant.items()} if isinstance(plant, dict) else None,
        joining=joining,
    )
    supervisor = Supervisor(stack)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stopping.set)
    server = await control.serve(folder / "run", supervisor.answer)
    try:
        await supervisor.run()
    finally:
        server.close()
        (folder / "run" / control.NAME).unlink(missing_ok=True)


def main() -> None:
    """Run until asked to stop."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    options = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    try:
        asyncio.run(_run(folder, options))
    except TwinError as error:
        refusal = {"error": str(error), "hint": error.hint, "code": error.code.value}
        print(json.dumps(refusal), flush=True)  # noqa: T201 - read by who started us
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
