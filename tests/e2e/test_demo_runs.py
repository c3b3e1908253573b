"""`make demo ONCE=1`: everything accounted for, everything asked through public doors."""

import pytest

REPORT_KEYS = {
    "ok",
    "cold_start_s",
    "seed",
    "assets",
    "readings",
    "work_items",
    "wasted_energy",
    "answer",
    "failures",
}
ITEM_KEYS = {
    "asset",
    "run",
    "opened_at",
    "closed_at",
    "failure_mode",
    "probability",
    "evidence",
    "config_version",
    "model_version",
    "trust",
}


def assert_sound(run):
    report = run.report
    assert report["failures"] == [], run.progress[-4000:]
    assert run.exit_code == 0
    assert report["ok"] is True
    assert report.keys() >= REPORT_KEYS
    counts = report["readings"]
    assert counts["received"] > 0
    assert counts["received"] == counts["stored"] + counts["duplicate"] + counts["quarantined"]
    assert report["assets"]
    for item in report["work_items"]:
        assert item.keys() >= ITEM_KEYS
        assert item["evidence"]
        assert item["config_version"]
        assert item["model_version"]
    subgraphs = report["answer"]["extensions"]["twinmesh"]["subgraphs"]
    assert {status["status"] for status in subgraphs.values()} == {"OK"}
    assert report["answer"]["extensions"]["twinmesh"]["trust"]["verdict"]
    assert not report["answer"].get("errors")


def test_a_bare_checkout_shows_the_whole_vertical(simulated):
    assert_sound(simulated)


def test_the_simulated_fault_becomes_exactly_one_work_item(simulated):
    assert simulated.report["seed"] is not None
    assert len(simulated.report["work_items"]) == 1


def test_the_energy_wasted_is_stated_with_an_interval(simulated):
    for waste in simulated.report["wasted_energy"]:
        assert waste["lo90"] <= waste["wh"] <= waste["hi90"]
        assert waste["method"]


@pytest.mark.recordings
def test_the_recordings_replay_whole(replayed):
    assert_sound(replayed)


@pytest.mark.neo4j
def test_neo4j_serves_the_same_demonstration(simulated_on_neo4j):
    assert_sound(simulated_on_neo4j)
