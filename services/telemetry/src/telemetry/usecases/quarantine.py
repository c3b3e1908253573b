"""Look at quarantined readings, and put them through again once their cause is gone."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from telemetry.decide.resolve import Wanted
from telemetry.model.quarantine import QuarantineRow, Reason
from telemetry.model.signal import ForeignName
from telemetry.ports import Page, QuarantineStore, RawStream, SignalDirectory
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant, derived_id
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.ports.clock import Clock

MAX_PAGE: Final = 500
MAX_IDS: Final = 1_000
IDS_PER_MESSAGE: Final = 500
STRANDED_AFTER: Final = timedelta(seconds=30)
NAMES_PER_SWEEP: Final = 500
ROWS_PER_SWEEP: Final = 50_000


class ListQuarantine:
    """Answers a page of a tenant's quarantine."""

    def __init__(self, store: QuarantineStore) -> None:
        self._store = store

    async def __call__(self, tenant: Tenant, *, reason: str, after: str, limit: int) -> Page:
        """Return a page.

        Raises:
            InvalidInputError: Unknown reason, or a page larger than MAX_PAGE.
        """
        _check_reason(reason)
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInputError(f"a page has 1 to {MAX_PAGE} rows, got {limit}")
        return await self._store.page(tenant, reason=reason, after=after, limit=limit)


class ReplayQuarantine:
    """Puts quarantined readings back into the raw stream.

    The message that goes there only names the rows: what is put through is what the rows hold,
    and only rows of the subject's own tenant. A row that came through already is passed over, so
    sending a message twice is harmless, and a message that was lost is sent again by the sweep.
    """

    def __init__(
        self,
        *,
        store: QuarantineStore,
        stream: RawStream,
        directory: SignalDirectory,
        clock: Clock,
    ) -> None:
        self._store = store
        self._stream = stream
        self._directory = directory
        self._clock = clock

    async def __call__(self, tenant: Tenant, *, ids: Sequence[str], reason: str) -> int:
        """Replay rows by id, or all of a reason; return the readings on their way.

        Raises:
            InvalidInputError: Neither ids nor a reason, an unknown reason, or too many ids.
        """
        if len(ids) > MAX_IDS:
            raise InvalidInputError(f"at most {MAX_IDS} ids at once, got {len(ids)}")
        if not ids and not reason:
            raise InvalidInputError("name quarantine ids or a reason")
        _check_reason(reason)
        rows = await self._store.mark_replaying(
            tenant, ids=ids, reason=reason, limit=ROWS_PER_SWEEP
        )
        await self._send(rows)
        return sum(row.readings for row in rows)

    async def defined(self, name: ForeignName) -> int:
        """Replay what waits for a name that the registry has just defined."""
        rows = await self._store.mark_name(name, ROWS_PER_SWEEP)
        await self._send(rows)
        return sum(row.readings for row in rows)

    async def sweep(self) -> int:
        """Replay what can come through by now, and what got lost on its way.

        Covers definitions that arrived between a reading's refusal and its quarantine row, and
        replays whose message was never sent.
        """
        rows = list(
            await self._store.stranded(self._clock.wall_now() - STRANDED_AFTER, ROWS_PER_SWEEP)
        )
        names = await self._store.unresolved_names(NAMES_PER_SWEEP)
        wanted = [Wanted(name, us, us) for name, us in names]
        for (name, us), found in zip(names, await self._directory.resolve(wanted), strict=True):
            if any(one.valid_at(us) for one in found.definitions):
                rows += await self._store.mark_name(name, ROWS_PER_SWEEP)
        await self._send(rows)
        return sum(row.readings for row in rows)

    async def _send(self, rows: Sequence[QuarantineRow]) -> None:
        by_source: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            by_source.setdefault((row.tenant, row.source or "none"), []).append(row.quarantine_id)
        marked = to_us(self._clock.wall_now())
        for (tenant, source), ids in by_source.items():
            for at in range(0, len(ids), IDS_PER_MESSAGE):
                part = ids[at : at + IDS_PER_MESSAGE]
                await self._stream.put(
                    f"raw.{tenant}.{source}.replay",
                    json.dumps(part).encode(),
                    message_id=derived_id("rep", tenant, source, marked, *part),
                    headers={},
                )


def _check_reason(reason: str) -> None:
    if reason and reason not in set(Reason):
        known = ", ".join(Reason)
        raise InvalidInputError(f"{reason[:40]!r} is no reason", hint=f"known: {known}")
