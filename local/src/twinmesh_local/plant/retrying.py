"""Waiting for what is away for a moment: restarts are normal, and bounded."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from twinmesh_sdk.core.errors import UnavailableError

GIVE_UP_S: Final = 180.0
WAITS_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)

T = TypeVar("T")


async def persistently(attempt: Callable[[], Awaitable[T]], *, give_up_s: float = GIVE_UP_S) -> T:
    """Repeat while the other side is away.

    Raises:
        UnavailableError: It stayed away for `give_up_s`.
    """
    deadline = time.monotonic() + give_up_s
    number = 0
    while True:
        try:
            return await attempt()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(WAITS_S[min(number, len(WAITS_S) - 1)])
            number += 1
