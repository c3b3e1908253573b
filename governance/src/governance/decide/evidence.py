"""What is known of a contract's consumers when a change of it is judged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from governance.decide.breaches import UseIndex
from governance.model.changes import Deprecation, Override
from governance.model.consumption import ClientOwner, Use
from governance.model.contracts import Bundle
from governance.model.findings import Consumer

MAX_PARTS: Final = 20
"""How many parts one consumer is named with."""
MAX_CONSUMERS: Final = 50
"""How many consumers one finding names."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Uses within a window, and what was promised before.

    Attributes:
        now: Wall time.
        window: How far back a use counts as one that goes on.
        uses: What was used within the window.
        observed_since: The first use ever seen; None when nothing was ever reported.
        owners: By client.
        deprecations: By service and coordinate.
        overrides: Requested and approved, not yet expired.
        deprecation_window: How long what is deprecated stays.
        index: The uses by what they are of.
    """

    now: datetime
    window: timedelta = timedelta(days=30)
    uses: tuple[Use, ...] = ()
    observed_since: datetime | None = None
    owners: Mapping[str, ClientOwner] = field(default_factory=dict)
    deprecations: Mapping[tuple[str, str], Deprecation] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    deprecation_window: timedelta = timedelta(days=30)
    index: UseIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the uses once."""
        object.__setattr__(self, "index", UseIndex(self.uses))

    @property
    def looked_since(self) -> datetime:
        """The beginning of the window."""
        return self.now - self.window

    @property
    def whole(self) -> bool:
        """Whether uses were observed during all of the window."""
        return self.observed_since is not None and self.observed_since <= self.looked_since


def owners_of(
    bundles: Iterable[Bundle], named: Iterable[ClientOwner]
) -> dict[str, tuple[str, str]]:
    """Return team and contact by service, and by client where somebody named its owner."""
    owners = {
        str(b.service): (b.owner.get("team", ""), b.owner.get("contact", "")) for b in bundles
    }
    return {o.client: (o.team, o.contact) for o in named} | owners


def consumers_of(
    service: str,
    uses: Iterable[Use],
    declared: Iterable[tuple[Bundle, str]],
    others: Iterable[Bundle],
    evidence: Evidence,
    *,
    at_most: int = MAX_CONSUMERS,
) -> tuple[Consumer, ...]:
    """Return who uses these parts of a service's contract, the most recent first.

    Args:
        service: Whose contract: what it uses of itself is its own affair.
        uses: The uses that count.
        declared: Who declares to consume which event type.
        others: Other services, for their owners.
        evidence: Further owners.
        at_most: How many to name.
    """
    owners = owners_of(others, evidence.owners.values())
    seen: dict[str, list[Use]] = {}
    for use in uses:
        if use.consumer != service:
            seen.setdefault(use.consumer, []).append(use)
    said: dict[str, set[str]] = {}
    for bundle, part in declared:
        if str(bundle.service) != service:
            said.setdefault(str(bundle.service), set()).add(part)
    found = []
    for name in seen.keys() | said.keys():
        own = seen.get(name, [])
        team, contact = owners.get(name, ("", ""))
        found.append(
            Consumer(
                name=name,
                team=team,
                contact=contact,
                parts=tuple(sorted({u.coordinate for u in own} | said.get(name, set())))[
                    :MAX_PARTS
                ],
                last_at=max((u.last_at for u in own), default=None),
                count=sum(u.count for u in own),
            )
        )
    latest = {c.name: c.last_at.timestamp() if c.last_at else 0.0 for c in found}
    return tuple(sorted(found, key=lambda c: (-latest[c.name], c.name))[:at_most])
