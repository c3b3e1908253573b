"""Gather what is known of consumers before a change is judged."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.decide.evidence import Evidence
from governance.ports import Session


@dataclass(frozen=True, slots=True)
class Windows:
    """How far back uses count, and how long what is deprecated stays."""

    use: timedelta = timedelta(days=30)
    deprecation: timedelta = timedelta(days=30)


async def gather(
    session: Session, now: datetime, windows: Windows, *, tenant: str = ""
) -> Evidence:
    """Return the uses within the window, deprecations, and overrides that have not expired.

    Args:
        session: A transaction, or a snapshot.
        now: Wall time.
        windows: How far back uses count.
        tenant: Only uses by this tenant's clients; by all when empty.
    """
    return Evidence(
        now=now,
        window=windows.use,
        uses=tuple(await session.uses(since=now - windows.use, tenant=tenant)),
        observed_since=await session.observed_since(),
        owners={owner.client: owner for owner in await session.owners()},
        deprecations={(d.service, d.coordinate): d for d in await session.deprecations()},
        overrides=tuple(await session.overrides(unexpired_at=now)),
        deprecation_window=windows.deprecation,
    )
