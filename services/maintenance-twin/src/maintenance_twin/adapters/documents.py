"""Work items, conditions and twins as JSON documents, for the store.

Floats survive exactly: JSON carries their shortest text that reads back as the same number.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson

from maintenance_twin.decide.align import Slot
from maintenance_twin.decide.chart import ChartState
from maintenance_twin.decide.evaluate import Evaluation
from maintenance_twin.decide.shadow import Pairs, Shadow, Window
from maintenance_twin.decide.twin import AssetTwin, Seen, alignment_of
from maintenance_twin.model.baseline import Baseline, Track
from maintenance_twin.model.condition import Condition, State
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.row import Row
from maintenance_twin.model.signal import Profile, Role, Signal
from maintenance_twin.model.tuning import Tuning
from maintenance_twin.model.work_item import (
    CloseReason,
    Direction,
    Evidence,
    FailureMode,
    Probability,
    Status,
    WorkItem,
)
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.core.trust import Quality, Reason, Trust, Verdict

FORMAT: Final = 1
"""Version of the twin's document; another one is not read."""

Json = dict[str, Any]


def _reasons(reasons: Sequence[Reason]) -> list[list[str]]:
    return [[r.code, r.subject, r.detail] for r in reasons]


def _reasons_of(value: Sequence[Sequence[str]]) -> tuple[Reason, ...]:
    return tuple(Reason(*texts) for texts in value)


def trust_to_json(trust: Trust) -> Json:
    """Return a trust as a document."""
    return {
        "verdict": trust.verdict.value,
        "quality": int(trust.quality),
        "status": trust.status_code,
        "observed": None if trust.observed_at is None else to_us(trust.observed_at),
        "arrived": None if trust.arrived_at is None else to_us(trust.arrived_at),
        "decision": trust.decision,
        "budget_s": trust.budget_s,
        "age_s": trust.age_s,
        "configuration": trust.configuration_version,
        "model": trust.model_version,
        "reasons": _reasons(trust.reasons),
    }


def trust_of_json(value: Json) -> Trust:
    """Return the trust of a document."""
    return Trust(
        verdict=Verdict(value["verdict"]),
        quality=Quality(value["quality"]),
        status_code=value["status"],
        observed_at=None if value["observed"] is None else from_us(value["observed"]),
        arrived_at=None if value["arrived"] is None else from_us(value["arrived"]),
        decision=value["decision"],
        budget_s=value["budget_s"],
        age_s=value["age_s"],
        configuration_version=value["configuration"],
        model_version=value["model"],
        reasons=_reasons_of(value["reasons"]),
    )


def item_to_json(item: WorkItem) -> Json:
    """Return a work item as a document."""
    p = item.probability
    return {
        "id": item.work_item_id,
        "tenant": item.tenant,
        "asset": item.asset_id,
        "configuration": item.configuration_id,
        "mode": item.mode,
        "status": item.status.value,
        "onset": item.onset_us,
        "opened": item.opened_us,
        "detected": item.detected_us,
        "failure_mode": item.failure_mode.value,
        "probability": [p.value, p.event, p.horizon_s, p.calibration],
        "evidence": [
            [
                e.signal,
                e.unit,
                e.expected,
                e.observed,
                e.limit,
                e.direction.value,
                e.since_us,
                e.share,
            ]
            for e in item.evidence
        ],
        "trust": trust_to_json(item.trust),
        "model": item.model_version,
        "trace": item.trace_id,
        "closed": item.closed_us,
        "degraded_to": item.degraded_to_us,
        "close_reason": None if item.close_reason is None else item.close_reason.value,
        "correction": item.correction,
        "superseded_by": item.superseded_by,
        "lead_time_s": item.lead_time_s,
        "version": item.version,
        "inputs": item.inputs_digest,
    }


