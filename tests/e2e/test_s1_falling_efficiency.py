"""S1: valve-closing runs of a pump skid each become one work item, after their onset.

The labels are read here, from the recordings; they never leave the replayer.
"""

from collections import Counter
from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.recordings


def rows(path):
    lines = path.read_text().splitlines()
    head = lines[0].split(";")
    return [dict(zip(head, line.split(";"), strict=True)) for line in lines[1:]]


def labelled_start(path):
    """Return the first stamp with the anomaly label; None for a run without one."""
    for row in rows(path):
        if float(row.get("anomaly", 0)) == 1.0:
            return datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC)
    return None


def opened(item):
    return datetime.fromisoformat(item["opened_at"])


@pytest.fixture(scope="module")
def onsets(recordings):
    return {
        str(path.relative_to(recordings)): labelled_start(path)
        for path in sorted((recordings / "skab").rglob("*.csv"))
    }


def test_runs_open_one_item_after_their_onset(replayed, onsets, capsys):
    items = [item for item in replayed.report["work_items"] if item["run"] in onsets]
    per_run = Counter(item["run"] for item in items)
    early = [i for i in items if onsets[i["run"]] and opened(i) < onsets[i["run"]]]
    faulty = [run for run, onset in onsets.items() if onset is not None]
    found = [
        run
        for run in faulty
        if per_run[run] == 1 and all(opened(i) >= onsets[run] for i in items if i["run"] == run)
    ]
    healthy = sum(per_run[run] for run, onset in onsets.items() if onset is None)
    with capsys.disabled():
        print(
            f"\nS1: {len(found)} of {len(faulty)} runs with exactly one item after the onset, "
            f"{len(early)} items before it, {healthy} on runs without a fault"
        )
    assert len(found) >= 0.75 * len(faulty)
    assert len({i["run"] for i in early}) <= 2
    assert healthy <= 1


def test_items_say_what_a_planner_needs(replayed, onsets):
    for item in replayed.report["work_items"]:
        assert item["failure_mode"]
        probability = item["probability"]
        assert 0 < probability["value"] <= 1
        assert probability["event"]
        assert probability["horizonS"] > 0
        assert probability["calibration"] == "NONE"
        for evidence in item["evidence"]:
            assert evidence.keys() >= {"signal", "expected", "observed", "since", "share"}
        assert item["trust"]["verdict"]


def test_each_run_is_a_configuration_of_its_own(replayed, onsets):
    versions = {}
    for item in replayed.report["work_items"]:
        versions.setdefault(item["config_version"], set()).add(item["run"])
    assert all(len(runs) == 1 for runs in versions.values())


def test_no_label_leaves_the_replayer(replayed):
    text = str(replayed.report).lower()
    assert "changepoint" not in text
    assert "'anomaly'" not in text


def test_the_wasted_energy_of_each_item_is_stated(replayed):
    stated = {waste["run"] for waste in replayed.report["wasted_energy"]}
    assert {item["run"] for item in replayed.report["work_items"]} <= stated
    for waste in replayed.report["wasted_energy"]:
        assert waste["lo90"] <= waste["wh"] <= waste["hi90"]
        assert waste["method"]
