"""The whole mesh under its supervisor: one start, ends of every kind, a second start."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from maintenance_twin.model.tuning import MODEL_NAME
from twinmesh_local.mesh import Mesh
from twinmesh_local.supervisor.models import PUMP_CONDITION_VERSION
from twinmesh_local.supervisor.strays import strays
from twinmesh_sdk.core.errors import ConflictError, NotFoundError, PreconditionFailedError

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(900)]
WAIT_S = 60


def until(condition, seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
    return found


def ask(mesh, token):
    """Return the gateway's answer to the smallest federated question."""
    request = urllib.request.Request(
        mesh.gateway_url,
        data=json.dumps({"query": "{ assets(first: 1) { nodes { id } } }"}).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def answers(mesh, token):
    body = ask(mesh, token)
    return body if body.get("data") and not body.get("errors") else None


def state_of(mesh, name):
    return next(row["state"] for row in mesh.status()["processes"] if row["name"] == name)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    started = Mesh(tmp_path_factory.mktemp("lifecycle") / "state")
    try:
        started.start(bound=True)
        started.await_up()
        yield started
    finally:
        started.kill()


def test_a_mesh_has_one_supervisor(mesh):
    with pytest.raises(ConflictError):
        Mesh(mesh.folder).start()


def test_a_hung_service_is_reported_and_not_restarted(mesh):
    pid = mesh.pid("energy-twin")
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: state_of(mesh, "energy-twin") == "HUNG")
        assert until(lambda: answers(mesh, mesh.token("erp-app")))
        assert mesh.pid("energy-twin") == pid
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: state_of(mesh, "energy-twin") == "READY")
    assert mesh.pid("energy-twin") == pid


def test_secrets_are_in_no_command_line(mesh):
    secrets = [s.encode() for s in mesh.state.secrets.values()]
    for pid in strays(mesh.state.tag):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read()
        assert not any(secret in line for secret in secrets), line


def test_what_the_state_folder_holds_is_for_its_owner(mesh):
    open_to_others = [
        path
        for path in mesh.folder.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o004
        and path.name in {"credentials.json", "users.json", "nats.conf", "key.pem", "java.options"}
    ]  # fmt: skip

    assert open_to_others == []


def recall(mesh, name, version):
    """Recall a model as a person would."""
    words = ["recall", name, version, "--reason", "a test of what a second start does"]
    subprocess.run(
        [sys.executable, "-m", "twinmesh_cli", "model", *words],
        env={**os.environ, "TWINMESH_STATE": str(mesh.folder)},
        check=True, timeout=WAIT_S,
    )  # fmt: skip


def test_nothing_survives_the_supervisor_and_a_second_start_keeps_the_state(mesh):
    token, ports = mesh.token("erp-app"), mesh.state.ports
    recall(mesh, MODEL_NAME, PUMP_CONDITION_VERSION)
    os.kill(mesh.status()["pid"], signal.SIGKILL)
    until(lambda: strays(mesh.state.tag) == [])
    with pytest.raises(NotFoundError):
        mesh.status()
    with pytest.raises(PreconditionFailedError):
        mesh.start(graph="neo4j")

    mesh.start(bound=True)
    mesh.await_up()

    assert mesh.state.ports == ports
    assert until(lambda: answers(mesh, token)), "a token of before is still good"
    log = (mesh.folder / "logs" / "register.log").read_text()
    assert f"{MODEL_NAME} {PUMP_CONDITION_VERSION} was released before: MODEL_STATE_RECALLED" in log


def test_down_leaves_nothing(mesh):
    assert mesh.down()

    assert strays(mesh.state.tag) == []
    assert not mesh.down()
