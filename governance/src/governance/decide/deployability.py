"""May this version be deployed there: yes, no, or unknown, with reasons.

The question is put against what runs in the environment, not against succession, so that a
rollback is judged like any other deployment.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from governance.decide.breaking_changes import affected, breaches_between, said_of
from governance.decide.compat.protobuf_model import read_schema
from governance.decide.composition import MISSING_PARTNER, Compose
from governance.decide.evidence import MAX_CONSUMERS, Evidence
from governance.decide.routing import routed, running, served_by_all
from governance.model.consumption import Use, UseKind
from governance.model.contracts import Bundle, ContractState, Mesh, Supergraph, Version
from governance.model.deployments import Deployment, DeploymentState
from governance.model.findings import Consumer, Finding, Severity


class Verdict(StrEnum):
    """What can be said about a deployment."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict with its reasons.

    Attributes:
        reasons: ERROR says no, PENDING says unknown, WARNING is to know.
    """

    verdict: Verdict
    reasons: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what it is judged against.

    Attributes:
        deployments: Of the environment.
        registered_counts: Whether a service of which nothing was recorded there counts as
            deployed with its contract in force.
    """

    service: str
    version: Version
    environment: str
    mesh: Mesh
    deployments: tuple[Deployment, ...]
    evidence: Evidence
    registered_counts: bool


def can_deploy(question: Question, compose: Compose) -> Answer:
    """Answer a question, over protobuf, events, GraphQL and model signatures together."""
    contract = question.mesh.version(question.service, question.version)
    if contract is None or contract.state is ContractState.REFUSED:
        return _answer([_reason(question, "NOT_REGISTERED", "it is not registered: push it first")])
    if not question.deployments and not question.registered_counts:
        return _answer(
            [
                _reason(
                    question,
                    "ENVIRONMENT_UNKNOWN",
                    f"no deployment was ever recorded in {question.environment}",
                    severity=Severity.PENDING,
                    hint="record what runs there: twinmesh deployment record",
                )
            ]
        )
    bundle = contract.bundle
    return _answer(
        [
            *_breaks(question, bundle),
            *_needs_methods(question, bundle),
            *_needs_events(question, bundle),
            *_composes(question, bundle, compose),
        ]
    )


def _answer(reasons: Sequence[Finding]) -> Answer:
    weights = {reason.severity for reason in reasons}
    verdict = Verdict.YES
    if Severity.ERROR in weights:
        verdict = Verdict.NO
    elif Severity.PENDING in weights:
        verdict = Verdict.UNKNOWN
    return Answer(verdict, tuple(reasons))


def _others(question: Question) -> dict[str, Bundle]:
    """Return the newest version of every other service that runs there."""
    names = {str(d.service) for d in question.deployments}
    if question.registered_counts:
        names |= question.mesh.active().keys()
    found = {}
    for name in sorted(names - {question.service}):
        recorded = any(d.service == name for d in question.deployments)
        if not recorded and not question.registered_counts:
            continue
        if versions := running(question.mesh, question.deployments, name):
            found[name] = versions[0]
    return found


def _runs_there(question: Question) -> list[Bundle]:
    recorded = any(d.service == question.service for d in question.deployments)
    if not recorded and not question.registered_counts:
        return []
    versions = running(question.mesh, question.deployments, question.service)
    return [bundle for bundle in versions if bundle.version != question.version]


def _breaks(question: Question, bundle: Bundle) -> Iterator[Finding]:
    """Find what serves there now, would be gone, and who uses it."""
    others = list(_others(question).values())
    seen: set[tuple[str, str]] = set()
    for now in _runs_there(question):
        breaches, _ = breaches_between(bundle, now, others)
        for breach in breaches:
            key = (breach.finding.code, breach.finding.subject)
            if key in seen:
                continue
            seen.add(key)
            everyone = affected(bundle, breach, others, question.evidence, at_most=sys.maxsize)
            consumers = _present(question, everyone)[:MAX_CONSUMERS]
            finding = replace(
                breach.finding,
                consumers=consumers,
                looked_since=question.evidence.looked_since,
                told=said_of(consumers, question.evidence),
                hint=f"{now.version} runs in {question.environment} and serves it",
            )
            yield _weighed(question, bundle, finding)


