from pathlib import Path

from twinmesh_local.supervisor.complaints import Room, complaints

WIDE = Room(Path("/state"), 10_000)


def row(name, state, detail=""):
    return {"name": name, "state": state, "detail": detail}


def test_a_mesh_that_is_well_has_no_complaints():
    rows = [row("nats", "READY"), row("migrate", "DONE"), row("plant", "WAITING")]
    assert complaints(rows, WIDE) == []


def test_each_process_that_is_not_well_is_named_with_its_reason():
    rows = [row("nats", "READY"), row("telemetry", "NOT_READY", "no nats"), row("gateway", "HUNG")]
    assert complaints(rows, WIDE) == ["telemetry is NOT_READY: no nats", "gateway is HUNG"]


def test_a_disk_that_is_nearly_full_is_named_first():
    said = complaints([row("gateway", "HUNG")], Room(Path("/state"), 12))
    assert said[0].startswith("only 12 MB are free at /state")
    assert said[1] == "gateway is HUNG"


def test_room_is_measured_where_the_folder_is(tmp_path):
    assert Room.of(tmp_path).free_mb > 0
