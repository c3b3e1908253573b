"""Readiness: what has to be true before a service should be asked anything."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from twinmesh_sdk.core.errors import TwinError

Probe = Callable[[], Awaitable[None]]
"""Returns when all is well, raises a `TwinError` that says what is not."""

PROBE_TIMEOUT_S: Final = 2.0


class Probes:
    """Named probes, asked together.

    Attributes:
        open: Whether the doors take requests yet.
        stopping: Whether the service is on its way out: never ready again.
    """

    def __init__(self) -> None:
        self._probes: dict[str, Probe] = {}
        self.open = False
        self.stopping = False

    def add(self, name: str, check: Probe) -> None:
        """Add a probe, or replace the one of that name."""
        self._probes[name] = check

    async def report(self) -> dict[str, str]:
        """Return `ok`, or what is wrong, for each probe."""
        names = list(self._probes)
        found = dict(
            zip(
                names,
                await asyncio.gather(*(_ask(self._probes[name]) for name in names)),
                strict=True,
            )
        )
        found["doors"] = "stopping" if self.stopping else "ok" if self.open else "opening"
        return found

    async def ready(self) -> bool:
        """Tell whether every probe passes."""
        return all(outcome == "ok" for outcome in (await self.report()).values())


async def _ask(check: Probe) -> str:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await check()
    except TwinError as error:
        return f"{error.code.value}: {error}"
    except TimeoutError:
        return f"DEADLINE_EXCEEDED: no answer in {PROBE_TIMEOUT_S:.0f} s"
    return "ok"
