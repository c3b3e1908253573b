"""The registry as its callers meet it: gRPC, GraphQL, HTTP and events, on the default stack."""

import asyncio
from dataclasses import dataclass

import grpc
import httpx
import pytest

from asset_registry.app import build
from asset_registry.settings import AssetRegistrySettings
from twinmesh.assets.v1 import asset_registry_service_pb2 as pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as pb_grpc
from twinmesh.assets.v1 import events_pb2, model_pb2
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_pb_grpc
from twinmesh_local.testing import new_tenant
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.core.times import format_time, from_us
from twinmesh_sdk.testing.mesh import register, running, settings_for
from twinmesh_sdk.testing.servers import issuer_server, nats_server
from twinmesh_sdk.wire import moment_us

ROLES = ("read", "assets.write")
CALLS = 'twin_store_calls_total{cause="request",store="graph"}'


@dataclass
class Door:
    """A running registry, and how a caller of one tenant reaches it."""

    service: object
    bus: MeshNats
    issuer: object
    tenant: str

    def token(self, tenant=None, roles=ROLES):
        return self.issuer.token(tenant=tenant or self.tenant, roles=roles)

    def metadata(self, tenant=None, roles=ROLES, **headers):
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return [("authorization", f"Bearer {self.token(tenant, roles)}"), *named]

    def stub(self, kind=pb_grpc.AssetRegistryServiceStub):
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.service.grpc_port}")
        return kind(self.channel)

    async def post(self, path, body, *, tenant=None, roles=ROLES, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.service.http_port}", timeout=20
        ) as client:
            return await client.post(
                path,
                json=body,
                headers={"authorization": f"Bearer {self.token(tenant, roles)}"} | named,
            )

    async def ask(self, query, variables=None, **kwargs):
        answer = await self.post("/graphql", {"query": query, "variables": variables}, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def door(arcadedb, tmp_path):
    async with (
        nats_server(tmp_path / "nats") as nats,
        issuer_server() as issuer,
        MeshNats(nats.url, name="test") as bus,
    ):
        await ensure_streams(bus)
        settings = settings_for(
            AssetRegistrySettings,
            nats_url=nats.url,
            issuer=issuer.url,
            neo4j_uri=arcadedb.uri,
            neo4j_user=arcadedb.user,
            neo4j_password=arcadedb.password,
            neo4j_database=arcadedb.database,
        )
        service = build(settings)
        await register(bus, service.contract)
        async with running(service):
            yield Door(service, bus, issuer, new_tenant())


def plant(pumps):
    ids = [f"P-{n:03d}" for n in range(pumps)]
    return {
        "assets": "key,name,class,valid_from\nSITE,Works,site,2026-01-01T00:00:00Z\n"
        + "".join(f"{key},Pump {key},pump,2026-01-01T00:00:00Z\n" for key in ids),
        "relations": "from,kind,to,valid_from\n"
        + "".join(f"{key},LOCATED_IN,SITE,2026-01-01T00:00:00Z\n" for key in ids),
        "configurations": "asset,label,attributes,valid_from\n"
        + "".join(f'{key},v1,"{{""impeller_mm"":210}}",2026-01-01T00:00:00Z\n' for key in ids),
        "signals": "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
        + "".join(f"{key},flow,L/min,1,plc,{key},flow,2026-01-01T00:00:00Z\n" for key in ids),
    }


ENTITIES = """
query ($representations: [_Any!]!) {
  _entities(representations: $representations) {
    ... on Asset {
      id name assetClass lifecycle
      aliases { system value }
      relations(kind: LOCATED_IN, first: 5) { nodes { to { name } } pageInfo { hasNextPage } }
      configuration { label attributes recordedBy }
      signals { name unit sourceUnit asset { name } }
    }
    ... on AssetPeriod { configurations { label } asset { name } }
    ... on Signal { name unit }
  }
}
"""


async def test_two_hundred_assets_cost_a_constant_number_of_store_calls(door):
    imported = await door.post("/v1/plants:import", {"tables": plant(200)})
    assert imported.status_code == 200, imported.text
    assert imported.json()["changed"]["assets"] == 201
    listed = await door.ask(
        '{ assets(filter: {assetClass: "pump"}, first: 200) { nodes { id signals { id } } } }'
    )
    nodes = listed["data"]["assets"]["nodes"]
    assert len(nodes) == 200

    counted = []
    for count in (1, 200):
        representations = [{"__typename": "Asset", "id": node["id"]} for node in nodes[:count]]
        representations += [
            {"__typename": "Signal", "id": node["signals"][0]["id"]} for node in nodes[:count]
        ]
        representations += [
            {
                "__typename": "AssetPeriod",
                "assetId": node["id"],
                "from": f"2026-01-01T00:00:{n % 60:02d}Z",
                "to": "2026-02-01T00:00:00Z",
            }
            for n, node in enumerate(nodes[:count])
        ]
        queries = await queries_of(door)
        answer = await door.ask(ENTITIES, {"representations": representations})
        assert "errors" not in answer, answer["errors"][:2]
        entities = answer["data"]["_entities"]
        assert len(entities) == 3 * count
        assert entities[0]["relations"]["nodes"] == [{"to": {"name": "Works"}}]
        assert entities[0]["configuration"]["attributes"] == {"impeller_mm": 210}
        assert entities[0]["signals"][0]["unit"] == "m3/s"
        assert entities[-1]["configurations"] == [{"label": "v1"}]
        counted.append(await queries_of(door) - queries)

    assert counted[0] == counted[1], counted
    print(f"store queries for 1 and for 200 assets: {counted}")


async def queries_of(door):
    """How many queries the service has sent to the graph, by its own metric."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{door.service.http_port}/metrics")).text
    (line,) = [row for row in text.splitlines() if row.startswith(CALLS)]
    return float(line.split()[1])


def stamp(text):
    message = pb.RegisterAssetRequest().valid_from
    message.FromJsonString(text)
    return message


async def register_pump(door, stub, name="P-101", **kwargs):
    response = await stub.RegisterAsset(
        pb.RegisterAssetRequest(
            name=name,
            asset_class="pump",
            valid_from=stamp("2026-03-01T00:00:00Z"),
            aliases=[model_pb2.Alias(system="plant", value=name)],
        ),
        metadata=door.metadata(**kwargs),
    )
    return response.asset.asset_id


async def configure(door, stub, asset_id, label, valid_from, **kwargs):
    request = pb.RecordConfigurationRequest(
        asset_id=asset_id, label=label, valid_from=stamp(valid_from)
    )
    request.attributes.update({"impeller_mm": 210 if label == "v1" else 195})
    return await stub.RecordConfiguration(request, metadata=door.metadata(**kwargs))


async def test_a_configuration_entered_late_is_known_from_then_on_at_every_door(door):
    """S2: the impeller was trimmed at 18:40, and that was entered later."""
    stub = door.stub()
    asset_id = await register_pump(door, stub)
    first = await configure(door, stub, asset_id, "v1", "2026-03-01T00:00:00Z")
    second = await configure(door, stub, asset_id, "v2", "2026-03-01T18:40:00Z")
    again = await configure(door, stub, asset_id, "v2", "2026-03-01T18:40:00Z")
    assert (first.changed, second.changed, again.changed) == (True, True, False)
    known = [
        format_time(from_us(moment_us(r.configuration.interval.recorded_from)))
        for r in (first, second)
    ]

    answer = await door.ask(
        """query ($id: ID!, $then: DateTime!, $now: DateTime!) {
          asset(id: $id, asOf: "2026-03-01T18:45:00Z") {
            then: configuration(knownAt: $then) { label recordedBy }
            now: configuration(knownAt: $now) { label attributes validFrom recordedAt }
            period(from: "2026-03-01T18:00:00Z", to: "2026-03-01T19:00:00Z") {
              then: configurations(knownAt: $then) { label }
              now: configurations(knownAt: $now) { label validTo }
            }
          }
        }""",
        {"id": asset_id, "then": known[0], "now": known[1]},
    )
    asset = answer["data"]["asset"]
    assert asset["then"] == {"label": "v1", "recordedBy": "planner"}
    assert asset["now"] == {
        "label": "v2",
        "attributes": {"impeller_mm": 195},
        "validFrom": "2026-03-01T18:40:00.000000Z",
        "recordedAt": known[1],
    }
    assert asset["period"]["then"] == [{"label": "v1"}]
    assert asset["period"]["now"] == [
        {"label": "v1", "validTo": "2026-03-01T18:40:00.000000Z"},
        {"label": "v2", "validTo": None},
    ]

    for known_at, label in zip(known, ("v1", "v2"), strict=True):
        found = await stub.ListConfigurations(
            pb.ListConfigurationsRequest(asset_ids=[asset_id]),
            metadata=door.metadata(tm_as_of="2026-03-01T18:45:00Z", tm_known_at=known_at),
        )
        assert [c.label for c in found.configurations] == [label]
        whole = await stub.ListConfigurations(
            pb.ListConfigurationsRequest(
                asset_ids=[asset_id],
                start=stamp("1900-01-01T00:00:00Z"),
                end=stamp("9999-12-31T00:00:00Z"),
            ),
            metadata=door.metadata(tm_known_at=known_at),
        )
        assert whole.configurations[-1].label == label
        headers = {"tm_as_of": "2026-03-01T18:45:00Z", "tm_known_at": known_at}
        by_header = await door.ask(
            "query ($id: ID!) { asset(id: $id) { configuration { label } } }",
            {"id": asset_id},
            **headers,
        )
        assert by_header["data"]["asset"]["configuration"] == {"label": label}


async def test_changes_are_announced_once_and_in_order(door):
    heard, complete = [], asyncio.Event()

    async def hear(message):
        heard.append(message)
        if len(heard) == 4:
            complete.set()

    await door.bus.client.subscribe(f"tm.{door.tenant}.>", cb=hear)
    stub = door.stub()
    asset_id = await register_pump(door, stub)
    for label in ("v1", "v1", "v2"):
        await configure(door, stub, asset_id, label, f"2026-03-01T0{label[1]}:00:00Z")
    await asyncio.wait_for(complete.wait(), 10)

    assert [m.subject.removeprefix(f"tm.{door.tenant}.") for m in heard] == [
        "assets.asset.registered.v1",
        "assets.alias.assigned.v1",
        "assets.configuration.recorded.v1",
        "assets.configuration.recorded.v1",
    ]
    assert len({m.headers["ce-id"] for m in heard}) == 4
    assert {m.headers["ce-subject"] for m in heard} == {asset_id}
    last = events_pb2.ConfigurationRecorded.FromString(heard[-1].data)
    assert last.configuration.label == "v2"
    assert len(last.superseded_ids) == 1


async def test_a_name_is_resolved_unless_it_has_two_candidates(door):
    stub = door.stub()
    one, other = await register_pump(door, stub), await register_pump(door, stub, "P-102")
    for asset_id in (one, other):
        await stub.AssignAlias(
            pb.AssignAliasRequest(
                alias=model_pb2.Alias(
                    system="cmms", value="CW-4", asset_id=asset_id, confidence_ratio=0.9
                )
            ),
            metadata=door.metadata(),
        )

    found = await stub.ResolveAliases(
        pb.ResolveAliasesRequest(
            keys=[
                pb.AliasKey(system="plant", value="P-101"),
                pb.AliasKey(system="cmms", value="CW-4"),
                pb.AliasKey(system="cmms", value="nobody"),
            ]
        ),
        metadata=door.metadata(),
    )
    asked = await door.ask(
        """{ a: assetByAlias(system: "plant", value: "P-101") { id }
             b: assetByAlias(system: "cmms", value: "CW-4") { id }
             c: assetByAlias(system: "cmms", value: "nobody") { id } }"""
    )

    assert [a.asset_id for a in found.aliases] == [one]
    assert [a.value for a in found.ambiguous] == ["CW-4"]
    assert asked["data"] == {"a": {"id": one}, "b": None, "c": None}
    assert [e["extensions"]["code"] for e in asked["errors"]] == ["PRECONDITION_FAILED"]


async def test_another_tenant_finds_nothing_at_any_door(door):
    stub = door.stub()
    asset_id = await register_pump(door, stub)
    stranger = {"tenant": new_tenant()}

    assets = await stub.GetAssets(
        pb.GetAssetsRequest(asset_ids=[asset_id]), metadata=door.metadata(**stranger)
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await configure(door, stub, asset_id, "v1", "2026-03-01T00:00:00Z", **stranger)
    answer = await door.ask(
        """query ($id: ID!, $r: [_Any!]!) {
          asset(id: $id) { id } assetByAlias(system: "plant", value: "P-101") { id }
          assets { nodes { id } } _entities(representations: $r) { ... on Asset { id } } }""",
        {"id": asset_id, "r": [{"__typename": "Asset", "id": asset_id}]},
        **stranger,
    )

    assert not assets.assets
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert answer["data"] == {
        "asset": None,
        "assetByAlias": None,
        "assets": {"nodes": []},
        "_entities": [None],
    }


async def test_signals_are_paged_by_source(door):
    answer = await door.post("/v1/plants:import", {"tables": plant(5)})
    assert answer.status_code == 200, answer.text
    stub, seen, token = door.stub(), [], ""
    while True:
        page = await stub.ListSignals(
            pb.ListSignalsRequest(source="plc", page_size=2, page_token=token),
            metadata=door.metadata(),
        )
        seen += [(s.device, s.unit, s.cadence_s) for s in page.signals]
        if not (token := page.next_page_token):
            break

    assert sorted(seen) == [(f"P-{n:03d}", "m3/s", 1.0) for n in range(5)]


async def test_the_twin_says_what_it_is_and_how_assets_stand(door):
    stub = door.stub()
    asset_id = await register_pump(door, stub)
    await configure(door, stub, asset_id, "v1", "2026-03-01T00:00:00Z")
    twin = door.stub(twin_pb_grpc.TwinServiceStub)

    described = await twin.Describe(twin_pb.DescribeRequest(), metadata=door.metadata())
    states = await twin.GetStates(
        twin_pb.GetStatesRequest(asset_ids=[asset_id]), metadata=door.metadata()
    )

    assert described.contract_digest == door.service.contract.digest
    assert described.charter["kind"] == "foundation"
    assert [(s.asset_id, s.state, s.attributes["configuration"]) for s in states.states] == [
        (asset_id, "IN_SERVICE", "v1")
    ]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"pumps": "key\n"}, "unknown table"),
        ({"assets": "key,name\nP-1,x\n"}, "lacks the column class"),
        ({"assets": "key,name,class,color\nP-1,x,pump,red\n"}, "unknown column"),
        ({"assets": "key,name,class\nP-1,,pump\n"}, "assets line 2: name is empty"),
        (
            {"assets": "key,name,class\nP-1,x,pump\nP-2,y,pump,z\n"},
            "assets line 3: the number of cells",
        ),
        ({"assets": 'key,name,class\n"P-1,x,pump\n'}, "assets line"),
        ({"aliases": "asset,system,value\nP-9,cmms,x\n"}, "no asset is called 'P-9'"),
        ({}, "no table has any row"),
    ],
)
async def test_a_bad_table_is_refused_with_its_line(door, tables, message):
    answer = await door.post("/v1/plants:import", {"tables": tables})

    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "INVALID_INPUT"
    assert message in answer.json()["detail"]


async def test_bad_requests_get_a_clear_error_at_every_door(door):
    stub = door.stub()
    asset_id = await register_pump(door, stub)
    cases = [
        (stub.RegisterAsset, pb.RegisterAssetRequest(name="x", asset_class="")),
        (stub.RegisterAsset, pb.RegisterAssetRequest(name="\n", asset_class="pump")),
        (stub.GetAssets, pb.GetAssetsRequest(asset_ids=["nonsense"])),
        (stub.GetAssets, pb.GetAssetsRequest(asset_ids=[asset_id] * 1001)),
        (stub.ListAssets, pb.ListAssetsRequest(page_size=5000)),
        (
            stub.DefineSignal,
            pb.DefineSignalRequest(
                signal=model_pb2.SignalDefinition(
                    asset_id=asset_id,
                    name="flow",
                    source_unit="L/min",
                    unit="K",
                    cadence_s=1,
                    source="plc",
                    device="d",
                    source_signal="s",
                )
            ),
        ),
    ]
    for call, request in cases:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=door.metadata())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, request
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetAssets(pb.GetAssetsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    answer = await door.ask(
        'query ($r: [_Any!]!) { asset(id: "x") { id } _entities(representations: $r) '
        "{ ... on AssetPeriod { assetId } } }",
        {"r": [{"__typename": "AssetPeriod", "assetId": asset_id, "from": "x", "to": "y"}]},
    )
    assert {e["extensions"]["code"] for e in answer["errors"]} == {"INVALID_INPUT"}
    large = await door.post("/v1/plants:import", {"tables": {"assets": "x" * 9_000_000}})
    assert large.status_code == 413
    forbidden = await door.post("/v1/plants:import", {"tables": plant(1)}, roles=("read",))
    assert forbidden.status_code == 403
