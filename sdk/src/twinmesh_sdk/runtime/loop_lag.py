"""Says when the event loop was held up: while it is, nothing here answers."""

import asyncio
import logging
from time import monotonic, process_time
from typing import Final

from prometheus_client import Histogram

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
WORTH_TELLING_S: Final = 1.0

LAG: Final = Histogram(
    "twin_loop_lag_seconds",
    "How late the event loop was",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


async def watch_loop() -> None:
    """Measure how late the loop is, until cancelled.

    A long lag with as much processor time means that we computed too long in one go; with little,
    that the machine gave us none.
    """
    while True:
        due, used_s = monotonic() + LOOK_S, process_time()
        await asyncio.sleep(LOOK_S)
        lag_s = monotonic() - due
        LAG.observe(max(0.0, lag_s))
        if lag_s > WORTH_TELLING_S:
            busy_s = process_time() - used_s
            log.warning(
                "event loop was held up",
                extra={"lag_s": round(lag_s, 3), "processor_s": round(busy_s, 3)},
            )
