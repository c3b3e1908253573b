"""S8: one query for many assets across all domains, while one domain hangs."""

import os
import signal
import time

import pytest

ASSETS = 200
QUERY = """
query ($count: Int!) {
  assets(filter: {nameContains: "S8-"}, first: $count) {
    nodes {
      id
      name
      signals(name: "flow") { id latest(for: "review") { value } }
      maintenance { state }
      energy { baseline { __typename } }
    }
  }
}
"""
DOMAINS = ("asset-registry", "telemetry", "maintenance-twin", "energy-twin")


@pytest.fixture(scope="module")
def plant(live):
    names = [f"S8-{n:03}" for n in range(ASSETS)]
    since = "2020-01-01T00:00:00Z"
    assets = "key,name,class,valid_from\n" + "".join(f"{n},{n},pump,{since}\n" for n in names)
    signals = "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n" + "".join(
        f"{n},flow,m3/s,60,s8,{n},flow,{since}\n" for n in names
    )
    imported = live.import_plant(assets=assets, signals=signals)
    assert imported.status == 200, imported.body
    assert imported.body["problems"] == []
    rows = "".join(f"{n},flow,2026-01-01T00:00:00Z,0.5\n" for n in names)
    before = live.counts()["stored"]
    assert live.send_csv("s8", "device,signal,ts,value\n" + rows).status == 202
    live.until(lambda: live.counts()["stored"] == before + ASSETS)
    return names


def total(metrics, name, label):
    return sum(value for key, value in metrics.items() if key.startswith(name) and label in key)


def calls(live):
    """Return, per domain, the subgraph requests and the store calls answered so far."""
    found = {}
    for service in DOMAINS:
        metrics = live.metrics(service)
        found[service] = (
            total(metrics, "twin_http_requests_total{", 'method="POST"'),
            total(metrics, "twin_store_calls_total{", 'cause="request"'),
        )
    return found


def quiet(live):
    """Wait until the import's events are dealt with, and nobody calls for another reason."""

    def unchanged():
        before = calls(live)
        time.sleep(1.5)
        return calls(live) == before

    live.until(unchanged, timeout_s=60)


def cost(live, count):
    """Return what one query for `count` assets costs, per domain."""
    quiet(live)
    before = calls(live)
    answer = live.ask(QUERY, {"count": count})
    assert len(answer.data["assets"]["nodes"]) == count
    after = calls(live)
    return {s: tuple(a - b for a, b in zip(after[s], before[s], strict=True)) for s in DOMAINS}


def test_two_hundred_assets_cost_as_many_calls_as_two(live, plant):
    cost(live, ASSETS)  # once, so that what services keep in hand is there
    few, many = cost(live, 2), cost(live, ASSETS)
    print(f"S8: calls (subgraph, store) per domain for 2 assets {few}, for {ASSETS} {many}")
    assert many == few
    for service in DOMAINS:
        subgraph, store = many[service]
        assert 1 <= subgraph <= 2, service
        assert store <= 6, service


def test_a_hung_domain_costs_its_own_fields_only(live, plant):
    pid = live.mesh.pid("energy-twin")
    os.kill(pid, signal.SIGSTOP)
    try:
        before = live.metrics("gateway")
        answer = live.ask(QUERY, {"count": ASSETS})
        after = live.metrics("gateway")
        hung = live.until(
            lambda: [
                row
                for row in live.mesh.status()["processes"]
                if row["name"] == "energy-twin" and row["state"] == "HUNG"
            ],
            timeout_s=60,
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    nodes = answer.body["data"]["assets"]["nodes"]
    assert len(nodes) == ASSETS
    assert all(node["energy"] is None for node in nodes)
    assert all(node["signals"][0]["latest"]["value"] == 0.5 for node in nodes)
    status = answer.said["subgraphs"]
    assert status["energy-twin"]["status"] == "TIMEOUT"
    assert status["energy-twin"]["ms"] <= 2 * status["energy-twin"]["deadlineMs"]
    for other in ("asset-registry", "telemetry", "maintenance-twin"):
        assert status[other]["status"] == "OK"
    name = 'twinmesh_gateway_subgraph_requests_total{status="TIMEOUT",subgraph="energy-twin"}'
    storm = after.get(name, 0) - before.get(name, 0)
    assert storm <= 2, "a hung subgraph is not asked again and again"
    assert hung[0]["pid"] == pid, "a hung process is reported, not restarted"


def test_it_answers_again_once_it_wakes(live, plant):
    def whole():
        answer = live.ask(QUERY, {"count": 2})
        return answer.said["subgraphs"]["energy-twin"]["status"] == "OK"

    live.until(whole)
