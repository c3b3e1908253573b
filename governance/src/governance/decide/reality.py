"""Charter against reality: what is promised, what was achieved, and when that is a breach."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from governance.model.contracts import Bundle
from governance.model.reality import Kind, Measure, Promise, Reality, Standing

WINDOW: Final = timedelta(hours=24)
HOUR: Final = timedelta(hours=1)
MARGIN: Final = 0.01
"""Of the bound: how much better than promised a measure is before a breach counts as over."""

EVENTS: Final = "events"


def promises_of(bundle: Bundle) -> list[Promise]:
    """Return what is measured of a charter, promised or not."""
    given = bundle.promises
    name = str(bundle.service)
    found = []
    for decision in bundle.budgets:
        for kind, share in (
            (Kind.FRESHNESS, given.get("freshness_share")),
            (Kind.COVERAGE, given.get("coverage_share")),
        ):
            found.append(Promise(name, kind, decision, at_least=_number(share)))
    if bundle.events:
        found.append(Promise(name, Kind.VOLUME, EVENTS, **_bounds(given.get("events_per_day"))))
    fidelity = given.get("fidelity")
    if isinstance(fidelity, dict):
        found.append(Promise(name, Kind.FIDELITY, str(fidelity["metric"]), **_bounds(fidelity)))
    return found


def judge(
    before: Reality | None,
    promise: Promise,
    measure: Measure | None,
    *,
    tenant: str,
    now: datetime,
    patience: timedelta,
) -> Reality:
    """Return where a promise stands now.

    A promise is not breached by one bad measure, nor kept again by one good one: the measure has
    to speak against the standing for as long as `patience`; and after a breach it has to be better
    than promised by `MARGIN`. Nothing measured changes nothing.

    Args:
        before: Where it stood; None at the first time, which needs no patience to be kept.
        promise: As the charter says it now.
        measure: None when there is nothing to measure.
        tenant: Whose plant was measured.
        now: Wall time.
        patience: How long.
    """
    current = before or Reality(tenant, promise, None, Standing.UNMEASURED, now, None, 0)
    wanted = _wanted(current.standing, promise, measure)
    turned_at = None if wanted is current.standing else current.turned_at or now
    waits = Standing.BREACHED in {wanted, current.standing} and measure is not None
    if turned_at is not None and (not waits or now - turned_at >= patience):
        return Reality(tenant, promise, measure, wanted, now, None, current.version + 1)
    version = max(current.version, 1)
    return Reality(tenant, promise, measure, current.standing, current.since, turned_at, version)


def _wanted(standing: Standing, promise: Promise, measure: Measure | None) -> Standing:
    """Return the standing for which the newest measure speaks."""
    if promise.at_least is None and promise.at_most is None:
        return Standing.UNPROMISED if measure else Standing.UNMEASURED
    if measure is None:
        return Standing.BREACHED if standing is Standing.BREACHED else Standing.UNMEASURED
    slack = MARGIN if standing is Standing.BREACHED else 0.0
    low, high = promise.at_least, promise.at_most
    # A share cannot be better than 1: there the margin ends.
    ceiling = 1.0 if promise.kind in {Kind.FRESHNESS, Kind.COVERAGE} else float("inf")
    enough = low is None or measure.achieved >= min(low + slack * abs(low), ceiling)
    little = high is None or measure.achieved <= high - slack * abs(high)
    return Standing.KEPT if enough and little else Standing.BREACHED


def by_hour(start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    """Yield the hours that a stretch touches, and how many of its seconds lie in each.

    A stretch longer than the window counts only from the window's beginning: nobody asks further.
    """
    start = max(start, end - WINDOW - HOUR)
    while start < end:
        hour = start.replace(minute=0, second=0, microsecond=0)
        until = min(hour + HOUR, end)
        yield hour, (until - start).total_seconds()
        start = until


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _bounds(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        return {}
    return {name: _number(given.get(name)) for name in ("at_least", "at_most")}
