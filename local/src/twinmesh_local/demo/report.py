"""The report of one demonstration: made of answers, judged by rules. Nothing is asked here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twinmesh_local.demo.questions import IngestCounts
from twinmesh_local.plant.journal import Journal
from twinmesh_sdk.core.times import from_us, parse_time, to_us

ORDER = {"FRESH": 0, "UNASSESSED": 0, "LATE": 1, "STALE": 2, "ABSENT": 3}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the mesh said, through the gateway.

    Attributes:
        before: Counts before the plant fed anything.
        assets: By the plant's name.
        items: Every work item there is.
        sample: The sample query's whole response.
    """

    before: IngestCounts
    counts: IngestCounts
    assets: Mapping[str, Mapping[str, Any] | None]
    items: Sequence[Mapping[str, Any]]
    sample: Mapping[str, Any]


@dataclass(slots=True)
class Runs:
    """Which run (configuration label) an item belongs to, by asset and configuration version."""

    labels: dict[str, str] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, journal: Journal, assets: Mapping[str, Mapping[str, Any] | None]) -> "Runs":
        """Read the labels that the registry gives, and those of this journal's runs."""
        found = cls()
        for name, asset in assets.items():
            for each in (asset or {}).get("configurations") or ():
                found.labels[str(each["id"])] = str(each["label"])
            found.replayed |= {str(run["label"]) for run in journal.runs.get(name, ())}
        return found

    def label(self, item: Mapping[str, Any]) -> str:
        """Return an item's run; a version that is a label itself stays what it is."""
        version = str(item["configurationVersion"])
        return self.labels.get(version, version)


