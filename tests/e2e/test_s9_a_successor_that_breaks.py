"""S9: a successor that would break a live consumer is refused, by name; two persons can decide."""

import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest

from twinmesh.governance.v1 import contract_pb2
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh_sdk.contract import Contract

ACTIVE, REFUSED = contract_pb2.CONTRACT_STATE_ACTIVE, contract_pb2.CONTRACT_STATE_REFUSED
PLANT = "key,name,class,valid_from\nGAUGED,GAUGED,pump,2020-01-01T00:00:00Z\n"
ASKED = '{ assetByAlias(system: "plant", value: "GAUGED") { name gaugeOld } }'
CHARTER = {
    "name": "gauge-twin",
    "kind": "domain",
    "decision": "Whether a successor may replace this version, at every test.",
    "fidelity": "Exact.",
    "sources": {"mandatory": [{"name": "assets", "from": "asset-registry"}]},
    "freshness": [{"decision": "gauging", "budget_s": 3600}],
    "on_bad_data": "It answers null.",
    "authority": {"identity": "asset-registry", "states": ["gauges"]},
    "inference": "None.",
    "governance": "None is needed, for it has no model.",
    "workflow": "The test suite, which reads the answer at every run.",
    "scale": "One asset.",
    "owner": {"team": "Gauges", "contact": "g@example.com", "on_call": "g@example.com"},
    "value": {"metric": "consumers broken", "baseline": 1, "target": 0},
    "contract": {"subgraph": "schema.graphql"},
}
HEAD = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'


class Subgraph(BaseHTTPRequestHandler):
    """Answers every entity with a value for every field it may be asked for."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        entity = {"__typename": "Asset", "gauge": "new", "gaugeOld": "old"}
        entities = [entity for _ in body.get("variables", {}).get("representations", [])]
        answer = json.dumps({"data": {"_entities": entities}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@contextmanager
def subgraph():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Subgraph)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/graphql"
    finally:
        server.shutdown()
        server.server_close()


def contract(version, *fields):
    sdl = f'{HEAD}type Asset @key(fields: "id") {{ id: ID! {" ".join(fields)} }}\n'
    return Contract.of({**CHARTER, "version": version}, sdl, b"")


@pytest.fixture
def governance(live):
    """Ask governance over gRPC, as the author."""
    with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port('governance.grpc')}") as channel:
        stub = GovernanceServiceStub(channel)
        metadata = (("authorization", f"Bearer {live.token('author')}"),)

        def call(method, request):
            return getattr(stub, method)(request, metadata=metadata, timeout=60)

        yield call


@pytest.fixture
def rest(live):
    """Ask governance over REST, as somebody; returns status and body."""

    def call(who, method, path, body=None):
        request = urllib.request.Request(
            f"{live.mesh.url('governance')}/v1{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {live.token(who)}",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return call


def test_s9_a_successor_that_breaks_a_live_consumer(live, governance, rest):
    live.import_plant(assets=PLANT)

    def push(made, url):
        bundle = made.to_pb(subgraph_url=url)
        return governance("PushContracts", pb.PushContractsRequest(bundles=[bundle])).outcomes[0]

    def answered():
        body = live.ask(ASKED).body
        return None if body.get("errors") else body["data"]["assetByAlias"]["gaugeOld"]

    def seen():
        _, found = rest("planner", "GET", "/contracts/gauge-twin/uses")
        return {(use["client"], use["coordinate"]) for use in found["uses"]}

    owner = {"team": "Finance", "contact": "fin@example.com"}
    assert rest("author", "PUT", "/clients/erp-app", owner)[0] == 204
    with subgraph() as url:
        first = push(contract("1.0.0", "gaugeOld: String"), url)
        live.until(lambda: answered() == "old")
        live.until(lambda: ("erp-app", "Asset.gaugeOld") in seen())

        compatible = push(contract("1.1.0", "gaugeOld: String", "gauge: String"), url)
        broken = contract("2.0.0", "gauge: String")
        minor = push(contract("1.2.0", "gauge: String"), url)
        refused = push(broken, url)
        still = live.until(answered)

        bundle = {
            "service": broken.service,
            "version": broken.version,
            "charter": dict(broken.charter),
            "sdl": broken.sdl,
            "subgraph_url": url,
        }
        request = {"bundle": bundle, "reason": "Finance has agreed to move on Friday"}
        asked = rest("author", "POST", "/overrides", request)[1]
        own = rest("author", "POST", f"/overrides/{asked['id']}/approve")[0]
        too_early = push(broken, url)
        second = rest("reviewer", "POST", f"/overrides/{asked['id']}/approve")
        accepted = push(broken, url)
        judged = rest("planner", "GET", "/can-i-deploy/gauge-twin/1.1.0?to=local")[1]
    entries = governance("ListAudit", pb.ListAuditRequest(page_size=200)).entries

    assert [first.state, compatible.state] == [ACTIVE, ACTIVE], compatible.findings
    assert [minor.state, refused.state, too_early.state] == [REFUSED, REFUSED, REFUSED]
    (finding,) = refused.findings
    (consumer,) = finding.consumers
    assert (finding.code, finding.subject) == ("FIELD_REMOVED", "Asset.gaugeOld")
    assert (consumer.name, consumer.team, consumer.contact) == (
        "erp-app",
        "Finance",
        "fin@example.com",
    )
    assert list(consumer.parts) == ["Asset.gaugeOld"]
    assert consumer.HasField("last_at")
    assert finding.HasField("looked_since")
    for word in ("Finance (erp-app)", "Asset.gaugeOld", "last on", "looked at since"):
        assert word in finding.message
    assert still == "old"
    assert (own, second[0]) == (403, 200)
    assert second[1]["requested_by"] != second[1]["approved_by"]
    assert accepted.state == ACTIVE
    assert "overridden until" in accepted.findings[0].message
    assert judged["verdict"] in {"yes", "no", "unknown"}
    steps = {(e.action, e.outcome) for e in entries if e.action.startswith("contract.override")}
    assert steps >= {
        ("contract.override.request", "ACCEPTED"),
        ("contract.override.approve", "REFUSED"),
        ("contract.override.approve", "ACCEPTED"),
    }
