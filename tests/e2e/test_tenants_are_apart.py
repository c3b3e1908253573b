"""Tenant B finds nothing of tenant A's: GraphQL, gRPC, HTTP, NATS, MQTT."""

import asyncio
import json
import time
import uuid

import grpc
import nats
import pytest
from nats import errors as nats_errors

from twinmesh.assets.v1 import asset_registry_service_pb2 as assets
from twinmesh.assets.v1.asset_registry_service_pb2_grpc import AssetRegistryServiceStub
from twinmesh.telemetry.v1 import telemetry_service_pb2 as telemetry
from twinmesh.telemetry.v1.telemetry_service_pb2_grpc import TelemetryServiceStub
from twinmesh.twin.v1 import twin_service_pb2 as twin
from twinmesh.twin.v1.twin_service_pb2_grpc import TwinServiceStub


@pytest.fixture(scope="module")
def secret(live):
    """Tenant acme's pump: its name, asset id, signal id and source."""
    name = f"OURS-{uuid.uuid4().hex[:6]}"
    source = name.lower()
    since = "2020-01-01T00:00:00Z"
    imported = live.import_plant(
        assets=f"key,name,class,valid_from\n{name},{name},pump,{since}\n",
        configurations=f"asset,label,valid_from\n{name},as built,{since}\n",
        signals=(
            "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
            f"{name},flow,m3/s,60,{source},{name},flow,{since}\n"
        ),
    )
    assert imported.body["problems"] == []
    sent = live.send_csv(source, f"device,signal,ts,value\n{name},flow,2026-01-01T00:00:00Z,0.5\n")
    assert sent.status == 202, sent.body
    query = """query ($name: String!) { assetByAlias(system: "plant", value: $name) {
        id signals { id latest(for: "monthly-energy") { value } } } }"""

    def seen():
        asset = live.ask(query, {"name": name}).data["assetByAlias"]
        return asset if asset["signals"][0]["latest"] else None

    asset = live.until(seen)
    return name, asset["id"], asset["signals"][0]["id"], source


ALL = """
query ($id: ID!, $name: String!) {
  asset(id: $id) { id name signals { id } maintenance { state } energy { __typename } }
  assetByAlias(system: "plant", value: $name) { id }
  assets(first: 200) { nodes { id name } }
  workItems(first: 200) { nodes { id } }
  quarantine(first: 200) { nodes { source } }
}
"""


def test_graphql_answers_not_found(live, secret):
    name, asset_id, signal_id, source = secret
    ours = live.ask(ALL, {"id": asset_id, "name": name})
    assert ours.body["data"]["asset"]["name"] == name
    theirs = live.ask(ALL, {"id": asset_id, "name": name}, as_="outsider")
    assert theirs.body["data"]["asset"] is None
    assert theirs.body["data"]["assetByAlias"] is None
    text = json.dumps(theirs.body["data"])
    for word in (name, asset_id, signal_id, source):
        assert word not in text


def test_entities_by_key_answer_nothing(live, secret):
    _, asset_id, signal_id, _ = secret
    query = """query ($r: [_Any!]!) { _entities(representations: $r) {
        ... on Asset { id maintenance { state } } } }"""
    url = live.mesh.url("maintenance-twin") + "/graphql"
    body = {"query": query, "variables": {"r": [{"__typename": "Asset", "id": asset_id}]}}
    theirs = live.http(url, json.dumps(body).encode(), as_="outsider").body
    found = (theirs.get("data") or {}).get("_entities") or [None]
    assert found[0] is None or found[0]["maintenance"] is None
    signals = """query ($r: [_Any!]!) { _entities(representations: $r) {
        ... on Signal { id latest(for: "monthly-energy") { value } } } }"""
    body = {"query": signals, "variables": {"r": [{"__typename": "Signal", "id": signal_id}]}}
    url = live.mesh.url("telemetry") + "/graphql"
    theirs = live.http(url, json.dumps(body).encode(), as_="outsider").body
    found = (theirs.get("data") or {}).get("_entities") or [None]
    assert found[0] is None or found[0]["latest"] is None


def test_a_tenant_named_in_a_header_is_not_believed(live, secret):
    _, asset_id, _, _ = secret
    body = json.dumps({"query": "query ($id: ID!) { asset(id: $id) { id } }",
                       "variables": {"id": asset_id}}).encode()  # fmt: skip
    answer = live.http(live.mesh.gateway_url, body, as_="outsider", headers={"tm-tenant": "acme"})
    assert answer.status == 403
    assert "FORBIDDEN" in json.dumps(answer.body)


