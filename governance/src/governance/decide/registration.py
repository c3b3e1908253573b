"""What a push does to the mesh: every rule, in order, and the state that follows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from governance.decide.authorities import check_authorities
from governance.decide.breaking_changes import check_breaking_changes
from governance.decide.budgets import check_budgets
from governance.decide.charter_meaning import check_charter_meaning
from governance.decide.charter_shape import check_charter_shape
from governance.decide.charter_sources import check_sources
from governance.decide.composition import Compose, Settled, settle
from governance.decide.descriptors import check_descriptors, message_names, read_descriptors
from governance.decide.event_types import check_event_types
from governance.decide.evidence import Evidence
from governance.decide.nullable_fields import check_nullable_fields
from governance.decide.sdl import schema_of
from governance.decide.versions import check_version
from governance.model.contracts import ACCEPTED_VERSIONS, Bundle, Contract, ContractState, Mesh
from governance.model.findings import Finding, postpones, refuses
from twinmesh_sdk.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one bundle.

    Attributes:
        changed: False when the same content was registered before.
    """

    bundle: Bundle
    state: ContractState
    changed: bool
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a push does.

    Attributes:
        mesh: What is registered afterwards.
        outcomes: One per bundle in the order of the push, then pending contracts that joined.
        changed: Contracts to save.
    """

    mesh: Mesh
    outcomes: tuple[Pushed, ...]
    changed: tuple[Contract, ...]


def judge(
    mesh: Mesh,
    bundles: Sequence[Bundle],
    compose: Compose,
    *,
    evidence: Evidence,
    pushed_by: str,
    now: datetime,
) -> Judgement:
    """Decide what a push of several bundles does.

    Bundles are judged together, so that they may refer to each other. A refused one does not
    hold back the others; of two that conflict, the first in the push wins.

    Args:
        mesh: What is registered.
        bundles: At most one per service.
        compose: Turns named bundles into a supergraph, or says why not.
        evidence: What is known of the consumers of contracts.
        pushed_by: Who pushes.
        now: Wall time.

    Raises:
        InvalidInputError: Two bundles of one service.
    """
    if len({b.service for b in bundles}) != len(bundles):
        raise InvalidInputError("one push holds at most one bundle per service")
    findings: dict[str, tuple[Finding, ...]] = {}
    accepted: dict[str, Bundle] = {}
    for bundle in bundles:
        name = str(bundle.service)
        if (registered := mesh.version(name, bundle.version)) and _repeats(registered, bundle):
            findings[name] = ()
            if _is_newest(mesh, bundle):
                accepted[name] = _moved(registered.bundle, bundle)
            continue
        others = _others(mesh, accepted, name)
        said = _check(mesh, bundle, others, evidence)
        findings[name] = (*said, *_check_together(bundle, said, others, bundles))
        if not refuses(findings[name]):
            accepted[name] = bundle
    settled = _settle(mesh, accepted, compose)
    for name, reasons in settled.left_out.items():
        findings[name] = findings.get(name, ()) + reasons
    contracts = _contracts_after(mesh, accepted, findings, pushed_by=pushed_by, now=now)
    return _judgement(mesh, bundles, contracts, findings, settled)


def _repeats(registered: Contract, bundle: Bundle) -> bool:
    return registered.bundle.digest == bundle.digest


def _is_newest(mesh: Mesh, bundle: Bundle) -> bool:
    return all(c.bundle.version <= bundle.version for c in mesh.of(bundle.service))


def _moved(registered: Bundle, pushed: Bundle) -> Bundle:
    """Return the registered bundle at the pushed address: where it runs is not its content."""
    return replace(registered, subgraph_url=pushed.subgraph_url or registered.subgraph_url)


def _others(mesh: Mesh, accepted: Mapping[str, Bundle], name: str) -> list[Bundle]:
    """Return what a bundle must agree with: others that are registered, or accepted before it."""
    registered = {n: c.bundle for n, c in (mesh.pending() | mesh.active()).items()}
    return [bundle for other, bundle in (registered | dict(accepted)).items() if other != name]


def _check(mesh: Mesh, bundle: Bundle, others: list[Bundle], evidence: Evidence) -> list[Finding]:
    """Apply every rule but composition. A charter without shape is not read further."""
    if findings := check_charter_shape(bundle.service, bundle.charter):
        return findings
    try:
        read_descriptors(bundle.descriptor_set)
        if bundle.sdl:
            schema_of(bundle.sdl)
    except InvalidInputError as error:
        return [
            Finding(
                code="UNREADABLE",
                subject=str(bundle.service),
                message=str(error),
                hint="push what `twinmesh contract push` builds from the package",
                service=bundle.service,
            )
        ]
    return [
        *check_version(mesh, bundle),
        *check_charter_meaning(bundle),
        *check_descriptors(bundle),
        *check_breaking_changes(bundle, mesh.of(bundle.service), others, evidence),
        *check_nullable_fields(bundle, others),
        *check_event_types(bundle, others, message_names(bundle.descriptor_set)),
        *check_budgets(bundle, others),
        *check_authorities(bundle, others),
    ]


def _check_together(
    bundle: Bundle, said: Sequence[Finding], others: list[Bundle], pushed: Sequence[Bundle]
) -> list[Finding]:
    """Apply the rules that also know what is pushed together with a bundle, in any order."""
    if any(finding.code in {"CHARTER_SCHEMA", "UNREADABLE"} for finding in said):
        return []
    beside = [other for other in pushed if other.service != bundle.service]
    return check_sources(bundle, [*others, *beside])


def _settle(mesh: Mesh, accepted: Mapping[str, Bundle], compose: Compose) -> Settled:
    """Compose what is in force with what is new or still pending; nothing new composes nothing."""
    in_force = {name: contract.bundle for name, contract in mesh.active().items()}
    waiting = {name: c.bundle for name, c in mesh.pending().items()} | dict(accepted)
    news = {name: bundle for name, bundle in waiting.items() if in_force.get(name) != bundle}
    if not any(bundle.sdl for bundle in news.values()):
        return Settled(mesh.supergraph, frozenset(waiting), {})
    return settle(in_force, waiting, compose)


def _contracts_after(
    mesh: Mesh,
    accepted: Mapping[str, Bundle],
    findings: Mapping[str, tuple[Finding, ...]],
    *,
    pushed_by: str,
    now: datetime,
) -> tuple[Contract, ...]:
    """Return every contract with the state that follows."""
    contracts = {(c.bundle.service, c.bundle.version): c for c in mesh.contracts}
    pending = mesh.pending()
    for name, bundle in ({n: c.bundle for n, c in pending.items()} | dict(accepted)).items():
        said = findings.get(name, ())
        before = contracts.get((bundle.service, bundle.version))
        if refuses(said) and before is None:
            continue
        waits = refuses(said) or postpones(said)
        state = ContractState.PENDING if waits else ContractState.ACTIVE
        if before is None:
            after = Contract(bundle, state, now, pushed_by, _kept(said))
        elif before.state is ContractState.ACTIVE:
            after = before if waits else replace(before, bundle=bundle)
        else:
            after = replace(before, bundle=bundle, state=state, findings=_kept(said))
        contracts[bundle.service, bundle.version] = after
    return _succession(contracts.values())


def _kept(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding.kept() for finding in findings)


def _succession(contracts: Iterable[Contract]) -> tuple[Contract, ...]:
    """Leave one active contract per service, its pending successor, and a few accepted before."""
    by_service: dict[str, list[Contract]] = {}
    for contract in contracts:
        by_service.setdefault(str(contract.bundle.service), []).append(contract)
    after = []
    for versions in by_service.values():
        versions.sort(key=lambda c: c.bundle.version, reverse=True)
        active = pending = False
        accepted = 0
        for contract in versions:
            state = contract.state
            if state is ContractState.ACTIVE and active:
                state = ContractState.ACCEPTED
            elif state is ContractState.PENDING and (active or pending):
                state = ContractState.SUPERSEDED
            if state is ContractState.ACCEPTED:
                accepted += 1
                state = state if accepted <= ACCEPTED_VERSIONS else ContractState.SUPERSEDED
            active = active or state is ContractState.ACTIVE
            pending = pending or state is ContractState.PENDING
            after.append(contract if state is contract.state else contract.now(state))
    return tuple(after)


def _judgement(
    mesh: Mesh,
    bundles: Sequence[Bundle],
    contracts: tuple[Contract, ...],
    findings: Mapping[str, tuple[Finding, ...]],
    settled: Settled,
) -> Judgement:
    """Compare before and after, and say what became of each bundle."""
    before = {(c.bundle.service, c.bundle.version): c for c in mesh.contracts}
    after = {(c.bundle.service, c.bundle.version): c for c in contracts}
    outcomes = []
    for bundle in bundles:
        key = (bundle.service, bundle.version)
        said = findings.get(str(bundle.service), ())
        contract = after.get(key)
        if contract is None or refuses(said):
            outcomes.append(Pushed(bundle, ContractState.REFUSED, changed=False, findings=said))
        else:
            changed = before.get(key) != contract
            outcomes.append(Pushed(contract.bundle, contract.state, changed, said))
    pushed = {b.service for b in bundles}
    for key, contract in after.items():
        waited = key in before and before[key].state is ContractState.PENDING
        if (
            waited
            and contract.state is ContractState.ACTIVE
            and contract.bundle.service not in pushed
        ):
            outcomes.append(Pushed(contract.bundle, contract.state, changed=True))
    changed_contracts = tuple(c for key, c in after.items() if before.get(key) != c)
    return Judgement(Mesh(contracts, settled.supergraph), tuple(outcomes), changed_contracts)
