"""Contracts: what would break is refused by name; what joins is served without a restart."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from graphql import Visitor, parse, print_ast, visit

from twinmesh.governance.v1 import contract_pb2
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh_sdk.contract import Contract

CHARTER = {
    "name": "probe-twin",
    "kind": "domain",
    "decision": "Whether the mesh takes up a second version while it runs, at every test.",
    "fidelity": "Exact.",
    "sources": {"mandatory": [{"name": "assets", "from": "asset-registry"}]},
    "freshness": [{"decision": "probing", "budget_s": 3600}],
    "on_bad_data": "It answers null.",
    "authority": {"identity": "asset-registry", "states": ["probes"]},
    "inference": "None.",
    "governance": "None is needed, for it has no model.",
    "workflow": "The test suite, which reads the answer at every run.",
    "scale": "One asset.",
    "owner": {"team": "Tests", "contact": "t@example.com", "on_call": "t@example.com"},
    "value": {"metric": "restarts of the gateway", "baseline": 1, "target": 0},
}
HEAD = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])\n'
    "type Query { probes: Int }\n"
)


def sdl(*fields):
    lines = "\n".join(f"  {field}" for field in fields)
    return f'{HEAD}type Asset @key(fields: "id") {{\n  id: ID!\n{lines}\n}}\n'


class Subgraph(BaseHTTPRequestHandler):
    """Answers every entity with the probe's fields, and counts requests."""

    asked = 0

    def do_POST(self):
        type(self).asked += 1
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        entities = [
            {"__typename": "Asset", "probe": "seen", "probeCount": 7}
            for _ in body.get("variables", {}).get("representations", [])
        ]
        answer = json.dumps({"data": {"_entities": entities, "probes": 1}}).encode()
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


@pytest.fixture(scope="module")
def governance(live):
    with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port('governance.grpc')}") as channel:
        stub = GovernanceServiceStub(channel)

        def push(*bundles, dry_run=False):
            answer = stub.PushContracts(
                pb.PushContractsRequest(bundles=bundles, dry_run=dry_run),
                metadata=(("authorization", f"Bearer {live.token('author')}"),),
                timeout=60,
            )
            return answer.outcomes

        yield push


def probe(version, url, *fields, charter=None):
    said = {**CHARTER, "version": version, "contract": {"subgraph": "schema.graphql"}}
    said.update(charter or {})
    return Contract.of(said, sdl(*fields), b"").to_pb(subgraph_url=url)


def codes(outcome):
    return {finding.code for finding in outcome.findings}


def words(outcome):
    return " ".join(f"{f.code} {f.subject} {f.message}" for f in outcome.findings)


def next_version(contract):
    major, minor, patch = contract.version.split(".")
    return f"{major}.{int(minor) + 1}.{patch}"


def changed(contract, *, sdl_text=None, descriptors=None, charter=None):
    said = {**contract.charter, "version": next_version(contract), **(charter or {})}
    return Contract.of(
        said,
        contract.sdl if sdl_text is None else sdl_text,
        contract.descriptor_set if descriptors is None else descriptors,
    )


def without_field(text, type_name, field):
    class Without(Visitor):
        removed = 0

        def leave_object_type_definition(self, node, *_):
            if node.name.value != type_name:
                return None
            kept = tuple(f for f in node.fields if f.name.value != field)
            self.removed += len(node.fields) - len(kept)
            return replace(node, fields=kept)

    without = Without()
    changed_document = visit(parse(text), without)
    assert without.removed == 1
    return print_ast(changed_document)


def test_a_breaking_proto_is_refused_by_name(live, governance):
    contract = Contract.load("maintenance_twin")
    files = FileDescriptorSet.FromString(contract.descriptor_set)
    ours = [f for f in files.file if f.package == "twinmesh.maintenance.v1" and f.message_type]
    message = next(m for f in ours for m in f.message_type if len(m.field) > 2)
    field = message.field[1].name
    del message.field[1]
    broken = changed(contract, descriptors=files.SerializeToString(deterministic=True))
    (outcome,) = governance(broken.to_pb(subgraph_url=live.mesh.url("maintenance-twin")))
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert message.name in words(outcome)
    assert field in words(outcome)