def test_grpc_answers_nothing(live, secret):
    name, asset_id, signal_id, _ = secret
    as_outsider = (("authorization", f"Bearer {live.token('outsider')}"),)
    with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port('asset-registry.grpc')}") as channel:
        registry = AssetRegistryServiceStub(channel)
        found = registry.GetAssets(
            assets.GetAssetsRequest(asset_ids=[asset_id]), metadata=as_outsider, timeout=10
        )
        assert not found.assets
        resolved = registry.ResolveAliases(
            assets.ResolveAliasesRequest(keys=[assets.AliasKey(system="plant", value=name)]),
            metadata=as_outsider,
            timeout=10,
        )
        assert not resolved.aliases
        listed = registry.ListSignals(
            assets.ListSignalsRequest(signal_ids=[signal_id]), metadata=as_outsider, timeout=10
        )
        assert not listed.signals
        with pytest.raises(grpc.RpcError) as refused:
            registry.GetAssets(assets.GetAssetsRequest(asset_ids=[asset_id]), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port('telemetry.grpc')}") as channel:
        latest = TelemetryServiceStub(channel).GetLatest(
            telemetry.GetLatestRequest(signal_ids=[signal_id]), metadata=as_outsider, timeout=10
        )
        assert not [v for v in latest.values if v.trust.observed_at.seconds]
    for service in ("asset-registry", "telemetry", "maintenance-twin", "energy-twin"):
        with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port(f'{service}.grpc')}") as channel:
            states = TwinServiceStub(channel).GetStates(
                twin.GetStatesRequest(asset_ids=[asset_id]), metadata=as_outsider, timeout=10
            )
            assert not states.states


def test_http_doors_write_to_ones_own_tenant_only(live, secret):
    name, _, _, source = secret
    refused = live.send_csv(
        source, f"device,signal,ts,value\n{name},flow,2026-01-02T00:00:00Z,9\n", as_="outsider"
    )
    assert refused.status == 403
    twin_of_ours = live.import_plant(
        as_="outsider",
        assets=f"key,name,class,valid_from\n{name},THEIRS,pump,2020-01-01T00:00:00Z\n",
    )
    assert twin_of_ours.status == 200
    ours = live.ask(
        'query ($n: String!) { assetByAlias(system: "plant", value: $n) { name } }', {"n": name}
    )
    assert ours.data["assetByAlias"]["name"] == name


def test_mqtt_credentials_are_bound_to_tenant_and_source(live, secret):
    name, _, _, source = secret
    before = live.counts()
    stranger = live.device("theirs", tenant="globex")
    try:
        payload = json.dumps({"ts": time.time(), "value": 1.0, "seq": 1})
        for topic in (f"raw/acme/{source}/{name}/flow", f"raw/globex/{source}/{name}/flow"):
            stranger.publish(topic, payload, qos=0)
        got = []
        stranger.on_message = lambda *a: got.append(a)
        stranger.subscribe("raw/#")
        stranger.subscribe("tm/#")
        ours = live.device(source)
        live.publish(
            ours,
            f"raw/acme/{source}/{name}/flow",
            json.dumps(
                {"ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "value": 0.25, "seq": 2}
            ),
        )
        ours.disconnect()
        ours.loop_stop()
        live.until(lambda: live.counts()["received"] == before["received"] + 1)
    finally:
        stranger.disconnect()
        stranger.loop_stop()
    assert got == []


async def test_event_readers_hear_their_own_tenant_only(live, secret):
    user, password = live.mesh.enrol_reader(tenant="globex")
    problems = []

    async def failed(error):
        problems.append(error)

    connection = await nats.connect(
        f"nats://127.0.0.1:{live.mesh.port('nats')}", user=user, password=password,
        inbox_prefix=f"_INBOX_{user}", error_cb=failed,
    )  # fmt: skip
    try:
        for subject in ("tm.acme.>", "tele.>", "raw.>", "$KV.>", "$MQTT.>"):
            problems.clear()
            await connection.subscribe(subject)
            await connection.flush()
            for _ in range(50):
                if problems:
                    break
                await asyncio.sleep(0.05)
            assert "permissions violation" in str(problems[0]).lower(), subject
        for stream in ("RAW", "TELE", "EVENTS"):
            with pytest.raises((nats_errors.TimeoutError, nats_errors.NoRespondersError)):
                await connection.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=0.5)
    finally:
        await connection.close()


async def test_nats_refuses_whoever_has_no_credentials(live):
    with pytest.raises((nats_errors.Error, OSError)):
        await nats.connect(
            f"nats://127.0.0.1:{live.mesh.port('nats')}", allow_reconnect=False,
            max_reconnect_attempts=0, connect_timeout=2,
        )  # fmt: skip
