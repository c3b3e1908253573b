"""Contracts, supergraphs and findings."""

from collections.abc import Mapping
from typing import Any

from governance.adapters.rows.row import Row, utc
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
from twinmesh_sdk.core.times import format_time, parse_time


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
        pushed_at=utc(row["pushed_at"]),
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


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "subject": finding.subject,
        "message": finding.message,
        "hint": finding.hint,
        "service": str(finding.service),
        "severity": str(finding.severity),
        "looked_since": format_time(finding.looked_since) if finding.looked_since else "",
    }


def _finding_of(value: Mapping[str, Any]) -> Finding:
    return Finding(
        code=value["code"],
        subject=value["subject"],
        message=value["message"],
        hint=value["hint"],
        service=value["service"],
        severity=Severity(value["severity"]),
        looked_since=parse_time(value["looked_since"]) if value.get("looked_since") else None,
    )
