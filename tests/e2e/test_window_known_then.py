"""README's question: which configuration was active while it degraded, as known at two times?

Also S2's configuration half: a configuration recorded late is true from its own time on, and the
earlier knowledge can still be had.
"""

import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "docs/queries/work-item-window.graphql"
ROWS = 1500
ONSET_ROW = 800

FIND = """
query ($name: String!) {
  assetByAlias(system: "plant", value: $name) {
    id
    maintenance { state workItems(first: 5) { nodes { id status } } }
  }
}
"""
PERIOD = """
query ($id: ID!, $from: DateTime!, $to: DateTime!, $then: DateTime!) {
  asset(id: $id) {
    period(from: $from, to: $to) {
      configurations { label recordedAt }
      then: configurations(knownAt: $then) { label }
    }
  }
}
"""
ITEMS = """
query ($name: String!) {
  assetByAlias(system: "plant", value: $name) {
    maintenance { workItems(first: 5) { nodes { id status configurationVersion openedAt } } }
  }
}
"""
ACTIVE = """
query ($name: String!, $at: DateTime!, $then: DateTime!) {
  assetByAlias(system: "plant", value: $name) {
    now: configuration(asOf: $at) { label recordedBy recordedAt }
    then: configuration(asOf: $at, knownAt: $then) { label }
  }
}
"""


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def readings(name, first):
    """Return a pump's readings, one row a second; its inlet closes from ONSET_ROW on."""
    random = np.random.default_rng(2)
    noise = 1 + 0.005 * random.standard_normal((ROWS, 3))
    closing = np.clip((np.arange(ROWS) - ONSET_ROW) / 200, 0, 1)
    flow = 0.05 * (1 - 0.4 * closing) * noise[:, 0]
    pressure = 4e5 * (1 - 0.1 * closing) * noise[:, 1]
    power = 3e4 * (1 - 0.05 * closing) * noise[:, 2]
    lines = ["device,signal,ts,value"]
    for row in range(ROWS):
        at = stamp(first + timedelta(seconds=row))
        lines += [
            f"{name},flow,{at},{float(flow[row])!r}",
            f"{name},pressure,{at},{float(pressure[row])!r}",
            f"{name},power,{at},{float(power[row])!r}",
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def degraded(live):
    """A pump that degrades; its work item as the sample query answers it."""
    name = f"WIN-{uuid.uuid4().hex[:6]}"
    source = name.lower()
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ROWS + 60)
    since = "2020-01-01T00:00:00Z"
    signals = "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n" + "".join(
        f"{name},{signal},{unit},1,{source},{name},{signal},{since}\n"
        for signal, unit in (("flow", "m3/s"), ("pressure", "Pa"), ("power", "W"))
    )
    imported = live.import_plant(
        assets=f"key,name,class,valid_from\n{name},{name},pump,{since}\n",
        configurations=f"asset,label,valid_from\n{name},impeller 210 mm,{since}\n",
        signals=signals,
    )
    assert imported.body["problems"] == []
    sent = live.send_csv(source, readings(name, first))
    assert sent.status == 202, sent.body

    def found():
        asset = live.ask(FIND, {"name": name}).data["assetByAlias"]
        items = (asset["maintenance"] or {"workItems": {"nodes": []}})["workItems"]["nodes"]
        return (asset["id"], items[0]["id"]) if items else None

    asset_id, item_id = live.until(found, timeout_s=60)
    return name, asset_id, item_id, first


def test_the_window_names_the_configurations_as_known_at_two_times(live, degraded):
    name, asset_id, item_id, first = degraded
    then = stamp(datetime.now(UTC))
    sample = SAMPLE.read_text()
    before = live.ask(sample, {"filter": {"assetIds": [asset_id]}, "knownThen": then})
    (item,) = before.data["workItems"]["nodes"]
    assert item["id"] == item_id
    window = item["degradation"]
    onset = first + timedelta(seconds=ONSET_ROW)
    assert datetime.fromisoformat(item["openedAt"]) > onset
    assert [c["label"] for c in window["configurations"]] == ["impeller 210 mm"]
    assert item["trust"]["verdict"]
    assert before.said["trust"]["verdict"]

    trimmed_at = datetime.fromisoformat(window["from"]) + timedelta(seconds=60)
    time.sleep(0.01)
    recorded = live.import_plant(
        as_="author",
        configurations=f"asset,label,valid_from\n{name},impeller 195 mm,{stamp(trimmed_at)}\n",
    )
    assert recorded.status == 200, recorded.body

    period = {"id": asset_id, "from": window["from"], "to": window["to"], "then": then}
    answer = live.ask(PERIOD, period).data["asset"]["period"]
    assert [c["label"] for c in answer["configurations"]] == ["impeller 210 mm", "impeller 195 mm"]
    assert [c["label"] for c in answer["then"]] == ["impeller 210 mm"]

    at = stamp(trimmed_at + timedelta(seconds=1))
    active = live.ask(ACTIVE, {"name": name, "at": at, "then": then}).data["assetByAlias"]
    assert active["now"]["label"] == "impeller 195 mm"
    assert active["now"]["recordedBy"]
    assert active["then"]["label"] == "impeller 210 mm"
    recorded_at = active["now"]["recordedAt"]
    again = live.ask(ACTIVE, {"name": name, "at": at, "then": recorded_at}).data["assetByAlias"]
    assert again["then"]["label"] == "impeller 195 mm", "known from its recordedAt on"


def test_the_decision_as_known_then_can_still_be_had(live, degraded):
    name, _, item_id, _ = degraded
    then = stamp(datetime.now(UTC))
    known = live.ask(ITEMS, {"name": name}, extensions={"twinmesh": {"knownAt": then}})
    assert known.said["knownAt"] == then
    items = known.data["assetByAlias"]["maintenance"]["workItems"]["nodes"]
    assert item_id in {item["id"] for item in items}


def test_the_whole_request_can_be_asked_as_of_an_earlier_time(live, degraded):
    name, _, _, first = degraded
    early = stamp(first + timedelta(seconds=ONSET_ROW // 2))
    answer = live.ask(ITEMS, {"name": name}, extensions={"twinmesh": {"asOf": early}})
    assert answer.said["asOf"] == early
    assert answer.data["assetByAlias"]["maintenance"]["workItems"]["nodes"] == []


def test_the_trace_of_a_work_item_is_kept(live, degraded):
    _, _, item_id, _ = degraded
    query = (
        "query ($f: WorkItemFilter) { workItems(filter: $f, first: 5) { nodes { id traceId } } }"
    )
    nodes = live.ask(query, {"f": {"assetIds": [degraded[1]]}}).data["workItems"]["nodes"]
    trace = next(node["traceId"] for node in nodes if node["id"] == item_id)
    assert len(trace) == 32

    def services():
        found = set()
        for path in (live.mesh.folder / "traces").glob("*.jsonl"):
            if trace in path.read_text():
                found.add(path.stem)
        return found if {"telemetry", "maintenance-twin"} <= found else None

    live.until(services, timeout_s=20)
