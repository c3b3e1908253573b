"""What the mesh must be able to read when governance is down: the snapshot in KV and objects."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from governance.decide.budgets import aggregate_budgets
from governance.model.contracts import Contract, ContractState, Mesh
from governance.model.releases import Activation, ModelState, ModelVersion
from governance.model.retention import Retention
from twinmesh_sdk.core.times import format_time

_IN_FORCE = (ContractState.ACTIVE, ContractState.PENDING, ContractState.ACCEPTED)


def contract_entries(mesh: Mesh, deployed: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """Return every key of the bucket `contracts` with its value; equal meshes give equal bytes.

    Args:
        mesh: What is registered.
        deployed: Digests that run, whichever version is the newest: a rollback is accepted.
    """
    entries: dict[str, Any] = {}
    for service in sorted({str(c.bundle.service) for c in mesh.contracts}):
        if entry := _active_entry(mesh.of(service), deployed):
            entries[f"active.{service}"] = entry
    entries |= _event_entries(mesh)
    if mesh.supergraph is not None:
        entries["supergraph"] = {
            "digest": mesh.supergraph.digest,
            "object": f"supergraph-{mesh.supergraph.digest}",
            "subgraphs": mesh.supergraph.urls,
        }
    entries["budgets"] = aggregate_budgets(c.bundle for c in mesh.active().values())
    return {key: _json(value) for key, value in entries.items()}


def retention_entries(policies: Iterable[Retention]) -> dict[str, bytes]:
    """Return how long what is kept, as an entry of the bucket `contracts`, if anybody has said."""
    kept = {policy.data_class.value: {"keep_days": policy.keep_days} for policy in policies}
    return {"retention": _json(dict(sorted(kept.items())))} if kept else {}


def objects(mesh: Mesh, deployed: frozenset[str] = frozenset()) -> dict[str, bytes]:
    """Return every object of the store `bundles` that must be there, by name."""
    found: dict[str, bytes] = {}
    if mesh.supergraph is not None:
        found[f"supergraph-{mesh.supergraph.digest}"] = mesh.supergraph.sdl.encode()
    for contract in mesh.contracts:
        if contract.state in _IN_FORCE or contract.bundle.digest in deployed:
            found[f"bundle-{contract.bundle.digest}"] = bundle_object(contract)
    return found


def bundle_object(contract: Contract) -> bytes:
    """Return a bundle as the object store holds it; the descriptor set is an object beside it."""
    bundle = contract.bundle
    return _json(
        {
            "service": str(bundle.service),
            "version": str(bundle.version),
            "digest": bundle.digest,
            "charter": bundle.charter,
            "sdl": bundle.sdl,
            "descriptor_set_hex": bundle.descriptor_set.hex(),
            "events": [{"type": e.type, "message": e.message} for e in bundle.events],
        }
    )


def model_entries(
    models: Iterable[ModelVersion], now: datetime, public_key: str = ""
) -> dict[str, bytes]:
    """Return every key of the bucket `models`.

    `schedule.<name>` lists each period of each version that was not recalled, past ones too, so
    that a reader chooses by its own plant time and scope. `shadow.<name>` and `recalled.<name>`
    list such versions. `active.<name>` names the version in force at `now`, or the next to come.
    `signing-key` verifies the signatures of artefacts.
    """
    by_name: dict[str, list[ModelVersion]] = {}
    for model in sorted(models, key=lambda m: m.version):
        by_name.setdefault(str(model.name), []).append(model)
    entries: dict[str, Any] = {}
    for name, versions in by_name.items():
        schedule = _schedule(versions)
        if schedule:
            entries[f"schedule.{name}"] = {"versions": [_release(m, p) for m, p in schedule]}
        current = [(m, p) for m, p in schedule if m.state is ModelState.ACTIVE]
        if current:
            begun = [pair for pair in current if pair[1].effective_from <= now]
            foremost = begun[-1] if begun else current[0]
            entries[f"active.{name}"] = {
                **_release(*foremost),
                "schedule": [_release(m, p) for m, p in current],
            }
        if shadows := [m for m in versions if m.state is ModelState.SHADOW]:
            entries[f"shadow.{name}"] = {"versions": [_release(m, None) for m in shadows]}
        if recalled := [_recalled(m) for m in versions if m.recall is not None]:
            entries[f"recalled.{name}"] = {"versions": recalled}
    if public_key:
        entries["signing-key"] = {"ed25519": public_key}
    return {key: _json(value) for key, value in entries.items()}


def _schedule(versions: Iterable[ModelVersion]) -> list[tuple[ModelVersion, Activation]]:
    pairs = [
        (model, period)
        for model in versions
        if model.state is not ModelState.RECALLED
        for period in model.activations
    ]
    return sorted(pairs, key=lambda pair: pair[1].effective_from)


def _recalled(model: ModelVersion) -> dict[str, Any]:
    assert model.recall is not None
    return {
        "name": str(model.name),
        "version": str(model.version),
        "recalled_at": format_time(model.recall.recalled_at),
        "reason": model.recall.reason,
    }


def _active_entry(
    versions: tuple[Contract, ...], deployed: frozenset[str]
) -> dict[str, Any] | None:
    current = next((c for c in versions if c.state is ContractState.ACTIVE), None)
    current = current or next((c for c in versions if c.state is ContractState.PENDING), None)
    if current is None:
        return None
    bundle = current.bundle
    return {
        "service": str(bundle.service),
        "version": str(bundle.version),
        "digest": bundle.digest,
        "accepted": [
            c.bundle.digest for c in versions if c.state in _IN_FORCE or c.bundle.digest in deployed
        ],
        "state": str(current.state),
        "subgraph": (
            {"url": bundle.subgraph_url, "sdl_digest": bundle.sdl_digest} if bundle.sdl else None
        ),
        "pushed_at": format_time(current.pushed_at),
    }


def _event_entries(mesh: Mesh) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for contract in sorted(mesh.contracts, key=lambda c: c.bundle.version):
        for event in contract.bundle.events:
            known = entries.get(f"event.{event.type}", {})
            digests = list(known.get("digests", ()))
            digest = contract.bundle.event_digests.get(event.type, "")
            if digest not in digests:
                digests.append(digest)  # never dropped: the stream still holds such events
            current = contract.state in (ContractState.ACTIVE, ContractState.PENDING)
            entries[f"event.{event.type}"] = {
                "type": event.type,
                "message": event.message,
                "digests": digests,
                "service": str(contract.bundle.service),
                "status": "ACTIVE" if current else "RETIRED",
            }
    return entries


def _release(model: ModelVersion, period: Activation | None) -> dict[str, Any]:
    return {
        "name": str(model.name),
        "version": str(model.version),
        "digest": str(model.artefact_digest),
        "signature": model.signed,
        "approved_by": model.approved_by,
        "submitted_by": model.submitted_by,
        "effective_from": format_time(period.effective_from) if period else None,
        "effective_to": _time_or_none(period.effective_to if period else None),
        "scope": {
            "asset_classes": sorted(model.scope.asset_classes),
            "sites": sorted(model.scope.sites),
            "configurations": sorted(model.scope.configurations),
            "envelope": [
                {"signal": b.signal, "low": b.low, "high": b.high}
                for b in sorted(model.scope.envelope)
            ],
        },
    }


def _time_or_none(moment: datetime | None) -> str | None:
    return format_time(moment) if moment is not None else None


def _json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
