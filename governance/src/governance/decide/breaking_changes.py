"""Rule: what breaks a contract needs a new major, and nobody who still uses it.

A breaking change is refused within a major. With a new major it is weighed against live
consumers: those that the mesh saw using what would change, and those that declare it. What was
deprecated for its window, and was not used all through the last one, may go in a minor. An
override by two persons takes named findings back for a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from governance.decide.breaches import Breach
from governance.decide.evidence import MAX_CONSUMERS, Evidence, consumers_of
from governance.decide.graphql_changes import check_graphql_changes
from governance.decide.model_signatures import check_model_signatures
from governance.decide.protobuf_changes import check_protobuf_changes
from governance.decide.published_events import check_published_events
from governance.model.changes import Deprecation
from governance.model.contracts import Bundle, Contract, ContractState, Version
from governance.model.findings import Consumer, Finding
from twinmesh_sdk.core.times import format_time

MAX_NAMED: Final = 5
"""How many consumers a message names; the finding holds more."""


def check_breaking_changes(
    bundle: Bundle, versions: Sequence[Contract], others: Sequence[Bundle], evidence: Evidence
) -> list[Finding]:
    """Return what a bundle would break, for whom, and whether that refuses it.

    Args:
        bundle: The bundle pushed.
        versions: All registered versions of its service, the newest first.
        others: What other services have registered.
        evidence: What is known of consumers.
    """
    found: dict[tuple[str, str], Finding] = {}
    for earlier in _compared(bundle, versions):
        breaches, known = breaches_between(bundle, earlier, others)
        raised = raises_major(earlier.version, bundle.version)
        for finding in known:
            found.setdefault((finding.code, finding.subject), finding)
        for breach in breaches:
            key = (breach.finding.code, breach.finding.subject)
            if key not in found:
                found[key] = _weighed(bundle, breach, others, evidence, raised=raised)
    return list(found.values())


def breaches_between(
    bundle: Bundle, previous: Bundle, others: Iterable[Bundle]
) -> tuple[list[Breach], list[Finding]]:
    """Return what breaks between two versions of a service, and what is only to know."""
    breaches, moved = check_graphql_changes(bundle, previous, others)
    return [
        *check_protobuf_changes(bundle, previous),
        *breaches,
        *check_published_events(bundle, previous),
        *check_model_signatures(bundle, previous),
    ], moved


def raises_major(old: Version, new: Version) -> bool:
    """Tell whether a version may break what the other promised.

    Source: Semantic Versioning 2.0.0, sections 4 and 8: below 1.0.0 the minor counts as major.
    """
    if new.major != old.major:
        return new > old
    return new.major == 0 and new.minor > old.minor


def next_major(version: Version) -> Version:
    """Return the first version that may break what this one promised."""
    if version.major == 0:
        return Version(0, version.minor + 1, 0)
    return Version(version.major + 1, 0, 0)


def affected(
    bundle: Bundle,
    breach: Breach,
    others: Sequence[Bundle],
    evidence: Evidence,
    *,
    at_most: int = MAX_CONSUMERS,
) -> tuple[Consumer, ...]:
    """Return who uses, or declares to use, what a breach changes: so many, the latest first."""
    declared = [
        (other, part) for other in others for part in other.consumes if part in breach.parts
    ]
    uses = breach.broken(str(bundle.service), evidence.index)
    return consumers_of(str(bundle.service), uses, declared, others, evidence, at_most=at_most)


def _compared(bundle: Bundle, versions: Sequence[Contract]) -> list[Bundle]:
    """Return the version in force, and those of the same major that are still accepted."""
    in_force = [c.bundle for c in versions if c.state is ContractState.ACTIVE]
    accepted = [
        c.bundle
        for c in versions
        if c.state is ContractState.ACCEPTED and not raises_major(c.bundle.version, bundle.version)
    ]
    return [*in_force, *accepted]


def _weighed(
    bundle: Bundle,
    breach: Breach,
    others: Sequence[Bundle],
    evidence: Evidence,
    *,
    raised: bool,
) -> Finding:
    consumers = affected(bundle, breach, others, evidence)
    finding = replace(
        breach.finding,
        consumers=consumers,
        looked_since=evidence.looked_since,
        told=said_of(consumers, evidence),
    )
    if permitted := _override(bundle, finding, evidence):
        return replace(finding, message=f"{finding.message}; {permitted}").warned()
    deprecation = evidence.deprecations.get((str(bundle.service), breach.coordinate))
    if deprecation is not None and not consumers and _is_over(deprecation, evidence):
        since = format_time(deprecation.since)
        return replace(finding, message=f"{finding.message}; deprecated since {since}").warned()
    if not raised:
        return replace(finding, hint=_hint_within(finding, deprecation, bundle, evidence))
    if consumers:
        return replace(finding, hint="ask those named to move on, then register it")
    return finding.warned()


def _override(bundle: Bundle, finding: Finding, evidence: Evidence) -> str:
    for override in evidence.overrides:
        if override.permits(bundle.digest, finding.code, finding.subject, now=evidence.now):
            until = format_time(override.expires_at)
            return (
                f"overridden until {until} by {override.requested_by} and {override.approved_by} "
                f"({override.id})"
            )
    return ""


def _is_over(deprecation: Deprecation, evidence: Evidence) -> bool:
    """Tell whether a deprecation's time is over, and uses were watched all through the window."""
    return deprecation.ends(evidence.deprecation_window) <= evidence.now and evidence.whole


def _hint_within(
    finding: Finding, deprecation: Deprecation | None, bundle: Bundle, evidence: Evidence
) -> str:
    needed = next_major(bundle.version)
    if deprecation is None:
        return f"{finding.hint}; breaking changes need {needed}"
    ends = deprecation.ends(evidence.deprecation_window)
    return (
        f"deprecated since {format_time(deprecation.since)}: it may go from {format_time(ends)} on "
        f"if nobody uses it until then, or with {needed}"
    )


def said_of(consumers: Sequence[Consumer], evidence: Evidence) -> str:
    """Return in words who uses something, and how far back that was looked at."""
    since = format_time(evidence.looked_since)
    if consumers:
        named = "; ".join(map(_named, consumers[:MAX_NAMED]))
        more = f"; and {len(consumers) - MAX_NAMED} more" if len(consumers) > MAX_NAMED else ""
        return f"{named}{more} (looked at since {since})"
    if evidence.observed_since is None:
        return "no use of any contract was reported yet"
    if not evidence.whole:
        since = format_time(evidence.observed_since)
        return f"nobody was seen using it, but uses are known only since {since}"
    return f"nobody used it since {since}"


def _named(consumer: Consumer) -> str:
    team = f"{consumer.team} ({consumer.name})" if consumer.team else consumer.name
    parts = ", ".join(consumer.parts)
    if consumer.last_at is None:
        return f"{team} declares to consume {parts}"
    return f"{team} used {parts}, last on {format_time(consumer.last_at)}"
