"""Contracts to protobuf and back."""

import json
from typing import Any, Final

from governance.decide.registration import Pushed
from governance.model.contracts import (
    MAX_CHARTER_BYTES,
    Bundle,
    Contract,
    ContractState,
    EventDeclaration,
    ServiceName,
    Version,
)
from governance.model.findings import Consumer, Finding, Severity
from governance.model.signatures import ModelSignature, Port
from twinmesh.governance.v1 import contract_pb2
from twinmesh_sdk.contract import bundle_digest, canonical_json, event_schema_digest
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError
from twinmesh_sdk.wire import timestamp

SEVERITY_TO_PB: Final = {
    Severity.ERROR: contract_pb2.SEVERITY_ERROR,
    Severity.PENDING: contract_pb2.SEVERITY_PENDING,
    Severity.WARNING: contract_pb2.SEVERITY_WARNING,
}
STATE_TO_PB: Final = {
    ContractState.ACTIVE: contract_pb2.CONTRACT_STATE_ACTIVE,
    ContractState.PENDING: contract_pb2.CONTRACT_STATE_PENDING,
    ContractState.REFUSED: contract_pb2.CONTRACT_STATE_REFUSED,
    ContractState.ACCEPTED: contract_pb2.CONTRACT_STATE_ACCEPTED,
    ContractState.SUPERSEDED: contract_pb2.CONTRACT_STATE_SUPERSEDED,
}


def bundle_from_pb(message: contract_pb2.ContractBundle) -> Bundle:
    """Read a pushed bundle and compute its digest anew.

    Raises:
        InvalidInputError: No service name, no version, a charter that is no JSON object, or a
            digest other than the sender's, or model signatures other than the charter's.
    """
    bundle = make_bundle(
        service=message.service,
        version=message.version,
        charter=read_charter(message.charter_json),
        sdl=message.sdl,
        descriptor_set=message.descriptor_set,
        events=tuple(EventDeclaration(e.type, e.message) for e in message.events),
        subgraph_url=message.subgraph_url,
        claimed_digest=message.digest,
    )
    if message.models and list(message.models) != [_signature(model) for model in bundle.models]:
        raise InvalidInputError(
            f"{bundle.service}: the model signatures are not those of its charter",
            hint="push with the SDK of the mesh's release",
        )
    return bundle


def _signature(model: ModelSignature) -> contract_pb2.ModelSignature:
    return contract_pb2.ModelSignature(
        name=model.name,
        inputs=[_port(port) for port in model.inputs],
        outputs=[_port(port) for port in model.outputs],
    )


def _port(port: Port) -> contract_pb2.ModelPort:
    return contract_pb2.ModelPort(name=port.name, unit=port.unit, optional=port.optional)


def make_bundle(
    *,
    service: str,
    version: str,
    charter: dict[str, Any],
    sdl: str,
    descriptor_set: bytes,
    events: tuple[EventDeclaration, ...],
    subgraph_url: str,
    claimed_digest: str = "",
) -> Bundle:
    """Make a bundle of its parts, with the digest that all of the mesh computes.

    Raises:
        InvalidInputError: See `bundle_from_pb`.
    """
    digest = bundle_digest(
        service=service,
        version=version,
        charter=charter,
        sdl=sdl,
        descriptors=descriptor_set,
        events=events,  # type: ignore[arg-type]  # the SDK's declaration has the same two parts
    )
    if claimed_digest and claimed_digest != digest:
        raise InvalidInputError(
            f"{service[:60]}: the sender's digest {claimed_digest[:12]} is not that of what "
            f"arrived, {digest[:12]}",
            hint="push with the SDK of the mesh's release",
        )
    return Bundle(
        service=ServiceName(service),
        version=Version.parse(version),
        charter=charter,
        sdl=sdl,
        descriptor_set=descriptor_set,
        events=events,
        subgraph_url=subgraph_url,
        digest=digest,
        event_digests={e.type: _event_digest(descriptor_set, e.message) for e in events},
    )


def _event_digest(descriptor_set: bytes, message: str) -> str:
    """Return the digest of an event's schema; empty when it is missing, which a rule reports."""
    try:
        return event_schema_digest(descriptor_set, message)
    except InvalidInputError:
        return ""


def read_charter(data: bytes) -> dict[str, Any]:
    """Read a charter sent as JSON.

    Raises:
        LimitExceededError: It is too large.
        InvalidInputError: It is no JSON object.
    """
    if len(data) > MAX_CHARTER_BYTES:
        raise LimitExceededError(f"a charter has at most {MAX_CHARTER_BYTES} bytes")
    try:
        charter = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("charter_json is not JSON") from error
    if not isinstance(charter, dict):
        raise InvalidInputError("charter_json is not a JSON object")
    return charter


def bundle_to_pb(bundle: Bundle) -> contract_pb2.ContractBundle:
    """Return a bundle as it is pushed."""
    return contract_pb2.ContractBundle(
        service=bundle.service,
        version=str(bundle.version),
        charter_json=canonical_json(bundle.charter),
        sdl=bundle.sdl,
        descriptor_set=bundle.descriptor_set,
        events=[
            contract_pb2.EventDeclaration(type=e.type, message=e.message) for e in bundle.events
        ],
        subgraph_url=bundle.subgraph_url,
        digest=bundle.digest,
        models=[_signature(model) for model in bundle.models],
    )


def finding_to_pb(finding: Finding) -> contract_pb2.Finding:
    """Return a finding's message."""
    return contract_pb2.Finding(
        severity=SEVERITY_TO_PB[finding.severity],
        code=finding.code,
        subject=finding.subject,
        message=finding.words,
        hint=finding.hint,
        service=finding.service,
        consumers=[consumer_to_pb(each) for each in finding.consumers],
        looked_since=timestamp(finding.looked_since),
    )


def consumer_to_pb(consumer: Consumer) -> contract_pb2.Consumer:
    """Return who would notice a change."""
    return contract_pb2.Consumer(
        name=consumer.name,
        team=consumer.team,
        contact=consumer.contact,
        parts=consumer.parts,
        last_at=timestamp(consumer.last_at),
        count=consumer.count,
    )


def pushed_to_pb(outcome: Pushed) -> contract_pb2.PushOutcome:
    """Return what became of a bundle."""
    return contract_pb2.PushOutcome(
        service=outcome.bundle.service,
        version=str(outcome.bundle.version),
        digest=outcome.bundle.digest,
        state=STATE_TO_PB[outcome.state],
        changed=outcome.changed,
        findings=[finding_to_pb(f) for f in outcome.findings],
    )


def contract_to_pb(contract: Contract) -> contract_pb2.Contract:
    """Return a registered contract without its schemas."""
    bundle = contract.bundle
    return contract_pb2.Contract(
        service=bundle.service,
        version=str(bundle.version),
        digest=bundle.digest,
        state=STATE_TO_PB[contract.state],
        kind=bundle.kind,
        team=bundle.owner.get("team", ""),
        contact=bundle.owner.get("contact", ""),
        subgraph_url=bundle.subgraph_url,
        sdl_digest=bundle.sdl_digest,
        events=[
            contract_pb2.EventDeclaration(type=e.type, message=e.message) for e in bundle.events
        ],
        consumes=bundle.consumes,
        pushed_at=timestamp(contract.pushed_at),
        pushed_by=contract.pushed_by,
        findings=[finding_to_pb(f) for f in contract.findings],
    )