def _weighed(question: Question, bundle: Bundle, finding: Finding) -> Finding:
    evidence = question.evidence
    permitted = any(
        override.permits(bundle.digest, finding.code, finding.subject, now=evidence.now)
        for override in evidence.overrides
    )
    if permitted:
        return finding.warned()
    if finding.consumers:
        return finding
    if evidence.whole:
        return finding.warned()
    return replace(finding, severity=Severity.PENDING)


def _present(question: Question, consumers: tuple[Consumer, ...]) -> tuple[Consumer, ...]:
    """Leave out services of the mesh that do not run there; clients from outside always count."""
    services = {str(c.bundle.service) for c in question.mesh.contracts}
    there = _others(question).keys()
    return tuple(c for c in consumers if c.name not in services or c.name in there)


def _needs_methods(question: Question, bundle: Bundle) -> Iterator[Finding]:
    """Find methods that the service was seen calling and that nobody there serves."""
    there = _others(question)
    for use in question.evidence.uses:
        if use.kind is not UseKind.RPC_METHOD or use.consumer != question.service:
            continue
        provider = there.get(use.service)
        if provider is None:
            if use.service and use.service != question.service:
                yield _missing(question, use, f"{use.service} does not run there")
        elif not _serves(provider, use.coordinate):
            yield _missing(
                question, use, f"{provider.service} {provider.version} does not serve it"
            )
    del bundle


def _serves(provider: Bundle, coordinate: str) -> bool:
    service, _, method = coordinate.partition("/")
    return method in read_schema(provider.descriptor_set).services.get(service, {})


def _missing(question: Question, use: Use, why: str) -> Finding:
    return _reason(
        question,
        "METHOD_NOT_SERVED",
        f"{question.service} was seen calling {use.coordinate}; {why}",
        subject=use.coordinate,
        hint=f"deploy a version of {use.service} that serves it first",
    )


def _needs_events(question: Question, bundle: Bundle) -> Iterator[Finding]:
    published = {e.type for other in _others(question).values() for e in other.events}
    published |= {event.type for event in bundle.events}
    for type_ in bundle.consumes:
        if type_ not in published:
            yield _reason(
                question,
                "EVENT_NOT_PUBLISHED",
                f"nobody in {question.environment} publishes {type_}, which it consumes",
                subject=type_,
                severity=Severity.WARNING,
            )


def _composes(question: Question, bundle: Bundle, compose: Compose) -> Iterator[Finding]:
    """Compose what would be routed while both versions run, and when the candidate is alone."""
    if not bundle.sdl:
        return
    recorded = {str(d.service) for d in question.deployments}
    members = {
        name: member
        for name, member in routed(question.mesh, question.deployments).items()
        if question.registered_counts or name in recorded
    }
    beside = [
        c.bundle
        for d in question.deployments
        if d.service == question.service
        and d.state is DeploymentState.READY
        and d.version != question.version
        and (c := question.mesh.version(question.service, d.version))
    ]
    both = served_by_all([bundle, *beside]) if beside else bundle
    for when, candidate in (("beside what runs there", both), ("alone", bundle)):
        trial = {n: b for n, b in (members | {question.service: candidate}).items() if b.sdl}
        outcome = compose(trial) if trial else None
        if outcome is None or isinstance(outcome, Supergraph):
            continue
        for error in outcome:
            partner = error.code in MISSING_PARTNER
            yield _reason(
                question,
                error.code,
                f"{when}, the supergraph does not compose: {error.message}",
                subject=error.coordinate or ", ".join(error.subgraphs) or question.service,
                hint="deploy its partner first" if partner else "",
            )
        return


def _reason(
    question: Question,
    code: str,
    message: str,
    *,
    subject: str = "",
    hint: str = "",
    severity: Severity = Severity.ERROR,
) -> Finding:
    return Finding(
        code=code,
        subject=subject or f"{question.service} {question.version}",
        message=message,
        hint=hint,
        service=question.service,
        severity=severity,
    )
