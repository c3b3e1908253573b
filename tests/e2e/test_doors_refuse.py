"""Bad input at every door: a clear error or a quarantine row; nothing lost, nothing crashed."""

import json
import time
import uuid

import pytest

from twinmesh_local.issuer_server.tokens import load_key, mint

QUARANTINE = """
{ quarantine(first: 200) { nodes { reason source name detail } } }
"""


@pytest.fixture(scope="module")
def pump(live):
    """One pump with one signal, and its source."""
    name = f"BAD-{uuid.uuid4().hex[:6]}"
    source = name.lower()
    since = "2020-01-01T00:00:00Z"
    imported = live.import_plant(
        assets=f"key,name,class,valid_from\n{name},{name},pump,{since}\n",
        signals=(
            "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
            f"{name},flow,m3/s,1,{source},{name},flow,{since}\n"
        ),
    )
    assert imported.body["problems"] == []
    return name, source


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def reasons(live, source):
    rows = live.ask(QUARANTINE).data["quarantine"]["nodes"]
    return [row["reason"] for row in rows if row["source"] == source]


@pytest.mark.parametrize(
    ("device", "payload"),
    [
        ("known", b"\xff\x00 not json"),
        ("known", b'{"ts": "today", "value": 1}'),
        ("known", json.dumps({"ts": "TS", "value": "NaN"}).encode()),
        ("known", b'{"ts": "TS", "value": NaN, "seq": 1}'),
        ("known", b'{"ts": "2999-01-01T00:00:00Z", "value": 1.0, "seq": 2}'),
        ("stranger", b'{"ts": "TS", "value": 1.0, "seq": 3}'),
    ],
    ids=["not-json", "no-time", "text-nan", "bare-nan", "future", "unknown-device"],
)
def test_a_bad_device_message_is_one_quarantine_row(live, pump, device, payload):
    name, source = pump
    before, count = len(reasons(live, source)), live.counts()
    client = live.device(source)
    try:
        target = name if device == "known" else "X-1"
        topic = f"raw/acme/{source}/{target}/flow"
        live.publish(client, topic, payload.replace(b"TS", now().encode()))
    finally:
        client.disconnect()
        client.loop_stop()
    live.until(lambda: len(reasons(live, source)) == before + 1)
    after = live.counts()
    assert after["quarantined"] == count["quarantined"] + 1
    assert after["received"] == after["stored"] + after["duplicate"] + after["quarantined"]


def test_a_good_message_after_bad_ones_is_stored(live, pump):
    name, source = pump
    before = live.counts()["stored"]
    client = live.device(source)
    try:
        good = json.dumps({"ts": now(), "value": 0.01, "quality": "Good", "seq": 9})
        live.publish(client, f"raw/acme/{source}/{name}/flow", good)
    finally:
        client.disconnect()
        client.loop_stop()
    live.until(lambda: live.counts()["stored"] == before + 1)


def test_a_body_of_ten_megabytes_is_refused(live, pump):
    _, source = pump
    answer = live.send_csv(source, "device,signal,ts,value\n" + "x" * 10_000_000)
    assert answer.status == 413
    assert answer.body["code"] == "LIMIT_EXCEEDED"
    gateway = live.http(live.mesh.gateway_url, b'{"query": "' + b"x" * 10_000_000 + b'"}')
    assert gateway.status == 413


@pytest.mark.parametrize("kind", ["expired", "forged", "wrong-audience", "wrong-issuer", "none"])
def test_a_bad_token_is_refused_everywhere(live, kind, tmp_path):
    issuer = live.mesh.url("issuer")
    key = load_key(live.mesh.folder / "issuer" / "key.pem")
    said = {
        "issuer": issuer, "client_id": "erp-app", "tenant": "acme", "roles": ["read"],
        "audience": "twinmesh", "lifetime_s": 600,
    }  # fmt: skip
    if kind == "expired":
        said["lifetime_s"] = -3600
    elif kind == "wrong-audience":
        said["audience"] = "another"
    elif kind == "wrong-issuer":
        said["issuer"] = "http://127.0.0.1:1"
    token = mint(key, **said)
    if kind == "forged":
        head, body, signature = token.split(".")
        token = ".".join((head, body, ("A" if signature[0] != "A" else "B") + signature[1:]))
    given = None if kind == "none" else token
    doors = [
        (live.mesh.gateway_url, b'{"query":"{ assets { nodes { id } } }"}', "application/json"),
        (live.mesh.url("telemetry") + "/v1/readings?source=x", b"a\n", "text/csv"),
        (live.mesh.url("asset-registry") + "/graphql", b'{"query":"{ __typename }"}',
         "application/json"),
        (live.mesh.url("asset-registry") + "/v1/plants:import", b"{}", "application/json"),
    ]  # fmt: skip
    for url, sent, content_type in doors:
        answer = live.http(url, sent, as_=None, token=given, content_type=content_type)
        assert answer.status == 401, (url, answer)
        assert "UNAUTHENTICATED" in json.dumps(answer.body)


def test_everything_still_runs(live):
    rows = live.mesh.status()["processes"]
    assert {row["state"] for row in rows} <= {"READY", "DONE"}
    assert {row["restarts"] for row in rows} == {0}
