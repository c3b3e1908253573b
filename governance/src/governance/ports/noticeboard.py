"""Where the mesh reads what is in force."""

from collections.abc import Mapping
from typing import Protocol


class Noticeboard(Protocol):
    """Where the mesh reads what is in force: KV buckets and an object store."""

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """Make the buckets hold exactly these entries, and the store at least these objects.

        Objects first, so that no entry names one that is not there. Lost buckets are made again.

        Returns:
            How many entries and objects were written or removed.
        """
        ...
