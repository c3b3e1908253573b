import copy

import pytest

from twinmesh_local.demo.questions import IngestCounts
from twinmesh_local.demo.report import Answers, failed_report, report_of
from twinmesh_local.plant.journal import Journal
from twinmesh_sdk.core.times import format_time, from_us

START_US = 1_795_000_000_000_000
ONSET_US = START_US + 800_000_000


def at(seconds):
    return format_time(from_us(START_US + seconds * 1_000_000))


def trust(verdict="STALE"):
    return {"verdict": verdict, "quality": "GOOD", "observedAt": at(1799), "reasons": []}


def asset(name, label="simulated/5"):
    return {
        "id": f"ast_{name}",
        "name": name,
        "assetClass": "pump",
        "configurations": [{"id": f"cfg_{name}", "label": label}],
        "signals": [{"name": "flow", "latest": {"value": 1.0, "trust": trust()}}],
        "maintenance": {"state": "DEGRADED", "trust": trust("LATE")},
    }


def item(name="P-902", opened=900, **changes):
    return {
        "id": f"wki_{name}_{opened}",
        "status": "OPEN",
        "asset": {"id": f"ast_{name}", "name": name},
        "failureMode": "LOO",
        "openedAt": at(opened),
        "closedAt": None,
        "probability": {"value": 0.9, "event": "E", "horizonS": 14400.0, "calibration": "NONE"},
        "evidence": [{"signal": "flow"}],
        "configurationVersion": f"cfg_{name}",
        "modelVersion": "1",
        "trust": trust(),
        "degradation": {
            "from": at(850),
            "to": at(1800),
            "energy": {"wastedWh": 5.0, "lo90Wh": 4.0, "hi90Wh": 6.0, "method": "baseline"},
        },
        **changes,
    }


@pytest.fixture
def journal():
    return Journal(
        run="r",
        seed=5,
        planned=100,
        assets={"P-901": START_US, "P-902": START_US},
        runs={name: [{"label": "simulated/5", "from_us": START_US}] for name in ("P-901", "P-902")},
        episode={
            "seed": 5,
            "label": "simulated/5",
            "pump": "P-902",
            "healthy": ["P-901"],
            "fault": "IMPELLER_WEAR",
            "start_us": START_US,
            "onset_us": ONSET_US,
            "end_us": START_US + 1_800_000_000,
        },
    )


def counts(received=130, stored=100, duplicate=20, quarantined=10):
    return IngestCounts(received, stored, duplicate, quarantined, 7, 7)


def answers(**changes):
    fields = {
        "before": IngestCounts(0, 0, 0, 0, 0, 0),
        "counts": counts(),
        "assets": {name: asset(name) for name in ("P-901", "P-902")},
        "items": [item()],
        "sample": {
            "data": {"workItems": {"nodes": [{"id": "wki"}]}},
            "extensions": {"twinmesh": {"subgraphs": {"assets": {"status": "OK"}}}},
        },
    }
    return Answers(**(fields | changes))


def failures(journal, **changes):
    return report_of(journal, answers(**changes), cold_start_s=12.345)["failures"]


def test_a_sound_run_has_no_failures(journal):
    report = report_of(journal, answers(), cold_start_s=12.345)
    assert report["failures"] == []
    assert report["ok"] is True
    assert (report["cold_start_s"], report["seed"]) == (12.35, 5)
    assert report["readings"] == {
        "received": 130, "stored": 100, "duplicate": 20, "quarantined": 10,
    }  # fmt: skip
    (row,) = report["work_items"]
    assert (row["asset"], row["run"], row["opened_at"]) == ("P-902", "simulated/5", at(900))
    (waste,) = report["wasted_energy"]
    assert (waste["run"], waste["lo90"], waste["wh"], waste["hi90"]) == ("simulated/5", 4, 5, 6)
    assert [a["trust"]["verdict"] for a in report["assets"]] == ["LATE", "LATE"]


def test_readings_that_do_not_add_up_fail(journal):
    assert any("is not stored" in f for f in failures(journal, counts=counts(received=131)))


def test_readings_that_never_arrived_fail(journal):
    late = IngestCounts(31, 31, 0, 0, 0, 0)
    assert failures(journal, before=late) == ["1 of 100 readings sent were not received"]
    journal.absorbed = 1
    assert failures(journal, before=late) == []


def test_a_fault_that_is_not_found_fails(journal):
    (sentence,) = failures(journal, items=[])
    assert "was not found" in sentence


def test_an_alarm_before_the_onset_fails(journal):
    found = failures(journal, items=[item(opened=700), item()])
    assert len(found) == 1
    assert "before the onset" in found[0]


def test_an_alarm_on_the_healthy_pump_fails(journal):
    (sentence,) = failures(journal, items=[item(), item("P-901")])
    assert "P-901, which is healthy" in sentence


def test_items_of_earlier_runs_and_superseded_ones_are_left_out(journal):
    old = item("P-901", configurationVersion="cfg_of_last_week")
    gone = item("P-901", status="SUPERSEDED")
    report = report_of(journal, answers(items=[item(), old, gone]), cold_start_s=1.0)
    assert [row["asset"] for row in report["work_items"]] == ["P-902"]
    assert report["ok"]


def test_an_asset_without_trust_fails(journal):
    found = {name: asset(name) for name in ("P-901", "P-902")}
    silent = copy.deepcopy(found)
    silent["P-901"]["signals"][0]["latest"] = None
    assert "no latest value" in failures(journal, assets=silent)[0]
    assert "unknown to the mesh" in failures(journal, assets=found | {"P-901": None})[0]
    absent = copy.deepcopy(found)
    absent["P-901"]["maintenance"]["trust"]["verdict"] = "ABSENT"
    assert "with its trust" in failures(journal, assets=absent)[0]


def test_an_asset_without_a_state_answers_with_its_worst_signal(journal):
    plain = asset("P-901")
    plain["maintenance"] = None
    plain["signals"].append({"name": "power", "latest": {"trust": trust("FRESH")}})
    assets = {"P-901": plain, "P-902": asset("P-902")}
    report = report_of(journal, answers(assets=assets), cold_start_s=1.0)
    assert report["assets"][0]["trust"]["verdict"] == "STALE"


@pytest.mark.parametrize(
    "sample",
    [
        {"data": None, "errors": [{"message": "no"}], "extensions": {}},
        {"data": {"workItems": {"nodes": []}}, "extensions": {}},
        {
            "data": {"workItems": {"nodes": [{"id": "w"}]}},
            "extensions": {"twinmesh": {"subgraphs": {"energy-twin": {"status": "TIMEOUT"}}}},
        },
    ],
)
def test_a_partial_sample_answer_fails(journal, sample):
    assert failures(journal, sample=sample)


def test_what_the_plant_says_went_wrong_fails(journal):
    journal.failures.append("the door refused")
    assert "the door refused" in failures(journal)


def test_a_run_that_broke_off_has_the_same_members(journal):
    whole = report_of(journal, answers(), cold_start_s=1.0)
    broken = failed_report(["no"], seed=None)
    assert set(broken) <= set(whole)
    assert broken["ok"] is False