def worst_trust(asset: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the trust of an asset's state, or the worst of its signals where it has none."""
    state = (asset.get("maintenance") or {}).get("trust")
    if state is not None:
        return dict(state)
    trusts = [
        signal["latest"]["trust"]
        for signal in asset.get("signals") or ()
        if signal.get("latest") is not None
    ]
    return max(trusts, key=lambda trust: ORDER.get(trust["verdict"], 3), default=None)


def asset_row(name: str, asset: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an asset as the report lists it."""
    if asset is None:
        return {"asset": name, "id": None, "state": None, "trust": None}
    maintenance = asset.get("maintenance") or {}
    return {
        "asset": name,
        "id": asset["id"],
        "class": asset["assetClass"],
        "state": maintenance.get("state"),
        "signals": sum(1 for s in asset["signals"] if s.get("latest") is not None),
        "trust": worst_trust(asset),
    }


def item_row(item: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return a work item as the report lists it."""
    return {
        "id": item["id"],
        "asset": item["asset"]["name"],
        "run": run,
        "opened_at": item["openedAt"],
        "closed_at": item["closedAt"],
        "failure_mode": item["failureMode"],
        "probability": item["probability"],
        "evidence": item["evidence"],
        "config_version": item["configurationVersion"],
        "model_version": item["modelVersion"],
        "trust": item["trust"],
    }


def energy_row(item: Mapping[str, Any], run: str) -> dict[str, Any] | None:
    """Return the energy wasted while an item's asset was degraded; None where it is not stated."""
    energy = item["degradation"].get("energy")
    if energy is None or energy.get("wastedWh") is None:
        return None
    return {
        "asset": item["asset"]["name"],
        "run": run,
        "from": item["degradation"]["from"],
        "to": item["degradation"]["to"],
        "wh": energy["wastedWh"],
        "lo90": energy["lo90Wh"],
        "hi90": energy["hi90Wh"],
        "method": energy["method"],
    }


def failures_of(journal: Journal, answers: Answers, mine: Sequence[dict[str, Any]]) -> list[str]:
    """Return a sentence for everything that is not as it must be."""
    found = list(journal.failures)
    counts = answers.counts
    if not counts.balanced:
        found.append(
            f"received {counts.received} is not stored {counts.stored} + duplicate "
            f"{counts.duplicate} + quarantined {counts.quarantined}"
        )
    arrived = counts.received - answers.before.received
    expected = journal.planned - journal.absorbed
    if arrived < expected:
        found.append(f"{expected - arrived} of {expected} readings sent were not received")
    found += [_asset_failure(name, answers.assets.get(name)) for name in journal.assets]
    found += _fault_failures(journal, mine)
    found += _sample_failures(answers.sample)
    return [sentence for sentence in found if sentence]


def _asset_failure(name: str, asset: Mapping[str, Any] | None) -> str:
    if asset is None:
        return f"{name} is unknown to the mesh"
    silent = [s["name"] for s in asset["signals"] if s.get("latest") is None]
    if silent:
        return f"{name} was replayed, and {', '.join(silent)} has no latest value"
    trust = worst_trust(asset)
    if trust is None or trust["verdict"] == "ABSENT":
        return f"{name} does not answer with its trust"
    return ""


def _fault_failures(journal: Journal, mine: Sequence[dict[str, Any]]) -> list[str]:
    """Judge the simulated episode: found after its onset, never before, nothing on the other."""
    episode = journal.episode
    if not episode:
        return ["no fault was simulated"]
    items = [item for item in mine if item["run"] == episode["label"]]
    onset = from_us(episode["onset_us"])
    told = f"{episode['fault']} on {episode['pump']} from {onset.isoformat()}"
    on_faulty = [item for item in items if item["asset"] == episode["pump"]]
    early = [i for i in on_faulty if to_us(parse_time(i["opened_at"])) < episode["onset_us"]]
    found = []
    if len(on_faulty) == len(early):
        found.append(f"{told} was not found")
    if early:
        found.append(f"a work item was opened before the onset of {told}")
    found += [
        f"a work item was opened on {pump}, which is healthy"
        for pump in episode["healthy"]
        if any(item["asset"] == pump for item in items)
    ]
    return found


def _sample_failures(sample: Mapping[str, Any]) -> list[str]:
    found = [f"the sample query answers: {e.get('message')}" for e in sample.get("errors") or ()]
    mesh = (sample.get("extensions") or {}).get("twinmesh") or {}
    for name, status in (mesh.get("subgraphs") or {}).items():
        if status.get("status") != "OK":
            found.append(f"subgraph {name} answers {status.get('status')}")
    if not mesh.get("subgraphs"):
        found.append("the sample query's answer does not say how its subgraphs did")
    data = sample.get("data") or {}
    if not (data.get("workItems") or {}).get("nodes"):
        found.append("the sample query finds no work item")
    return found


def report_of(journal: Journal, answers: Answers, *, cold_start_s: float) -> dict[str, Any]:
    """Return the report: the last line of standard output."""
    runs = Runs.of(journal, answers.assets)
    rows = [(item, runs.label(item)) for item in answers.items if item["status"] != "SUPERSEDED"]
    rows = [(item, run) for item, run in rows if run in runs.replayed]
    mine = [item_row(item, run) for item, run in rows]
    failures = failures_of(journal, answers, mine)
    counts = answers.counts
    return {
        "ok": not failures,
        "cold_start_s": round(cold_start_s, 2),
        "seed": journal.seed,
        "episode": journal.episode,
        "assets": [asset_row(name, answers.assets.get(name)) for name in sorted(journal.assets)],
        "readings": {
            "received": counts.received,
            "stored": counts.stored,
            "duplicate": counts.duplicate,
            "quarantined": counts.quarantined,
        },
        "work_items": mine,
        "wasted_energy": [row for item, run in rows if (row := energy_row(item, run)) is not None],
        "answer": dict(answers.sample),
        "notices": journal.notices,
        "failures": failures,
    }


def failed_report(sentences: Sequence[str], *, seed: int | None) -> dict[str, Any]:
    """Return the report of a run that did not get as far as answers."""
    return {
        "ok": False,
        "cold_start_s": None,
        "seed": seed,
        "assets": [],
        "readings": {"received": 0, "stored": 0, "duplicate": 0, "quarantined": 0},
        "work_items": [],
        "wasted_energy": [],
        "answer": None,
        "failures": list(sentences),
    }
