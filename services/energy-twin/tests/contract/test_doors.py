"""The energy twin as its callers meet it, beside a real asset registry, on the default stack."""

import asyncio
import time
from dataclasses import dataclass, field

import grpc
import httpx
import numpy as np
import pytest

from asset_registry.app import build as build_registry
from asset_registry.settings import AssetRegistrySettings
from energy_twin.app import build
from energy_twin.settings import EnergySettings
from twinmesh.assets.v1 import asset_registry_service_pb2 as assets_pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as assets_grpc
from twinmesh.energy.v1 import energy_service_pb2 as pb
from twinmesh.energy.v1 import energy_service_pb2_grpc as pb_grpc
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_grpc
from twinmesh_local.testing import new_tenant
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.core.times import format_time, from_us, parse_time, to_us
from twinmesh_sdk.testing.mesh import register, running, settings_for
from twinmesh_sdk.testing.servers import issuer_server, nats_server
from twinmesh_sdk.wire import timestamp_us

S = 1_000_000
START = "2026-03-01T00:00:00Z"
T0 = to_us(parse_time(START))
ROLES = ("read", "assets.write")
WAIT_S = 20.0

PLANT = {
    "assets": f"key,name,class,valid_from\nP-101,Pump,pump,{START}\nB-1,Hall,building,{START}\n",
    "configurations": f"asset,label,valid_from\nP-101,v1,{START}\n",
    "signals": (
        "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n"
        f"P-101,current,A,1,plc,p101,current,{START}\n"
        f"P-101,voltage,V,1,plc,p101,voltage,{START}\n"
        f"P-101,flow,m3/s,1,plc,p101,flow,{START}\n"
        f"P-101,temperature,Cel,1,plc,p101,temperature,{START}\n"
        f"B-1,electricity_energy,kW.h,3600,bms,b1,electricity,{START}\n"
    ),
}