def test_a_breaking_sdl_is_refused_by_name(live, governance):
    contract = Contract.load("asset_registry")
    broken = changed(contract, sdl_text=without_field(contract.sdl, "Asset", "lifecycle"))
    (outcome,) = governance(broken.to_pb(subgraph_url=live.mesh.url("asset-registry")))
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert "Asset.lifecycle" in words(outcome)


def test_a_supergraph_that_does_not_compose_is_refused_by_name(live, governance):
    with subgraph() as url:
        (outcome,) = governance(probe("1.0.0", url, "name: Int"))
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert "Asset.name" in words(outcome)


def test_a_field_that_could_void_the_asset_is_refused(live, governance):
    with subgraph() as url:
        (outcome,) = governance(probe("1.0.0", url, "probe: String!"))
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert "Asset.probe" in words(outcome)


def test_a_domain_twin_without_a_decision_does_not_join(live, governance):
    with subgraph() as url:
        said = {**CHARTER, "version": "1.0.0", "contract": {"subgraph": "schema.graphql"}}
        del said["decision"]
        bundle = Contract.of(said, sdl("probe: String"), b"").to_pb(subgraph_url=url)
        (outcome,) = governance(bundle)
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert "decision" in words(outcome)


def test_an_event_type_of_another_service_is_refused(live, governance):
    taken = {"type": "maintenance.work_item.opened.v1",
             "message": "twinmesh.maintenance.v1.WorkItemOpened"}  # fmt: skip
    with subgraph() as url:
        said = {
            **CHARTER,
            "version": "1.0.0",
            "contract": {"subgraph": "schema.graphql", "protos": ["twinmesh.maintenance.v1"],
                         "events": [taken]},
        }  # fmt: skip
        descriptors = Contract.load("maintenance_twin").descriptor_set
        bundle = Contract.of(said, sdl("probe: String"), descriptors).to_pb(subgraph_url=url)
        (outcome,) = governance(bundle)
    assert outcome.state == contract_pb2.CONTRACT_STATE_REFUSED
    assert "maintenance.work_item.opened.v1" in words(outcome)


def test_a_second_version_is_served_without_a_restart_of_the_gateway(live, governance):
    live.import_plant(assets="key,name,class,valid_from\nPROBE,PROBE,pump,2020-01-01T00:00:00Z\n")
    before = live.mesh.pid("gateway")
    by_name = 'assetByAlias(system: "plant", value: "PROBE")'

    def asked(field):
        answer = live.ask(f"{{ {by_name} {{ name {field} }} }}")
        errors = answer.body.get("errors")
        return None if errors else answer.body["data"]["assetByAlias"][field]

    with subgraph() as url:
        (first,) = governance(probe("1.0.0", url, "probe: String"))
        assert first.state == contract_pb2.CONTRACT_STATE_ACTIVE, words(first)
        live.until(lambda: asked("probe") == "seen")
        assert asked("probeCount") is None
        (second,) = governance(probe("1.1.0", url, "probe: String", "probeCount: Int"))
        assert second.state == contract_pb2.CONTRACT_STATE_ACTIVE, words(second)
        live.until(lambda: asked("probeCount") == 7)
        assert asked("probe") == "seen"
        assert live.mesh.pid("gateway") == before
    gone = live.ask(f"{{ {by_name} {{ name probe }} }}")
    assert gone.body["data"]["assetByAlias"] == {"name": "PROBE", "probe": None}
    assert gone.said["subgraphs"]["probe-twin"]["status"] == "ERROR"


def test_pushing_again_changes_nothing(live, governance):
    with subgraph() as url:
        (again,) = governance(probe("1.1.0", url, "probe: String", "probeCount: Int"))
    assert again.state == contract_pb2.CONTRACT_STATE_ACTIVE
    (other,) = governance(probe("1.1.0", "http://127.0.0.1:1/graphql", "probe: Int"))
    assert other.state == contract_pb2.CONTRACT_STATE_REFUSED
