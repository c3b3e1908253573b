"""The noticeboard in memory."""

from collections.abc import Mapping


class MemoryNoticeboard:
    """See `Noticeboard`."""

    def __init__(self) -> None:
        self.contracts: dict[str, bytes] = {}
        self.models: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """See `Noticeboard.show`."""
        written = sum(1 for name in objects if name not in self.objects)
        self.objects |= objects
        for held, wanted in ((self.contracts, contracts), (self.models, models)):
            changed = {k for k, v in wanted.items() if held.get(k) != v}
            written += len(changed) + len(held.keys() - wanted.keys())
            held.clear()
            held.update(wanted)
        return written