@dataclass
class Door:
    """A running energy twin with its registry, for one tenant."""

    service: object
    registry: object
    bus: MeshNats
    issuer: object
    tenant: str
    signals: dict = field(default_factory=dict)
    assets: dict = field(default_factory=dict)
    batches: int = 0

    def headers(self, tenant=None, **headers):
        token = self.issuer.token(tenant=tenant or self.tenant, roles=ROLES)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"authorization": f"Bearer {token}"} | named

    def metadata(self, tenant=None, **headers):
        return list(self.headers(tenant, **headers).items())

    def stub(self, kind=pb_grpc.EnergyServiceStub):
        return kind(grpc.aio.insecure_channel(f"127.0.0.1:{self.service.grpc_port}"))

    async def import_plant(self):
        base = f"http://127.0.0.1:{self.registry.http_port}"
        async with httpx.AsyncClient(base_url=base, timeout=20) as client:
            answer = await client.post(
                "/v1/plants:import", json={"tables": PLANT}, headers=self.headers()
            )
        assert answer.status_code == 200, answer.text
        self.registrar = assets_grpc.AssetRegistryServiceStub(
            grpc.aio.insecure_channel(f"127.0.0.1:{self.registry.grpc_port}")
        )
        listed = await self.registrar.ListSignals(
            assets_pb.ListSignalsRequest(), metadata=self.metadata()
        )
        self.signals = {s.name: s for s in listed.signals}
        self.assets = {s.name: s.asset_id for s in listed.signals}

    async def publish(self, columns, times_us):
        """Publish as telemetry does: columnar, resolved, in SI units."""
        self.batches += 1
        names = sorted(columns)
        assets = sorted({self.assets[name] for name in names})
        batch = readings_pb2.ReadingBatch(
            tenant=self.tenant,
            asset_ids=assets,
            signals=[
                readings_pb2.SignalRef(
                    signal_id=self.signals[name].signal_id,
                    asset_index=assets.index(self.assets[name]),
                    name=name,
                    unit=self.signals[name].unit,
                )
                for name in names
            ],
            signal_index_u32=np.repeat(np.arange(len(names)), len(times_us))
            .astype("<u4")
            .tobytes(),
            observed_at_us_i64=np.tile(times_us, len(names)).astype("<i8").tobytes(),
            value_f64=np.concatenate([columns[name] for name in names]).astype("<f8").tobytes(),
            recorded_at_us=to_us(parse_time("2026-11-01T00:00:00Z")) + self.batches,
        )
        await self.bus.js.publish(f"tele.{self.tenant}.1", batch.SerializeToString())

    async def ask(self, query, variables=None, tenant=None, **headers):
        base = f"http://127.0.0.1:{self.service.http_port}"
        async with httpx.AsyncClient(base_url=base, timeout=20) as client:
            answer = await client.post(
                "/graphql",
                json={"query": query, "variables": variables},
                headers=self.headers(tenant, **headers),
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def baseline(self, configuration=None):
        """Wait until a baseline is served (of a configuration)."""
        stub, until = self.stub(), time.monotonic() + WAIT_S
        while time.monotonic() < until:
            found = await stub.GetBaselines(
                pb.GetBaselinesRequest(asset_ids=[self.assets["flow"]]), metadata=self.metadata()
            )
            for baseline in found.baselines:
                if configuration in {None, baseline.configuration_version}:
                    return baseline
            await asyncio.sleep(0.05)
        raise AssertionError("no baseline in time")

    async def waste_once_covered(self, start, end):
        """Wait until the readings of a window are there."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            estimate = await self.waste(start, end)
            if estimate.covered_ratio > 0.99:
                return estimate
            await asyncio.sleep(0.05)
        raise AssertionError("no readings in time")

    async def waste(self, start, end, tenant=None, **headers):
        window = pb.Window(
            asset_id=self.assets["flow"],
            start=timestamp_us(T0 + start * S),
            end=timestamp_us(T0 + end * S),
        )
        answer = await self.stub().EstimateWaste(
            pb.EstimateWasteRequest(windows=[window]), metadata=self.metadata(tenant, **headers)
        )
        return answer.estimates[0] if answer.estimates else None


@pytest.fixture
async def door(arcadedb, database_url, tmp_path):
    async with (
        nats_server(tmp_path / "nats") as nats,
        issuer_server() as issuer,
        MeshNats(nats.url, name="test") as bus,
    ):
        await ensure_streams(bus)
        common = {"nats_url": nats.url, "issuer": issuer.url}
        registry = build_registry(
            settings_for(
                AssetRegistrySettings,
                **common,
                neo4j_uri=arcadedb.uri,
                neo4j_user=arcadedb.user,
                neo4j_password=arcadedb.password,
                neo4j_database=arcadedb.database,
            )
        )
        await register(bus, registry.contract)
        async with running(registry):
            service = build(
                settings_for(
                    EnergySettings,
                    **common,
                    database_url=database_url,
                    assets_addr=f"127.0.0.1:{registry.grpc_port}",
                )
            )
            await register(bus, service.contract)
            async with running(service):
                door = Door(service, registry, bus, issuer, new_tenant())
                await door.import_plant()
                yield door


def pump(seconds, *, start=0, extra_a=0.0):
    """A pump at 230 V whose healthy specific energy is 480 kJ/m3, from `start` seconds on."""
    rng = np.random.default_rng(start)
    flow = 5e-4 + 5e-6 * rng.standard_normal(seconds)
    current = 4.8e5 * flow / 230.0 + 0.01 * rng.standard_normal(seconds) + extra_a
    times = T0 + np.arange(start, start + seconds, dtype=np.int64) * S
    columns = {
        "current": current,
        "voltage": np.full(seconds, 230.0),
        "flow": flow,
        "temperature": np.full(seconds, 300.0),
    }
    return columns, times


ACROSS = """
query ($r: [_Any!]!) { _entities(representations: $r) {
  ... on AssetPeriod { energy {
    wastedWh lo90Wh hi90Wh method coveredRatio volumeM3
    baselines { specificEnergyKwhPerM3 powerSource configurationVersion }
    trust { verdict quality configurationVersion modelVersion reasons { code } } } }
  ... on Asset { energy { baseline { specificEnergyJPerM3 readings } } }
} }
"""


async def test_a_pump_that_wastes_is_told_at_every_door(door):
    await door.publish(*pump(450))
    baseline = await door.baseline()
    await door.publish(*pump(450))
    await door.publish(*pump(600, start=450, extra_a=0.2))
    estimate = await door.waste_once_covered(450, 1050)

    assert baseline.specific_energy_j_per_m3 == pytest.approx(4.8e5, rel=0.01)
    assert baseline.power_source == "current*voltage"
    assert estimate.wasted_j == pytest.approx(0.2 * 230 * 600, rel=0.05)
    assert estimate.lo90_j <= 0.2 * 230 * 600 <= estimate.hi90_j
    assert {r.code for r in estimate.trust.reasons} == {"DERIVED_POWER"}

    period = {
        "__typename": "AssetPeriod",
        "assetId": door.assets["flow"],
        "from": format_time(from_us(T0 + 450 * S)),
        "to": format_time(from_us(T0 + 1050 * S)),
    }
    asset = {"__typename": "Asset", "id": door.assets["flow"]}
    hall = {"__typename": "Asset", "id": door.assets["electricity_energy"]}
    answer = await door.ask(ACROSS, {"r": [period, asset, hall]})
    told, learned, unknown = answer["data"]["_entities"]
    assert told["energy"]["wastedWh"] == pytest.approx(estimate.wasted_j / 3600)
    assert told["energy"]["method"] == "specific-energy-baseline-v1"
    assert told["energy"]["trust"]["verdict"] == "FRESH"
    assert told["energy"]["trust"]["configurationVersion"].startswith("cfg_")
    assert learned["energy"]["baseline"]["readings"] == 400
    assert unknown["energy"] is None
    outputs = answer["extensions"]["twinmesh"]["outputs"]
    assert {(o["type"], o["model"], o["modelVersion"]) for o in outputs} == {
        ("PeriodEnergy", "specific-energy-baseline", "v1"),
        ("EnergyBaseline", "specific-energy-baseline", "v1"),
    }
    assert [baseline.baseline_id, 0] in outputs[0]["items"] + outputs[1]["items"]

    states = await door.stub(twin_grpc.TwinServiceStub).GetStates(
        twin_pb.GetStatesRequest(asset_ids=[door.assets["flow"]]), metadata=door.metadata()
    )
    assert [state.state for state in states.states] == ["BASELINED"]
    explained = await door.stub(twin_grpc.TwinServiceStub).Explain(
        twin_pb.ExplainRequest(output_id=baseline.baseline_id), metadata=door.metadata()
    )
    assert explained.explanation["readings"] == 400

    stranger = new_tenant()
    assert await door.waste(450, 1050, tenant=stranger) is None
    hidden = await door.ask(ACROSS, {"r": [period, asset]}, tenant=stranger)
    assert [entity["energy"] for entity in hidden["data"]["_entities"]] == [None, None]


async def test_a_configuration_entered_late_is_followed_by_event(door):
    await door.publish(*pump(450))
    first = await door.baseline()
    await door.publish(*pump(600, start=450, extra_a=0.2))
    before = await door.waste_once_covered(450, 1050)

    recorded = await door.registrar.RecordConfiguration(
        assets_pb.RecordConfigurationRequest(
            asset_id=door.assets["flow"], label="v2", valid_from=timestamp_us(T0 + 450 * S)
        ),
        metadata=door.metadata(),
    )
    second = await door.baseline(recorded.configuration.configuration_id)
    after = await door.waste(450, 1050)
    then = await door.waste(
        450, 1050, tm_known_at=format_time(from_us(first.interval.recorded_from.ToMicroseconds()))
    )

    assert second.specific_energy_j_per_m3 > first.specific_energy_j_per_m3 * 1.1
    assert after.lo90_j <= 0.0 <= after.hi90_j
    assert then.trust.configuration_version == first.configuration_version
    assert before.wasted_j == pytest.approx(then.wasted_j)


async def test_meters_are_totalled_by_local_day_through_the_change_of_the_clock(door):
    start = to_us(parse_time("2026-03-28T00:00:00Z"))
    times = start + np.arange(96, dtype=np.int64) * 3600 * S
    await door.publish({"electricity_energy": np.full(96, 3.6e6)}, times)
    query = """query ($r: [_Any!]!) { _entities(representations: $r) { ... on Asset { energy {
      baseline { id } meterTotals(from: "2026-03-28", to: "2026-03-30", timeZone: "Europe/London") {
        signalName date lengthH energyWh coveredRatio trust { verdict quality } } } } } }"""
    hall = {"__typename": "Asset", "id": door.assets["electricity_energy"]}
    until, energy = time.monotonic() + WAIT_S, None
    while energy is None and time.monotonic() < until:
        await asyncio.sleep(0.05)
        energy = (await door.ask(query, {"r": [hall]}))["data"]["_entities"][0]["energy"]

    days = energy["meterTotals"]
    assert [(d["date"], d["lengthH"]) for d in days] == [
        ("2026-03-28", 24.0),
        ("2026-03-29", 23.0),
        ("2026-03-30", 24.0),
    ]
    assert days[1]["energyWh"] == pytest.approx(23_000.0)
    assert days[1]["trust"] == {"verdict": "FRESH", "quality": "GOOD"}
    totals = await door.stub().GetMeterTotals(
        pb.GetMeterTotalsRequest(
            asset_id=door.assets["electricity_energy"],
            first_date="2026-03-29",
            last_date="2026-03-29",
            time_zone="Europe/London",
        ),
        metadata=door.metadata(),
    )
    (day,) = totals.days
    assert (day.length_s, day.energy_j) == (23 * 3600, pytest.approx(23 * 3.6e6))


async def test_bad_requests_get_a_clear_error(door):
    stub = door.stub()
    asset = door.assets["flow"]
    now = timestamp_us(T0)
    later = timestamp_us(T0 + 51 * 366 * 86_400 * S)
    cases = [
        (stub.EstimateWaste, pb.EstimateWasteRequest(windows=[pb.Window(asset_id=asset)])),
        (
            stub.EstimateWaste,
            pb.EstimateWasteRequest(windows=[pb.Window(asset_id=asset, start=now, end=now)]),
        ),
        (
            stub.EstimateWaste,
            pb.EstimateWasteRequest(windows=[pb.Window(asset_id=asset, start=now, end=later)]),
        ),
        (
            stub.EstimateWaste,
            pb.EstimateWasteRequest(
                windows=[pb.Window(asset_id=asset, start=now, end=timestamp_us(T0 + S))] * 201
            ),
        ),
        (stub.GetBaselines, pb.GetBaselinesRequest(asset_ids=["x"])),
        (
            stub.GetMeterTotals,
            pb.GetMeterTotalsRequest(asset_id=asset, first_date="soon", last_date="2026-01-01"),
        ),
        (
            stub.GetMeterTotals,
            pb.GetMeterTotalsRequest(
                asset_id=asset, first_date="2026-01-01", last_date="2026-01-01", time_zone="Mars"
            ),
        ),
    ]
    for call, request in cases:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request, metadata=door.metadata())
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, request
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await door.stub(twin_grpc.TwinServiceStub).Explain(
            twin_pb.ExplainRequest(output_id="bsl_nothing"), metadata=door.metadata()
        )
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_unreadable_message_stops_nobody(door):
    await door.bus.js.publish(f"tele.{door.tenant}.1", b"\xff\xff\xff")
    empty = readings_pb2.ReadingBatch().SerializeToString()
    await door.bus.js.publish(f"tele.{door.tenant}.1", empty)
    await door.publish(*pump(450))

    assert (await door.baseline()).readings == 400