def item_of_json(value: Json) -> WorkItem:
    """Return the work item of a document."""
    return WorkItem(
        work_item_id=value["id"],
        tenant=Tenant(value["tenant"]),
        asset_id=AssetId(value["asset"]),
        configuration_id=value["configuration"],
        mode=value["mode"],
        status=Status(value["status"]),
        onset_us=value["onset"],
        opened_us=value["opened"],
        detected_us=value["detected"],
        failure_mode=FailureMode(value["failure_mode"]),
        probability=Probability(*value["probability"]),
        evidence=tuple(
            Evidence(
                signal=signal,
                unit=unit,
                expected=expected,
                observed=observed,
                limit=limit,
                direction=Direction(direction),
                since_us=since_us,
                share=share,
            )
            for signal, unit, expected, observed, limit, direction, since_us, share in value[
                "evidence"
            ]
        ),
        trust=trust_of_json(value["trust"]),
        model_version=value["model"],
        trace_id=value["trace"],
        closed_us=value["closed"],
        degraded_to_us=value["degraded_to"],
        close_reason=None if value["close_reason"] is None else CloseReason(value["close_reason"]),
        correction=value["correction"],
        superseded_by=value["superseded_by"],
        lead_time_s=value["lead_time_s"],
        version=value["version"],
        inputs_digest=value.get("inputs", ""),
    )


def condition_to_json(condition: Condition) -> Json:
    """Return a condition as a document."""
    return {
        "state": condition.state.value,
        "from": condition.from_us,
        "reasons": _reasons(condition.reasons),
        "configuration": condition.configuration_id,
        "model": condition.model_version,
        "item": condition.work_item_id,
        "inputs": condition.inputs_digest,
    }


def condition_of_json(value: Json) -> Condition:
    """Return the condition of a document."""
    return Condition(
        state=State(value["state"]),
        from_us=value["from"],
        reasons=_reasons_of(value["reasons"]),
        configuration_id=value["configuration"],
        model_version=value["model"],
        work_item_id=value["item"],
        inputs_digest=value.get("inputs", ""),
    )


def rows_to_bytes(rows: Sequence[Row], width: int) -> bytes:
    """Return rows as one block: times, arrivals and severities as int64, then the values.

    Traces are left out: a row is judged again without its cause.
    """
    numbers = np.array([(r.t_us, r.arrived_us, r.severity) for r in rows], dtype="<i8").reshape(
        len(rows), 3
    )
    values = np.array([r.values for r in rows], dtype="<f8").reshape(len(rows), width)
    return numbers.tobytes() + values.tobytes()


def rows_of_bytes(data: bytes, count: int, width: int) -> list[Row]:
    """Return the rows of a block; the inverse of `rows_to_bytes`."""
    numbers = np.frombuffer(data, dtype="<i8", count=3 * count).reshape(count, 3)
    values = np.frombuffer(data, dtype="<f8", offset=24 * count, count=width * count)
    return [
        Row(t_us=t_us, values=tuple(row), severity=severity, arrived_us=arrived_us)
        for (t_us, arrived_us, severity), row in zip(
            numbers.tolist(), values.reshape(count, width).tolist(), strict=True
        )
    ]


def _packed(rows: Sequence[Row], width: int) -> Json:
    data = base64.b64encode(rows_to_bytes(rows, width)).decode()
    return {"count": len(rows), "width": width, "data": data}


def _unpacked(value: Json) -> list[Row]:
    return rows_of_bytes(base64.b64decode(value["data"]), value["count"], value["width"])


def _baseline_to_json(baseline: Baseline) -> Json:
    return {
        "tracks": [
            [
                t.name,
                t.unit,
                t.role.value,
                t.mean,
                t.spread,
                t.level_sd,
                t.drift_var_per_s,
                t.level,
                t.reference,
                t.charted,
            ]
            for t in baseline.tracks
        ],
        "whitening": [list(row) for row in baseline.whitening],
        "limit": baseline.limit,
        "rows": baseline.rows,
        "effective": baseline.effective_rows,
        "from": baseline.from_us,
        "to": baseline.to_us,
        "speed": [baseline.speed_mean, baseline.speed_spread],
    }


