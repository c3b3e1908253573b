"""How often a service calls its own store, and whether for a request or beside.

A query for many assets must cost as many calls as one for few; this is where it shows.
"""

from typing import Final

from prometheus_client import Counter

from twinmesh_sdk.core.request import caller_token

CALLS: Final = Counter(
    "twin_store_calls_total", "Calls to the service's own store", ["store", "cause"]
)


def count_store_call(store: str) -> None:
    """Count one transaction, query or insert.

    Args:
        store: The kind of store, for example `postgres`. Constant per adapter.
    """
    cause = "request" if caller_token() else "background"
    CALLS.labels(store, cause).inc()
