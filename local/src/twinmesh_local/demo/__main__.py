"""`python -m twinmesh_local.demo`, what `make demo` runs."""

import json
import signal
import sys

from twinmesh_local.demo.run import Demonstration
from twinmesh_local.demo.screen import screen
from twinmesh_local.demo.settings import from_process
from twinmesh_sdk.core.errors import TwinError


def main() -> int:
    """Run one demonstration; 0 when all was well, 130 when interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where whoever started us ignores them, as shells do for jobs in the background.
        signal.signal(number, signal.default_int_handler)
    try:
        options = from_process(sys.argv[1:])
        with screen() as shown:
            demonstration = Demonstration(options, shown)
            if not options.once:
                demonstration.forever()
                return 0
            report = demonstration.once()
        for sentence in report["failures"]:
            print(f"failure: {sentence}", file=sys.stderr)  # noqa: T201
        print(json.dumps(report), flush=True)  # noqa: T201
    except TwinError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        print(f"error: {error}{hint}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
