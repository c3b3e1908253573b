"""`kill -9` of each process in turn during the replay: the same counts, the same work items."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from twinmesh_local.mesh import Mesh
from twinmesh_sdk.core.errors import TwinError

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 900
BACK_S = 90
VICTIMS = (
    "nats",
    "telemetry",
    "tsdb",
    "postgres",
    "maintenance-twin",
    "graph",
    "asset-registry",
    "energy-twin",
    "governance",
    "gateway",
    "issuer",
    "plant",
)


def demo(state, log, seed):
    return subprocess.Popen(
        ["make", "--no-print-directory", "demo", "ONCE=1", f"SEED={seed}"],
        cwd=ROOT,
        env={**os.environ, "TWINMESH_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )


def report_of(process):
    try:
        out, _ = process.communicate(timeout=RUN_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return json.loads(out.strip().splitlines()[-1])


def row(mesh, name):
    with suppress(TwinError):
        for each in mesh.status()["processes"]:
            if each["name"] == name:
                return each
    return None


def wait_for(what, timeout_s):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.2)
    return None


def kill_each_in_turn(process, mesh):
    """Return the seconds that each process took to be ready again."""
    began = wait_for(lambda: row(mesh, "plant") and row(mesh, "plant")["state"] == "READY", 120)
    assert began, "the plant never started"
    recovered = {}
    for name in VICTIMS:
        if process.poll() is not None:
            break
        pid = row(mesh, name)["pid"]
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()

        def back(name=name, pid=pid):
            now = row(mesh, name)
            return now and now["state"] in {"READY", "DONE"} and now["pid"] != pid

        assert wait_for(back, BACK_S), f"{name} did not come back"
        recovered[name] = round(time.monotonic() - killed, 1)
    return recovered


def essence(report):
    """Return what must not depend on what was killed, nor on the ids that a new registry mints."""
    readings = report["readings"]
    return {
        "stored": readings["stored"],
        "quarantined": readings["quarantined"],
        "items": sorted(
            (item["asset"], item["run"], item["opened_at"], item["failure_mode"])
            for item in report["work_items"]
        ),
    }


def ids(report):
    return sorted(item["id"] for item in report["work_items"])


@pytest.mark.slow
@pytest.mark.timeout(2 * RUN_S)
def test_killing_each_process_changes_neither_counts_nor_work_items(simulated, tmp_path):
    undisturbed = simulated.report
    assert undisturbed["failures"] == []
    seed = undisturbed["seed"]
    with (tmp_path / "disturbed.log").open("w") as log:
        process = demo(tmp_path / "disturbed", log, seed)
        try:
            recovered = kill_each_in_turn(process, Mesh(tmp_path / "disturbed"))
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        disturbed = report_of(process)
    with (tmp_path / "again.log").open("w") as log:
        again = report_of(demo(tmp_path / "disturbed", log, seed))
    print(f"kill -9, seconds until ready again: {recovered}")
    print(f"readings {undisturbed['readings']} undisturbed, {disturbed['readings']} disturbed")
    assert set(recovered) == set(VICTIMS), "the replay ended before every process was killed"
    assert disturbed["failures"] == []
    assert essence(disturbed) == essence(undisturbed)
    assert ids(again) == ids(disturbed), "the undisturbed repeat opens nothing twice"
    assert again["readings"]["stored"] == disturbed["readings"]["stored"]
    counts = disturbed["readings"]
    assert counts["received"] == counts["stored"] + counts["duplicate"] + counts["quarantined"]
