"""What a state folder keeps, and what it refuses."""

import json
import socket

import pytest

from twinmesh_local.ports import choose
from twinmesh_local.state import State
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError, PreconditionFailedError


def test_ports_and_secrets_stay_from_one_start_to_the_next(tmp_path):
    first = State.open(tmp_path, graph=None)
    first.claim_ports(["a", "b"])
    secret = first.secret("nats/x")
    first.save()
    ports = first.ports
    del first  # as when its process ends

    second = State.open(tmp_path, graph=None)
    second.claim_ports(["a", "b"])

    assert second.ports == ports
    assert second.secret("nats/x") == secret
    assert (tmp_path / "credentials.json").stat().st_mode & 0o077 == 0


def test_a_port_that_is_taken_is_replaced(tmp_path):
    state = State.open(tmp_path, graph=None)
    state.claim_ports(["a"])
    with socket.socket() as other:
        other.bind(("127.0.0.1", state.ports["a"]))
        other.listen()
        taken = state.ports["a"]
        state.claim_ports(["a"])
        assert state.ports["a"] != taken


def test_two_meshes_that_start_together_get_different_ports(tmp_path):
    first = State.open(tmp_path / "a", graph=None)
    second = State.open(tmp_path / "b", graph=None)

    first.claim_ports(["gateway.http", "nats"])
    second.claim_ports(["gateway.http", "nats"])

    assert not set(first.ports.values()) & set(second.ports.values())


def test_no_two_names_share_a_port():
    ports = choose({str(n): 0 for n in range(50)} | {"x": 8400, "y": 8400})

    assert len(set(ports.values())) == 52


def test_another_graph_engine_is_refused_with_what_to_do(tmp_path):
    State.open(tmp_path, graph="arcadedb")

    with pytest.raises(PreconditionFailedError) as refused:
        State.open(tmp_path, graph="neo4j")

    assert "GRAPH=arcadedb" in refused.value.hint
    assert "make clean-state" in refused.value.hint
    assert State.open(tmp_path, graph=None).graph == "arcadedb"


def test_an_unknown_graph_engine_is_refused(tmp_path):
    with pytest.raises(InvalidInputError):
        State.open(tmp_path, graph="oracle")


@pytest.mark.parametrize("change", [{"format": 99}, {"release": "99.0.0"}])
def test_the_state_of_a_newer_release_is_refused(tmp_path, change):
    State.open(tmp_path, graph=None)
    path = tmp_path / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(PreconditionFailedError, match="newer"):
        State.load(tmp_path)


def test_the_state_of_an_older_release_is_taken_over(tmp_path):
    State.open(tmp_path, graph=None)
    path = tmp_path / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"release": "0.0.1"}))

    state = State.open(tmp_path, graph=None)
    state.save()

    assert json.loads(path.read_text())["release"] != "0.0.1"


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', "\xff"])
def test_an_unreadable_state_says_how_to_go_on(tmp_path, text):
    (tmp_path / "state.json").write_bytes(text.encode("latin-1"))

    with pytest.raises((InvalidInputError, NotFoundError)) as refused:
        State.load(tmp_path)

    assert refused.value.hint


def test_an_empty_folder_has_no_mesh(tmp_path):
    with pytest.raises(NotFoundError):
        State.load(tmp_path)


def test_a_secret_is_kept_when_it_is_made_not_when_the_state_is_saved_next(tmp_path):
    state = State.open(tmp_path / "state", graph=None)
    state.save()
    made = state.secret("models/key")
    assert State.load(tmp_path / "state").secret("models/key") == made
