"""How often each client may ask."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from twinmesh_federation.serving.refusal import RefusedRequest

DEFAULT_CLIENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket per client.

    Attributes:
        per_second: Requests that a client regains each second.
        burst: Requests that it may make at once.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not (self.per_second > 0 and self.burst >= 1):
            raise ValueError("a rate limit needs per_second > 0 and burst >= 1")


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimiter:
    """Counts the requests of at most `clients` clients; who asked least recently is forgotten.

    A forgotten client begins with a full bucket, so the table must hold those that ask within the
    time that a bucket takes to fill; the limit itself never grows by it.
    """

    def __init__(
        self,
        limit: RateLimit,
        *,
        clients: int = DEFAULT_CLIENTS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limit = limit
        self._clients = clients
        self._clock = clock
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Count the clients in the table."""
        return len(self._buckets)

    def take(self, client: Hashable) -> None:
        """Count one request.

        Raises:
            RefusedRequest: It is one too many; `Retry-After` says in how many seconds.
        """
        now = self._clock()
        limit = self._limit
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(float(limit.burst), now)
            if len(self._buckets) > self._clients:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(client)
            gained = max(0.0, now - bucket.at) * limit.per_second
            bucket.left, bucket.at = min(float(limit.burst), bucket.left + gained), now
        if bucket.left < 1.0:
            wait_s = max(1, math.ceil((1.0 - bucket.left) / limit.per_second))
            raise RefusedRequest(
                429, "LIMIT_EXCEEDED",
                f"More than {limit.per_second:g} requests a second: try again in {wait_s} s.",
                headers={"retry-after": str(wait_s)},
                extensions={
                    "limit": "requests", "allowed": limit.per_second, "retryAfterS": wait_s,
                },
            )  # fmt: skip
        bucket.left -= 1.0
