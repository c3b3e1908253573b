"""Windows that twins measured, rulings, requests to retrain."""

from datetime import datetime
from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    ComparedWindow,
    MeasuredWindow,
    RetrainingId,
    RetrainingRequest,
    Ruling,
    RulingKind,
    WindowFigures,
)
from twinmesh_sdk.core.ids import Tenant


def measurement_row(window: MeasuredWindow, recorded_at: datetime) -> dict[str, Any]:
    """Return a window's measurement as columns."""
    measured = window.measurement
    return {
        "tenant": str(window.tenant),
        "domain": window.domain,
        "model": str(window.model),
        "version": str(window.version),
        "asset": measured.asset,
        "from_at": measured.from_at,
        "to_at": measured.to_at,
        "configuration": window.configuration,
        "rows": measured.rows,
        "error": measured.error,
        "residual": measured.residual,
        "recorded_at": recorded_at,
    }


def figures_of(row: Row) -> WindowFigures:
    """Return a window's figures in a row of means."""
    return WindowFigures(utc(row["from_at"]), float(row["residual"]), float(row["log_error"]))


def comparison_rows(window: MeasuredWindow, recorded_at: datetime) -> list[dict[str, Any]]:
    """Return a window's comparisons as columns."""
    return [
        {
            "tenant": str(window.tenant),
            "domain": window.domain,
            "model": str(window.model),
            "challenger": str(challenger),
            "champion": str(window.version),
            "asset": each.asset,
            "from_at": each.from_at,
            "to_at": each.to_at,
            "pairs": each.pairs,
            "champion_error": each.champion_error,
            "challenger_error": each.challenger_error,
            "judged": each.judged,
            "disagreements": each.disagreements,
            "recorded_at": recorded_at,
        }
        for challenger, each in window.challengers.items()
    ]


def compared_of(row: Row) -> ComparedWindow:
    """Return a window's comparisons in a row of sums."""
    return ComparedWindow(
        from_at=utc(row["from_at"]),
        to_at=utc(row["to_at"]),
        gain=float(row["gain"]),
        pairs=int(row["pairs"]),
        judged=int(row["judged"]),
        disagreements=int(row["disagreements"]),
    )


def ruling_row(ruling: Ruling) -> dict[str, Any]:
    """Return a ruling as columns."""
    return {
        "tenant": str(ruling.tenant),
        "model": str(ruling.model),
        "version": str(ruling.version),
        "kind": str(ruling.kind),
        "against": str(ruling.against),
        "tenure": ruling.tenure,
        "why": ruling.why,
        "carried_out": ruling.carried_out,
        "at": ruling.at,
        "recorded_at": ruling.recorded_at,
        "figures": dict(ruling.figures),
    }


def ruling_of(row: Row) -> Ruling:
    """Return the ruling in a row."""
    return Ruling(
        tenant=Tenant(row["tenant"]),
        model=ModelName(row["model"]),
        version=Version.parse(row["version"]),
        kind=RulingKind(row["kind"]),
        against=Version.parse(row["against"]),
        tenure=utc(row["tenure"]),
        why=row["why"],
        carried_out=row["carried_out"],
        at=utc(row["at"]),
        recorded_at=utc(row["recorded_at"]),
        figures={name: float(value) for name, value in row["figures"].items()},
    )


def retraining_row(request: RetrainingRequest) -> dict[str, Any]:
    """Return a request to retrain as columns."""
    return {
        "id": str(request.id),
        "tenant": str(request.tenant),
        "model": str(request.model),
        "version": str(request.version),
        "tenure": request.tenure,
        "since": request.since,
        "noticed_at": request.noticed_at,
        "recorded_at": request.recorded_at,
        "sum": request.sum,
        "answered_by": str(request.answered_by or ""),
    }


def retraining_of(row: Row) -> RetrainingRequest:
    """Return the request to retrain in a row."""
    return RetrainingRequest(
        id=RetrainingId(row["id"]),
        tenant=Tenant(row["tenant"]),
        model=ModelName(row["model"]),
        version=Version.parse(row["version"]),
        tenure=utc(row["tenure"]),
        since=utc(row["since"]),
        noticed_at=utc(row["noticed_at"]),
        recorded_at=utc(row["recorded_at"]),
        sum=float(row["sum"]),
        answered_by=Version.parse(row["answered_by"]) if row["answered_by"] else None,
    )
