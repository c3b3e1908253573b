"""Rule: a charter's answers hang together, and speak of the bundle that they came with."""

from typing import Any, Final

from governance.model.contracts import Bundle
from governance.model.findings import Finding

_EMPTY: Final = {"", "-", "?", "n/a", "na", "none", "tbd", "todo", "unknown", "…", "..."}
_ANSWERED: Final = {
    "decision": "DOMAIN_WITHOUT_DECISION",
    "workflow": "DECISION_WITHOUT_WORKFLOW",
    "on_bad_data": "DOMAIN_WITHOUT_BAD_DATA_RULE",
    "authority": "DOMAIN_WITHOUT_AUTHORITY",
}


def check_charter_meaning(bundle: Bundle) -> list[Finding]:
    """Return what is wrong with a charter of the right shape."""
    charter = bundle.charter
    findings = [*_identity(bundle), *_manifest(bundle)]
    if charter["kind"] == "domain":
        findings += [
            _finding(
                bundle, code, part, f"a domain twin answers `{part}`; {charter[part]!r} does not"
            )
            for part, code in _ANSWERED.items()
            if _unanswered(charter[part])
        ]
        findings += _fidelity(bundle)
        findings += _cadence(bundle)
    findings += _twice(bundle)
    return findings


def _finding(bundle: Bundle, code: str, subject: str, message: str, hint: str = "") -> Finding:
    return Finding(
        code=code,
        subject=subject,
        message=message,
        hint=hint or f"edit {subject.split('.', maxsplit=1)[0]} in twin.yaml",
        service=bundle.service,
    )


def _unanswered(answer: Any) -> bool:  # noqa: ANN401 - a string, list or mapping from YAML
    if isinstance(answer, dict):
        return all(_unanswered(value) for value in answer.values())
    return isinstance(answer, str) and answer.strip().lower().rstrip(".") in _EMPTY


def _identity(bundle: Bundle) -> list[Finding]:
    findings = []
    for part, pushed in (("name", str(bundle.service)), ("version", str(bundle.version))):
        if bundle.charter[part] != pushed:
            findings.append(
                _finding(
                    bundle,
                    "CHARTER_NOT_OF_BUNDLE",
                    part,
                    f"the charter says {part} {bundle.charter[part]!r}, the push says {pushed!r}",
                )
            )
    return findings


def _manifest(bundle: Bundle) -> list[Finding]:
    findings = []
    manifest = bundle.manifest
    declared = {(e["type"], e["message"]) for e in manifest.get("events") or ()}
    if declared != {(e.type, e.message) for e in bundle.events}:
        findings.append(
            _finding(
                bundle,
                "EVENTS_NOT_OF_CHARTER",
                "contract.events",
                "the pushed event types are not those that the charter declares",
            )
        )
    if bool(manifest.get("subgraph")) != bool(bundle.sdl.strip()):
        findings.append(
            _finding(
                bundle,
                "SUBGRAPH_NOT_OF_CHARTER",
                "contract.subgraph",
                "the charter and the push disagree on whether there is a subgraph",
            )
        )
    if bundle.sdl.strip() and not bundle.subgraph_url:
        findings.append(
            _finding(
                bundle,
                "SUBGRAPH_WITHOUT_ADDRESS",
                "contract.subgraph",
                "the gateway needs the subgraph's address",
                "push with --url http://host:port/graphql",
            )
        )
    return findings


def _fidelity(bundle: Bundle) -> list[Finding]:
    fidelity = bundle.charter["fidelity"]
    predictive = isinstance(fidelity, dict) and fidelity.get("level") in {
        "predictive",
        "prescriptive",
    }
    if predictive and _unanswered(fidelity.get("metric", "")):
        return [
            _finding(
                bundle,
                "PREDICTION_WITHOUT_METRIC",
                "fidelity.metric",
                f"a {fidelity['level']} twin names the metric by which its fidelity is measured",
            )
        ]
    return []


def _cadence(bundle: Bundle) -> list[Finding]:
    """A decision told in parts says how often it is taken; one told as a sentence is believed."""
    decision = bundle.charter["decision"]
    if isinstance(decision, dict) and _unanswered(decision.get("how_often", "")):
        return [
            _finding(
                bundle,
                "DECISION_WITHOUT_CADENCE",
                "decision.how_often",
                "a decision that nobody takes at a known cadence needs no fresh inputs",
            )
        ]
    return []


def _twice(bundle: Bundle) -> list[Finding]:
    lists = {
        "freshness": [item["decision"] for item in bundle.charter.get("freshness") or ()],
        "contract.events": [event.type for event in bundle.events],
    }
    return [
        _finding(bundle, "DECLARED_TWICE", subject, f"{name} is declared more than once")
        for subject, names in lists.items()
        for name in sorted({n for n in names if names.count(n) > 1})
    ]
