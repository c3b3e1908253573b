"""S10 and S11: a model released to the minute, and recalled from everybody who consumed it.

Both use asset classes of their own, so the pumps of other tests keep their model.
"""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
import pytest
from click.testing import CliRunner

from twinmesh.governance.v1 import consumption_pb2, model_service_pb2
from twinmesh.governance.v1.model_service_pb2_grpc import ModelServiceStub
from twinmesh_cli.model import model as command
from twinmesh_sdk.adapters.nats import (
    ConsumptionReporter,
    ContractSnapshot,
    EventConsumer,
    KvMirror,
    MeshNats,
    ModelSnapshot,
    ReplicaHeartbeat,
)
from twinmesh_sdk.adapters.plant_clock import PlantClock
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.wire import timestamp

MODEL = "pump-condition"
SINCE = "2020-01-01T00:00:00Z"
PROOF = (
    "--back-test", "bt-e2e", "--metric", "recall", "--achieved", "0.9", "--threshold", "0.8",
    "--baseline", "run to failure", "--baseline-achieved", "0", "--training-data", "none: a test",
)  # fmt: skip
CONDITION = """
query ($id: ID!) { asset(id: $id) { maintenance {
  state modelVersion workItems(first: 5) { nodes {
    id status modelVersion withdrawn inputsDigest version correction } } } } }
"""


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def release(live, tmp_path):
    """Run `twinmesh model …` as somebody; returns exit code and what was printed."""
    address = f"127.0.0.1:{live.mesh.port('governance.grpc')}"

    def run(who, *arguments):
        environment = {"TWIN_GOVERNANCE_ADDR": address, "TWIN_TOKEN": live.token(who)}
        result = CliRunner().invoke(command, [str(a) for a in arguments], env=environment)
        return result.exit_code, result.output

    def submitted(version, asset_class, **constants):
        artefact = tmp_path / f"{version}.json"
        artefact.write_text(json.dumps(constants))
        options = ("--artefact", artefact, "--asset-class", asset_class, *PROOF)
        assert run("author", "submit", MODEL, version, *options)[0] == 0

    run.submitted = submitted
    return run


def machine(live, asset_class, *, rows=1500, onset=800):
    """Import a machine that degrades from row `onset` on, one row a second.

    Returns its id, the time of its first row, and what sends rows.
    """
    name = f"{asset_class[:3].upper()}-{uuid.uuid4().hex[:6]}"
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=rows + 60)
    signals = "asset,name,source_unit,cadence_s,source,device,source_signal,valid_from\n" + "".join(
        f"{name},{signal},{unit},1,{name.lower()},{name},{signal},{SINCE}\n"
        for signal, unit in (("flow", "m3/s"), ("pressure", "Pa"), ("power", "W"))
    )
    imported = live.import_plant(
        assets=f"key,name,class,valid_from\n{name},{name},{asset_class},{SINCE}\n",
        configurations=f"asset,label,valid_from\n{name},as built,{SINCE}\n",
        signals=signals,
    )
    assert imported.body["problems"] == []
    random = np.random.default_rng(2)
    noise = 1 + 0.005 * random.standard_normal((rows, 3))
    closing = np.clip((np.arange(rows) - onset) / 200, 0, 1)
    columns = {
        "flow": 0.05 * (1 - 0.4 * closing) * noise[:, 0],
        "pressure": 4e5 * (1 - 0.1 * closing) * noise[:, 1],
        "power": 3e4 * (1 - 0.05 * closing) * noise[:, 2],
    }
    asset_id = live.ask(
        'query ($n: String!) { assetByAlias(system: "plant", value: $n) { id } }', {"n": name}
    ).data["assetByAlias"]["id"]

    def send(start=0, end=rows):
        lines = ["device,signal,ts,value"]
        for row in range(start, end):
            at = stamp(first + timedelta(seconds=row))
            lines += [f"{name},{s},{at},{float(values[row])!r}" for s, values in columns.items()]
        assert live.send_csv(name.lower(), "\n".join(lines) + "\n").status == 202

    return asset_id, first, send


def condition(live, asset_id, as_of=None, who="erp-app"):
    extensions = {"twinmesh": {"asOf": stamp(as_of)}} if as_of else {}
    answer = live.ask(CONDITION, {"id": asset_id}, as_=who, extensions=extensions)
    return answer.data["asset"]["maintenance"]


def opened(live, asset_id):
    def found():
        held = condition(live, asset_id)
        return (held and held["workItems"]["nodes"]) or None

    return live.until(found, timeout_s=60)[0]


