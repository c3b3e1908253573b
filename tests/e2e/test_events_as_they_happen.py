"""Subscriptions through the gateway: one domain's event, completed by the others, by tenant."""

import json
import threading
from datetime import UTC, datetime

import httpx
import pytest

QUERY = """
subscription ($assets: [ID!]) {
  verdictChanged(assetIds: $assets, for: "review") {
    previous
    current
    decision
    signal { name unit }
  }
}
"""


@pytest.fixture(scope="module")
def asset(live):
    """Return the id of an asset with one signal, which was never read."""
    since = "2020-01-01T00:00:00Z"
    imported = live.import_plant(
        assets=f"key,name,class,valid_from\nEV-1,EV-1,pump,{since}\n",
        signals=(
            "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
            f"EV-1,flow,m3/s,60,events,EV-1,flow,{since}\n"
        ),
    )
    assert imported.status == 200, imported.body
    assert imported.body["problems"] == []

    def found():
        answer = live.ask('{ assets(filter: {nameContains: "EV-1"}) { nodes { id } } }')
        return [node["id"] for node in answer.data["assets"]["nodes"]]

    return live.until(found)[0]


class Listener(threading.Thread):
    """Listens to a subscription as `as_`; keeps what it hears."""

    def __init__(self, live, query, variables, as_):
        super().__init__(daemon=True)
        self.heard = []
        self.open = threading.Event()
        self._closing = threading.Event()
        self._request = {
            "url": live.mesh.gateway_url,
            "json": {"query": query, "variables": variables},
            "headers": {
                "authorization": f"Bearer {live.token(as_)}",
                "accept": "text/event-stream",
            },
        }

    def run(self):
        with httpx.stream("POST", timeout=30, **self._request) as response:
            assert response.status_code == 200
            self.open.set()
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    self.heard.append(json.loads(line.removeprefix("data: ")))
                if self._closing.is_set():
                    return

    def close(self):
        """Leave with the next sign of life."""
        self._closing.set()


def test_a_verdict_is_told_as_it_changes_with_the_names_that_the_registry_holds(live, asset):
    ours = Listener(live, QUERY, {"assets": [asset]}, "erp-app")
    theirs = Listener(live, QUERY, None, "outsider")
    for listener in (ours, theirs):
        listener.start()
        assert listener.open.wait(20)

    def told():
        now = datetime.now(UTC).isoformat()
        live.send_csv("events", f"device,signal,ts,value\nEV-1,flow,{now},0.5\n")
        return ours.heard

    heard = live.until(told, timeout_s=60)[0]
    for listener in (ours, theirs):
        listener.close()
    assert heard["data"]["verdictChanged"] == {
        "previous": "ABSENT",
        "current": "FRESH",
        "decision": "review",
        "signal": {"name": "flow", "unit": "m3/s"},
    }
    said = heard["extensions"]["twinmesh"]
    assert said["subgraphs"]["asset-registry"]["status"] == "OK"
    assert said["subgraphs"]["telemetry"]["status"] == "OK"
    assert theirs.heard == [], "another tenant's events are not heard"