def _baseline_of_json(value: Json) -> Baseline:
    return Baseline(
        tracks=tuple(Track(t[0], t[1], Role(t[2]), *t[3:]) for t in value["tracks"]),
        whitening=tuple(tuple(row) for row in value["whitening"]),
        limit=value["limit"],
        rows=value["rows"],
        effective_rows=value["effective"],
        from_us=value["from"],
        to_us=value["to"],
        speed_mean=value["speed"][0],
        speed_spread=value["speed"][1],
    )


def _state_to_json(state: ChartState) -> Json:
    return {
        "level": state.level,
        "bounded": state.bounded,
        "slow": state.slow,
        "reference": state.reference,
        "updated": state.updated_us,
        "row": state.row,
        "last": state.last_us,
        "deviating": state.deviating,
        "flagged": state.flagged,
        "healthy_s": state.healthy_s,
    }


def _state_of_json(value: Json) -> ChartState:
    return ChartState(
        level=value["level"],
        bounded=value["bounded"],
        slow=value["slow"],
        reference=value["reference"],
        updated_us=value["updated"],
        row=value["row"],
        last_us=value["last"],
        deviating=value["deviating"],
        flagged=[(row, t_us) for row, t_us in value["flagged"]],
        healthy_s=value["healthy_s"],
    )


def _evaluation_to_json(at: Evaluation) -> Json:
    """Return what an evaluation has learned and holds; signals and configurations left out."""
    width = len(at.profile.signals)
    return {
        "span": None
        if at.span is None
        else [at.span.from_us, at.span.to_us, at.span.configuration_id],
        "mode": [at.mode, at.mode_us, at.mode_since_us],
        "learning": {mode: _packed(rows, width) for mode, rows in at.learning.items()},
        "charts": {
            mode: [_baseline_to_json(baseline), _state_to_json(state)]
            for mode, (baseline, state) in at.charts.items()
        },
        "item": None if at.item is None else item_to_json(at.item),
        "condition": None if at.condition is None else condition_to_json(at.condition),
        "unjudged": at.unjudged_us,
        "last": at.last_us,
        "inputs": at.inputs.hex(),
    }


def _evaluation_of_json(
    value: Json, profile: Profile, configurations: Configurations
) -> Evaluation:
    mode, mode_us, mode_since_us = value["mode"]
    return Evaluation(
        profile=profile,
        configurations=configurations,
        span=None if value["span"] is None else Span(*value["span"]),
        mode=mode,
        mode_us=mode_us,
        mode_since_us=mode_since_us,
        learning={mode: _unpacked(rows) for mode, rows in value["learning"].items()},
        charts={
            mode: (_baseline_of_json(baseline), _state_of_json(state))
            for mode, (baseline, state) in value["charts"].items()
        },
        item=None if value["item"] is None else item_of_json(value["item"]),
        condition=None if value["condition"] is None else condition_of_json(value["condition"]),
        unjudged_us=value["unjudged"],
        last_us=value["last"],
        inputs=bytes.fromhex(value.get("inputs", "")),
    )


def _window_to_json(window: Window) -> Json:
    return {
        "of": [window.from_us, window.version, window.configuration_id],
        "sums": [window.rows, window.squares, window.residuals],
        "shadows": {
            version: [_evaluation_to_json(shadow.evaluation), _pairs_to_json(shadow.pairs)]
            for version, shadow in window.shadows.items()
        },
    }


def _pairs_to_json(pairs: Pairs) -> list[float]:
    return [pairs.judged, pairs.disagreements, pairs.pairs, pairs.champion, pairs.challenger]


