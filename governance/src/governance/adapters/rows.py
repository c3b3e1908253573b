"""Between rows and what they mean: the only place that knows both."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from governance.model.audit import AuditEntry
from governance.model.contracts import (
    Bundle,
    Contract,
    ContractState,
    EventDeclaration,
    ServiceName,
    Supergraph,
    Version,
)
from governance.model.findings import Finding, Severity
from governance.model.releases import (
    Activation,
    ArtefactDigest,
    BackTest,
    ModelName,
    ModelState,
    ModelVersion,
    Scope,
)

Row = Mapping[str, Any]


def contract_row(contract: Contract) -> dict[str, Any]:
    """Return a contract as columns."""
    bundle = contract.bundle
    return {
        "service": str(bundle.service),
        "version": str(bundle.version),
        "digest": bundle.digest,
        "charter": bundle.charter,
        "sdl": bundle.sdl,
        "descriptor_set": bundle.descriptor_set,
        "events": [{"type": e.type, "message": e.message} for e in bundle.events],
        "event_digests": bundle.event_digests,
        "subgraph_url": bundle.subgraph_url,
        "state": str(contract.state),
        "findings": [_finding_json(f) for f in contract.findings],
        "pushed_at": contract.pushed_at,
        "pushed_by": contract.pushed_by,
    }


def contract_of(row: Row) -> Contract:
    """Return the contract in a row."""
    return Contract(
        bundle=Bundle(
            service=ServiceName(row["service"]),
            version=Version.parse(row["version"]),
            charter=row["charter"],
            sdl=row["sdl"],
            descriptor_set=bytes(row["descriptor_set"]),
            events=tuple(EventDeclaration(e["type"], e["message"]) for e in row["events"]),
            subgraph_url=row["subgraph_url"],
            digest=row["digest"],
            event_digests=dict(row["event_digests"]),
        ),
        state=ContractState(row["state"]),
        pushed_at=_utc(row["pushed_at"]),
        pushed_by=row["pushed_by"],
        findings=tuple(_finding_of(f) for f in row["findings"]),
    )


def supergraph_row(supergraph: Supergraph) -> dict[str, Any]:
    """Return a supergraph as columns, without its sequence."""
    return {
        "digest": supergraph.digest,
        "sdl": supergraph.sdl,
        "urls": supergraph.urls,
        "members": supergraph.members,
    }


def supergraph_of(row: Row) -> Supergraph:
    """Return the supergraph in a row."""
    return Supergraph(
        digest=row["digest"], sdl=row["sdl"], urls=dict(row["urls"]), members=dict(row["members"])
    )


def model_row(model: ModelVersion) -> dict[str, Any]:
    """Return a model version as columns."""
    period = model.activation
    test = model.back_test
    return {
        "name": str(model.name),
        "version": str(model.version),
        "artefact_digest": str(model.artefact_digest),
        "state": str(model.state),
        "scope": {
            "asset_classes": sorted(model.scope.asset_classes),
            "sites": sorted(model.scope.sites),
        },
        "back_test": {
            "reference": test.reference,
            "metric": test.metric,
            "achieved": test.achieved,
            "baseline": test.baseline,
            "baseline_achieved": test.baseline_achieved,
            "data_digest": test.data_digest,
        },
        "description": model.description,
        "submitted_by": model.submitted_by,
        "submitted_at": model.submitted_at,
        "approved_by": model.approved_by,
        "approved_at": model.approved_at,
        "approval_note": model.approval_note,
        "effective_from": period.effective_from if period else None,
        "effective_to": period.effective_to if period else None,
        "activated_by": period.activated_by if period else "",
        "activated_at": period.recorded_at if period else None,
    }


def model_of(row: Row) -> ModelVersion:
    """Return the model version in a row."""
    activation = None
    if row["effective_from"] is not None:
        activation = Activation(
            effective_from=_utc(row["effective_from"]),
            effective_to=_utc(row["effective_to"]) if row["effective_to"] else None,
            activated_by=row["activated_by"],
            recorded_at=_utc(row["activated_at"]),
        )
    return ModelVersion(
        name=ModelName(row["name"]),
        version=Version.parse(row["version"]),
        artefact_digest=ArtefactDigest(row["artefact_digest"]),
        scope=Scope(frozenset(row["scope"]["asset_classes"]), frozenset(row["scope"]["sites"])),
        back_test=BackTest(**row["back_test"]),
        description=row["description"],
        submitted_by=row["submitted_by"],
        submitted_at=_utc(row["submitted_at"]),
        state=ModelState(row["state"]),
        approved_by=row["approved_by"],
        approved_at=_utc(row["approved_at"]) if row["approved_at"] else None,
        approval_note=row["approval_note"],
        activation=activation,
    )


def audit_row(entry: AuditEntry, sequence: int) -> dict[str, Any]:
    """Return an audit entry as columns."""
    return {
        "sequence": sequence,
        "recorded_at": entry.recorded_at,
        "actor": entry.actor,
        "tenant": entry.tenant,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def audit_of(row: Row) -> AuditEntry:
    """Return the audit entry in a row."""
    return AuditEntry(
        recorded_at=_utc(row["recorded_at"]),
        actor=row["actor"],
        tenant=row["tenant"],
        action=row["action"],
        subject=row["subject"],
        outcome=row["outcome"],
        detail=dict(row["detail"]),
        sequence=row["sequence"],
    )


def _finding_json(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "subject": finding.subject,
        "message": finding.message,
        "hint": finding.hint,
        "service": str(finding.service),
        "severity": str(finding.severity),
    }


def _finding_of(value: Mapping[str, str]) -> Finding:
    return Finding(
        code=value["code"],
        subject=value["subject"],
        message=value["message"],
        hint=value["hint"],
        service=value["service"],
        severity=Severity(value["severity"]),
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
