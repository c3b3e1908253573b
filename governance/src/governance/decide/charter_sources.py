"""Rule: sources exist, and no decision wants its inputs fresher than they can be."""

from collections.abc import Iterable, Iterator
from typing import Any

from governance.model.contracts import Bundle
from governance.model.findings import Finding


def check_sources(bundle: Bundle, others: Iterable[Bundle]) -> list[Finding]:
    """Return a finding per source that names an unknown service, or promises too little.

    Args:
        others: Every other service that is registered or pushed together with this one.
    """
    known = {str(other.service): other for other in others}
    findings = []
    for part, source in _sources(bundle):
        provider = source.get("from")
        if not isinstance(provider, str):
            continue
        if provider not in known:
            findings.append(
                Finding(
                    code="UNKNOWN_SOURCE",
                    subject=f"sources.{part}",
                    message=f"{source['name']!r} comes from {provider}, which is not registered",
                    hint=f"register {provider} first, or in the same push",
                    service=bundle.service,
                )
            )
        elif part == "mandatory":
            findings += _too_fresh(bundle, str(source["name"]), known[provider])
    return findings


def _too_fresh(bundle: Bundle, source: str, provider: Bundle) -> list[Finding]:
    promised_s = provider.promises.get("output_age_s")
    if not isinstance(promised_s, int | float):
        return []
    return [
        Finding(
            code="FRESHER_THAN_PROMISED",
            subject=f"freshness.{decision}",
            message=(
                f"{decision!r} wants its inputs within {budget_s:g} s, but {provider.service} "
                f"promises {source!r} only at an age of {promised_s:g} s"
            ),
            hint=f"allow at least {promised_s:g} s, or agree on more with {_reach(provider)}",
            service=provider.service,
        )
        for decision, budget_s in bundle.budgets.items()
        if budget_s < promised_s
    ]


def _sources(bundle: Bundle) -> Iterator[tuple[str, dict[str, Any]]]:
    declared = bundle.charter.get("sources")
    for part in ("mandatory", "optional"):
        for source in (declared or {}).get(part) or ():
            if isinstance(source, dict):
                yield part, source


def _reach(provider: Bundle) -> str:
    owner = provider.owner
    return f"{owner.get('team', '')} ({owner.get('contact', '')})"
