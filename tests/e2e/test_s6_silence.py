"""S6: silence is noticed by the clock, per decision; the gap stays visible."""

import itertools
import json
import time
import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

SIGNALS = {"flow": (0.05, "m3/s"), "pressure": (4e5, "Pa"), "power": (3e4, "W")}
HISTORY_S = 660
LIVE_S = 12

STATE = """
query ($name: String!) {
  assetByAlias(system: "plant", value: $name) {
    maintenance { state trust { verdict reasons { code } } }
    signals(name: "flow") {
      id
      trip: latest(for: "trip") { value ageS budgetS verdict }
      review: latest(for: "review") { value ageS budgetS verdict }
      energy: latest(for: "monthly-energy") { value ageS budgetS verdict }
    }
  }
}
"""
ALERTS = "{ pipelineAlerts(first: 100) { nodes { source lastMovingHop recoveredAt } } }"
HISTORY = """
query ($name: String!, $from: DateTime!, $to: DateTime!) {
  assetByAlias(system: "plant", value: $name) {
    signals(name: "flow") { history(from: $from, to: $to, step: 10) { points { at completeness } } }
  }
}
"""


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Pump:
    """One pump that measures once a second."""

    def __init__(self, live):
        self.live = live
        self.name = f"S6-{uuid.uuid4().hex[:6]}"
        self.source = self.name.lower()
        self.random = np.random.default_rng(6)
        self.sequence = 0
        since = "2020-01-01T00:00:00Z"
        signals = "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
        for name, (_, unit) in SIGNALS.items():
            signals += f"{self.name},{name},{unit},1,{self.source},{self.name},{name},{since}\n"
        imported = live.import_plant(
            assets=f"key,name,class,valid_from\n{self.name},{self.name},pump,{since}\n",
            configurations=f"asset,label,valid_from\n{self.name},as built,{since}\n",
            signals=signals,
        )
        assert imported.body["problems"] == []

    def values(self):
        return {n: m * (1 + 0.01 * self.random.standard_normal()) for n, (m, _) in SIGNALS.items()}

    def remember(self, until):
        """Send the past by CSV, up to `until`."""
        lines = ["device,signal,ts,value"]
        for second in range(HISTORY_S):
            at = until - timedelta(seconds=HISTORY_S - second)
            lines += [f"{self.name},{n},{stamp(at)},{v!r}" for n, v in self.values().items()]
        sent = self.live.send_csv(self.source, "\n".join(lines) + "\n")
        assert sent.status == 202, sent.body

    def measure(self, seconds):
        """Publish as a device does, once a second; return when the last was."""
        client = self.live.device(self.source)
        last = datetime.now(UTC)
        try:
            for _ in range(seconds):
                last = datetime.now(UTC)
                for name, value in self.values().items():
                    self.sequence += 1
                    body = {"ts": stamp(last), "value": value, "quality": "Good",
                            "seq": self.sequence}  # fmt: skip
                    topic = f"raw/acme/{self.source}/{self.name}/{name}"
                    self.live.publish(client, topic, json.dumps(body))
                time.sleep(1)
        finally:
            client.disconnect()
            client.loop_stop()
        return last

    def asked(self):
        asset = self.live.ask(STATE, {"name": self.name}).data["assetByAlias"]
        return asset["maintenance"] or {}, asset["signals"][0]


@pytest.fixture(scope="module")
def pump(live):
    pump = Pump(live)
    pump.remember(datetime.now(UTC) - timedelta(seconds=2))
    return pump


@pytest.mark.timeout(300)
def test_silence_is_noticed_by_the_clock_per_decision(live, pump):
    pump.measure(LIVE_S)
    live.until(lambda: pump.asked()[0].get("state") == "HEALTHY", timeout_s=60)
    last = pump.measure(3)
    _, signal = pump.asked()
    assert signal["trip"]["verdict"] == "FRESH"

    def stale():
        found = pump.asked()[1]
        return found if found["trip"]["verdict"] == "STALE" else None

    signal = live.until(stale, timeout_s=90)
    age_s = (datetime.now(UTC) - last).total_seconds()
    print(f"S6: STALE for the trip decision at an age of {age_s:.1f} s")
    assert 60 <= age_s <= 65
    assert signal["trip"]["budgetS"] == 60
    assert 60 <= signal["trip"]["ageS"] <= 66
    assert signal["trip"]["value"] == pytest.approx(0.05, rel=0.2)
    assert (signal["review"]["verdict"], signal["review"]["budgetS"]) == ("LATE", 14400)
    assert (signal["energy"]["verdict"], signal["energy"]["budgetS"]) == ("LATE", 86400)

    state = live.until(
        lambda: (s := pump.asked()[0]) and s["state"] == "UNKNOWN" and s, timeout_s=10
    )
    assert state["trust"]["verdict"] == "STALE"
    said = live.ask(STATE, {"name": pump.name}).said
    assert said["trust"]["verdict"] == "STALE"

    def alert():
        rows = live.ask(ALERTS).data["pipelineAlerts"]["nodes"]
        return [row for row in rows if row["source"] == pump.source]

    (raised,) = live.until(alert, timeout_s=30)
    assert raised["lastMovingHop"] in {"SOURCE", "DOOR", "STREAM", "RESOLVE", "STORE", "PUBLISH"}
    assert raised["recoveredAt"] is None

    back = pump.measure(LIVE_S)
    live.until(lambda: pump.asked()[1]["trip"]["verdict"] == "FRESH")
    live.until(lambda: pump.asked()[0]["state"] == "HEALTHY", timeout_s=30)
    live.until(lambda: all(row["recoveredAt"] for row in alert()), timeout_s=30)

    history = live.ask(
        HISTORY,
        {"name": pump.name, "from": stamp(last), "to": stamp(back)},
    ).data["assetByAlias"]["signals"][0]["history"]["points"]
    filled = [datetime.fromisoformat(point["at"]) for point in history]
    gaps = [b - a for a, b in itertools.pairwise(filled)]
    assert max(gaps) >= timedelta(seconds=50), "the gap stays visible in aggregates"