def bus_of(live, service):
    user = f"svc-{service}"
    password = live.mesh.state.secret(f"nats/{user}")
    return MeshNats(f"nats://127.0.0.1:{live.mesh.port('nats')}", user=user, password=password)


def test_s10_a_release_takes_effect_to_the_minute_and_can_be_taken_back(live, release):
    boundary_row = 1700
    asset_id, first, send = machine(live, "compressor", rows=2700, onset=2000)
    boundary = first + timedelta(seconds=boundary_row)
    release.submitted("2.0.0", "compressor")
    assert release("reviewer", "approve", MODEL, "2.0.0")[0] == 0
    assert release("reviewer", "activate", MODEL, "2.0.0", "--from", SINCE)[0] == 0
    release.submitted("2.1.0", "compressor", persistence_s=150.0)

    refused, why = release("author", "approve", MODEL, "2.1.0")
    assert refused == 1
    assert "PERMISSION_DENIED" in why
    assert release("reviewer", "approve", MODEL, "2.1.0", "--note", "beats the baseline")[0] == 0
    assert release("reviewer", "shadow", MODEL, "2.1.0")[0] == 0
    send(0, boundary_row)
    shadow = live.until(lambda: shadow_of(live, "2.1.0"), timeout_s=60)
    assert shadow["champion"] == "2.0.0"
    assert shadow["pairs"] > 0
    assert condition(live, asset_id)["modelVersion"] == "2.0.0", "a shadow decides nothing"
    behind = asyncio.run(heartbeat_of_a_replica_that_hears_nothing(live))
    assert release("reviewer", "activate", MODEL, "2.1.0", "--from", stamp(boundary))[0] == 0

    send(boundary_row)
    item = opened(live, asset_id)
    # Within a minute: between the two sendings the machine was silent, and the clock says so.
    before = condition(live, asset_id, boundary - timedelta(seconds=30))
    after = condition(live, asset_id, boundary + timedelta(seconds=30))
    assert (before["state"], before["modelVersion"]) == ("HEALTHY", "2.0.0")
    assert (after["state"], after["modelVersion"]) == ("HEALTHY", "2.1.0")
    assert item["modelVersion"] == "2.1.0"
    assert len(item["inputsDigest"]) == len("sha256:") + 64

    alarm = asyncio.run(behind())
    assert (alarm["service"], alarm["model"]) == ("maintenance-twin", MODEL)
    assert "2.0.0" in alarm["running"]
    assert "2.1.0" in set(alarm["expected"]) - set(alarm["running"])
    live.until(lambda: not alarms_of(live), timeout_s=20)
    assert release("author", "alarms")[0] == 0

    code, said = release("reviewer", "rollback", MODEL, "2.1.0", "--json")
    assert code == 0, said
    done = json.loads(said)
    affected = {(each["output_type"], each["output_id"]) for each in done["affected"]}
    assert ("WorkItem", item["id"]) in affected
    assert done["again"]["version"] == "2.0.0"
    code, said = release("author", "at", MODEL, "--asset-class", "compressor", "--json")
    assert json.loads(said)["version"] == "2.0.0"


def shadow_of(live, version):
    """Return what was measured of a shadow, once a window is over."""
    query = """query ($m: String!) { models(name: $m) { nodes { version state shadow {
      champion pairs windows meanDifference decision } } } }"""
    nodes = live.ask(query, {"m": MODEL}).data["models"]["nodes"]
    (found,) = [n for n in nodes if n["version"] == version]
    assert found["state"] == "SHADOW"
    return next((s for s in found["shadow"] if s["windows"]), None)


def alarms_of(live):
    query = "{ modelAlarms { service instance model running expected } }"
    return live.ask(query).data["modelAlarms"]


async def heartbeat_of_a_replica_that_hears_nothing(live):
    """Return how a process speaks whose snapshot of the schedule stands still from now on."""
    async with bus_of(live, "maintenance-twin") as bus:
        models, clock = KvMirror(bus, "models"), KvMirror(bus, "plant-clock")
        following = [asyncio.create_task(mirror.run()) for mirror in (models, clock)]
        await asyncio.gather(models.wait_synced(), clock.wait_synced())
        for task in following:
            task.cancel()
        await asyncio.wait(following)

    async def tenants():
        return [Tenant("acme")]

    async def speak():
        async with bus_of(live, "maintenance-twin") as bus:
            replica = ReplicaHeartbeat(
                bus, ModelSnapshot(models), PlantClock(clock), service="maintenance-twin"
            )
            replica.runs(MODEL, tenants)
            await asyncio.sleep(2.5)  # a heartbeat right after a decision may not know it yet
            await replica.announce()
            alarms = await asyncio.to_thread(
                lambda: live.until(lambda: alarms_of(live), timeout_s=20)
            )
            await replica.close()
            return alarms[0]

    return speak


