"""What a contract asks nobody to use any more: since when, and who has to be told."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from governance.decide.compat.protobuf_model import read_schema
from governance.decide.graphql_changes import coordinates_of, deprecated_coordinates
from governance.decide.protobuf_changes import deprecated_elements, elements_of
from governance.model.changes import Deprecation, UsedPartDeprecated
from governance.model.consumption import Use
from governance.model.contracts import Bundle


def deprecated_in(bundle: Bundle) -> dict[str, str]:
    """Return what a bundle marks as deprecated, with reasons where there are any."""
    found = deprecated_elements(read_schema(bundle.descriptor_set))
    return found | (deprecated_coordinates(bundle.sdl) if bundle.sdl else {})


def deprecations_after(
    bundle: Bundle, known: Iterable[Deprecation], now: datetime
) -> tuple[list[Deprecation], list[Deprecation]]:
    """Return a service's deprecations with this bundle in force, and those that are new.

    One that was known keeps its time. One that the bundle serves undeprecated is over; one that it
    no longer serves stays, for versions that are still accepted.
    """
    marked = deprecated_in(bundle)
    before = {each.coordinate: each for each in known}
    served = elements_of(read_schema(bundle.descriptor_set))
    served |= coordinates_of(bundle.sdl) if bundle.sdl else set()
    gone = [each for name, each in before.items() if name not in served]
    new = [
        Deprecation(str(bundle.service), name, now, str(bundle.version), reason)
        for name, reason in sorted(marked.items())
        if name not in before
    ]
    kept = [before[name] for name in sorted(marked) if name in before]
    return [*gone, *kept, *new], new


def used_parts_deprecated(
    deprecated: Sequence[Deprecation],
    uses: Mapping[str, Sequence[Use]],
    owners: Mapping[str, tuple[str, str]],
    *,
    window: timedelta,
    at: Mapping[str, datetime],
) -> list[UsedPartDeprecated]:
    """Return whom to tell: every other client that was seen using what is deprecated.

    Args:
        deprecated: What nobody should use any more.
        uses: By tenant.
        owners: Team and contact, by client or service.
        window: How long it stays.
        at: Plant time, by tenant.
    """
    by_part: dict[str, list[Deprecation]] = {}
    for each in deprecated:
        by_part.setdefault(each.coordinate, []).append(each)
    told = []
    for tenant in sorted(uses):
        for use in uses[tenant]:
            for deprecation in by_part.get(use.coordinate, ()):
                if use.consumer == deprecation.service or use.service not in {
                    deprecation.service,
                    "",
                }:
                    continue
                team, contact = owners.get(use.consumer, ("", ""))
                ends = deprecation.ends(window)
                told.append(
                    UsedPartDeprecated(tenant, deprecation, use, ends, at[tenant], team, contact)
                )
    return told