def _window_of_json(value: Json, profile: Profile, configurations: Configurations) -> Window:
    from_us, version, configuration_id = value["of"]
    rows, squares, residuals = value["sums"]
    return Window(
        from_us=from_us,
        version=version,
        configuration_id=configuration_id,
        rows=rows,
        squares=squares,
        residuals=residuals,
        shadows={
            name: Shadow(_evaluation_of_json(evaluation, profile, configurations), Pairs(*pairs))
            for name, (evaluation, pairs) in value["shadows"].items()
        },
    )


def twin_to_json(twin: AssetTwin, *, unlogged: Sequence[Row] | None = None) -> bytes:
    """Return everything that is remembered of a twin between batches.

    Args:
        unlogged: The rows that are not in the row log once this is saved; by default the twin's.
    """
    at, alignment = twin.evaluation, twin.alignment
    width = len(at.profile.signals)
    document = {
        "format": FORMAT,
        "profile": {
            "class": at.profile.asset_class,
            "signals": [
                [s.signal_id, s.name, s.unit, s.role.value, s.cadence_s] for s in at.profile.signals
            ],
        },
        "configurations": [
            [s.from_us, s.to_us, s.configuration_id] for s in at.configurations.spans
        ],
        **_evaluation_to_json(at),
        "window": _window_to_json(twin.window),
        "closed": alignment.closed_us,
        "newest": alignment.newest_us,
        "late": alignment.late,
        "slots": [_slot_to_json(index, slot) for index, slot in sorted(alignment.slots.items())],
        "first": twin.first_us,
        "seen": {n: [s.observed_us, s.arrived_us, s.severity] for n, s in twin.seen.items()},
        "silent": twin.silent_us,
        "unlogged": _packed(twin.unlogged if unlogged is None else unlogged, width),
    }
    return orjson.dumps(document)


def _slot_to_json(index: int, slot: Slot) -> list[Any]:
    values = {name: [at_us, value] for name, (at_us, value) in slot.values.items()}
    if any(not math.isfinite(value) for _, value in slot.values.values()):
        raise ValueError("a slot holds finite values only")
    return [index, values, slot.severity, slot.arrived_us, slot.trace, slot.newest_us]


def twin_of_json(
    data: bytes, *, tenant: Tenant, asset_id: AssetId, version: int, changes: int, tuning: Tuning
) -> AssetTwin:
    """Return the twin of a document.

    Raises:
        ValueError: It was written in a format that this release does not read.
    """
    value = orjson.loads(data)
    if value["format"] != FORMAT:
        raise ValueError(f"twin document of format {value['format']}, expected {FORMAT}")
    profile = Profile(
        asset_id=asset_id,
        asset_class=value["profile"]["class"],
        signals=tuple(
            Signal(SignalId(s[0]), s[1], s[2], Role(s[3]), s[4])
            for s in value["profile"]["signals"]
        ),
    )
    alignment = alignment_of(profile, tuning)
    alignment.closed_us, alignment.newest_us = value["closed"], value["newest"]
    alignment.late = value["late"]
    for index, values, severity, arrived_us, trace, newest_us in value["slots"]:
        alignment.slots[index] = Slot(
            values={name: (at_us, number) for name, (at_us, number) in values.items()},
            severity=severity,
            arrived_us=arrived_us,
            trace=trace,
            newest_us=newest_us,
        )
    configurations = Configurations(tuple(Span(*s) for s in value["configurations"]))
    window = value.get("window")  # none in documents of releases without shadows
    evaluation = _evaluation_of_json(value, profile, configurations)
    return AssetTwin(
        tenant=tenant,
        asset_id=asset_id,
        alignment=alignment,
        evaluation=evaluation,
        version=version,
        changes=changes,
        first_us=value["first"],
        seen={name: Seen(*parts) for name, parts in value["seen"].items()},
        silent_us=value["silent"],
        unlogged=_unpacked(value["unlogged"]),
        window=_window_of_json(window, profile, configurations) if window else Window(),
    )