def test_s11_a_recall_lists_exactly_who_consumed_it(live, release):
    asset_id, _, send = machine(live, "blower")
    release.submitted("3.0.0", "blower")
    assert release("reviewer", "approve", MODEL, "3.0.0")[0] == 0
    assert release("reviewer", "activate", MODEL, "3.0.0", "--from", SINCE)[0] == 0
    send()
    item = opened(live, asset_id)
    asyncio.run(consume_as_energy_twin(live, item["id"]))
    copied(live, item)

    def consumers():
        code, said = release("author", "impact", MODEL, "3.0.0", "--json")
        assert code == 0, said
        found = [c for c in json.loads(said)["consumers"] if c["output_id"] == item["id"]]
        return found if {c["door"] for c in found} == {"GATEWAY", "EVENT", "EXPORT"} else None

    live.until(consumers, timeout_s=20)
    code, said = release(
        "reviewer", "recall", MODEL, "3.0.0", "--reason", "leaked labels", "--json"
    )
    assert code == 0, said
    told = json.loads(said)

    assert "maintenance-twin" in told["acknowledged_by"]
    assert told["waiting_for"] == []
    who = {(c["client"], c["door"]) for c in told["consumers"] if c["output_id"] == item["id"]}
    assert who == {("erp-app", "GATEWAY"), ("energy-twin", "EVENT"), ("cmms", "EXPORT")}
    for consumer in told["consumers"]:
        assert consumer["model_version"] == "3.0.0"
        assert consumer["last_at"]
        assert int(consumer["output_version"]) >= 1
    assert any(o["output_id"] == item["id"] for o in told["outputs"])

    held = condition(live, asset_id)
    (withdrawn,) = held["workItems"]["nodes"]
    assert (withdrawn["id"], withdrawn["status"]) == (item["id"], "WITHDRAWN")
    assert withdrawn["withdrawn"]
    assert "leaked labels" in withdrawn["correction"]
    assert held["state"] == "UNKNOWN"
    query = f'{{ models(name: "{MODEL}") {{ nodes {{ version state recallReason }} }} }}'
    versions = live.ask(query).data["models"]["nodes"]
    assert {"version": "3.0.0", "state": "RECALLED", "recallReason": "leaked labels"} in versions


async def consume_as_energy_twin(live, item_id):
    """Handle the event that announced the item, as a service of the mesh does."""
    heard = asyncio.Event()

    class Handler:
        event_types = ("maintenance.work_item.opened.v1",)

        async def __call__(self, event):
            if event.derivation is not None and event.derivation.output.id == item_id:
                heard.set()

    async with bus_of(live, "energy-twin") as bus:
        contracts, clock = KvMirror(bus, "contracts"), KvMirror(bus, "plant-clock")
        following = [asyncio.create_task(mirror.run()) for mirror in (contracts, clock)]
        await asyncio.gather(contracts.wait_synced(), clock.wait_synced())
        reporter = ConsumptionReporter(bus, PlantClock(clock), reporter="energy-twin")
        consumer = EventConsumer(
            bus=bus,
            contracts=ContractSnapshot(contracts),
            clock=PlantClock(clock),
            service="energy-twin",
            event_type=Handler.event_types[0],
            handler=Handler(),
            inbox=None,
            consumption=reporter,
        )
        consuming = asyncio.create_task(consumer.run())
        try:
            await asyncio.wait_for(heard.wait(), 20)
            await reporter.flush()
        finally:
            for task in (consuming, *following):
                task.cancel()
            await asyncio.wait([consuming, *following])


def copied(live, item):
    """Say, as the bridge to the CMMS does, that the item was copied there."""
    now = timestamp(datetime.now(UTC))
    receipt = consumption_pb2.Receipt(
        client="cmms",
        door=consumption_pb2.DOOR_EXPORT,
        output_type="WorkItem",
        output_id=item["id"],
        output_version=item["version"],
        model=MODEL,
        model_version=item["modelVersion"],
        operation="cmms-bridge",
        first_at=now,
        last_at=now,
        count=1,
    )
    request = model_service_pb2.RecordExportsRequest(
        instance=uuid.uuid4().hex, sequence=1, receipts=[receipt]
    )
    metadata = (("authorization", f"Bearer {live.token('cmms-bridge')}"),)
    with grpc.insecure_channel(f"127.0.0.1:{live.mesh.port('governance.grpc')}") as channel:
        answer = ModelServiceStub(channel).RecordExports(request, metadata=metadata, timeout=20)
    assert answer.counted
