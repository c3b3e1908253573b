import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
import grpc
import nats
import pytest

from telemetry.model.ingest import Counts
from twinmesh.core.v1 import trust_pb2
from twinmesh.telemetry.v1 import events_pb2
from twinmesh.telemetry.v1 import telemetry_service_pb2 as pb
from twinmesh.telemetry.v1 import telemetry_service_pb2_grpc as pb_grpc
from twinmesh.twin.v1 import twin_service_pb2 as twin_pb
from twinmesh.twin.v1 import twin_service_pb2_grpc as twin_grpc
from twinmesh_local.ports import choose
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.times import format_time, from_us

pytestmark = pytest.mark.stack

SIGNAL = f"sig_{10:026d}"
LATEST = """
query($s: [_Any!]!) { _entities(representations: $s) { ... on Signal {
  id
  latest(for: "trip") { value unit observedAt ageS budgetS verdict quality trust { verdict } }
  trust(for: "trip") { verdict decision budgetS reasons { code } }
} } }
"""


@dataclass
class Service:
    """`python -m telemetry`, and those who ask it."""

    env: dict
    http: str
    grpc: str
    log: object
    issuer: object
    process: subprocess.Popen | None = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "telemetry"], env=self.env, stdout=self.log, stderr=self.log
        )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        return self.process.returncode

    async def ready(self):
        async with aiohttp.ClientSession() as session:
            for _ in range(300):
                assert self.process.poll() is None, "telemetry has ended"
                try:
                    async with session.get(f"{self.http}/healthz/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError("telemetry did not become ready")

    def token(self, tenant="acme", roles=("read", "readings.write"), **more):
        return self.issuer.mint(tenant=tenant, roles=roles, **more)

    async def post(self, body, *, kind="text/csv", source="skid", **token):
        headers = {"authorization": f"Bearer {self.token(**token)}", "content-type": kind}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.http}/v1/readings?source={source}", data=body, headers=headers
            ) as answer,
        ):
            return answer.status, await answer.json()

    async def ask(self, query, variables=None, *, tenant="acme", **headers):
        headers["authorization"] = f"Bearer {self.token(tenant, ('read',))}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.http}/graphql",
                json={"query": query, "variables": variables or {}},
                headers=headers,
            ) as answer,
        ):
            return await answer.json()

    @asynccontextmanager
    async def stub(self):
        async with grpc.aio.insecure_channel(self.grpc) as channel:
            yield pb_grpc.TelemetryServiceStub(channel)

    def metadata(self, tenant="acme", **more):
        return [("authorization", f"Bearer {self.token(tenant)}"), *more.items()]


async def until(condition, what, seconds=20.0):
    """Wait for a condition; what it returned is returned."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(what)


@pytest.fixture
async def service(rig, private_nats, database_url, tsdb_server, tsdb_database, issuer, tmp_path):
    ports = choose({"http": 0, "grpc": 0})
    contract = Contract.load("telemetry")
    bucket = await rig.bus.kv("contracts")
    active = {"service": "telemetry", "version": contract.version, "digest": contract.digest}
    await bucket.put("active.telemetry", json.dumps({**active, "state": "ACTIVE"}).encode())
    for event, schema in contract.event_schemas.items():
        entry = {"type": event, "message": schema.message, "digests": [schema.digest]}
        await bucket.put(f"event.{event}", json.dumps(entry).encode())
    budgets = {"trip": {"budget_s": 6.0}, "plan": {"budget_s": 14400.0}}
    await bucket.put("budgets", json.dumps(budgets).encode())
    env = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | {
        "TWIN_HTTP_PORT": str(ports["http"]),
        "TWIN_GRPC_PORT": str(ports["grpc"]),
        "TWIN_NATS_URL": private_nats.url,
        "TWIN_NATS_USER": private_nats.user,
        "TWIN_NATS_PASSWORD": private_nats.password,
        "TWIN_OIDC_ISSUER": issuer.url,
        "TWIN_CLIENT_ID": "svc-telemetry",
        "TWIN_CLIENT_SECRET": issuer.secrets["svc-telemetry"],
        "TWIN_DATABASE_URL": database_url,
        "TWIN_CLICKHOUSE_URL": tsdb_server.url,
        "TWIN_CLICKHOUSE_DATABASE": tsdb_database,
        "TWIN_ASSETS_ADDR": rig.registry.address,
        "TWIN_TRACE_DIR": str(tmp_path / "traces"),
    }
    with (tmp_path / "telemetry.log").open("wb") as log:
        made = Service(
            env,
            f"http://127.0.0.1:{ports['http']}",
            f"127.0.0.1:{ports['grpc']}",
            log,
            issuer,
        )
        made.start()
        try:
            await made.ready()
            yield made
        finally:
            made.kill()
            print((tmp_path / "telemetry.log").read_text()[-6000:])


async def test_csv_goes_in_and_the_graph_answers_with_trust(service, rig):
    now = rig.now_us() // 1_000_000
    lines = "ts,device,signal,value,seq\n" + "\n".join(
        f"{now - 5 + n},p101,flow,{n},{n}" for n in range(5)
    )
    status, body = await service.post(lines)
    assert (status, body["readings"], body["messages"]) == (202, 5, 1)
    again, repeated = await service.post(lines)
    assert (again, repeated["repeated"]) == (202, 1)

    await until(lambda: counted(rig, Counts(received=5, stored=5)), "counts")
    answer = await service.ask(LATEST, {"s": [{"__typename": "Signal", "id": SIGNAL}]})

    found = answer["data"]["_entities"][0]["latest"]
    assert (found["value"], found["unit"], found["quality"]) == (4.0, "m3/s", "GOOD")
    assert found["budgetS"] == 6.0
    assert answer["extensions"]["twinmesh"]["count"] >= 1


async def counted(rig, expected, tenant=None):
    return await rig.counts(tenant) == expected


async def test_the_door_refuses_what_it_cannot_take_and_says_why(service):
    assert (await service.post(b"x" * 10_000_000))[0] == 413
    assert (await service.post("ts,device\n1,2"))[0] == 400
    assert (await service.post("ts,device,signal,value\n2026-01-01T00:00:00,a,b,1"))[0] == 400
    assert (await service.post("{", kind="application/json"))[0] == 400
    assert (await service.post("x", kind="text/html"))[0] == 400
    assert (await service.post("x", roles=("read",)))[0] == 403
    assert (await service.post("x", audience="other"))[0] == 401
    assert (await service.post("x", lifetime_s=-3600))[0] == 401
    assert (await service.post("x", source="a.b"))[0] == 400


async def test_another_tenant_finds_nothing(service, rig):
    await rig.send("p101", "flow", {"ts": rig.now_us() / 1e6, "value": 1.0})
    await rig.send("p101", "flow", b"broken")
    await until(lambda: counted(rig, Counts(received=2, stored=1, quarantined=1)), "counts")

    query = "{ ingest { received } quarantine { nodes { id } } pipelineAlerts { nodes { id } } }"
    answer = await service.ask(query, tenant="globex")
    assert answer["data"] == {
        "ingest": {"received": 0},
        "quarantine": {"nodes": []},
        "pipelineAlerts": {"nodes": []},
    }
    entity = await service.ask(
        LATEST, {"s": [{"__typename": "Signal", "id": SIGNAL}]}, tenant="globex"
    )
    assert entity["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    async with service.stub() as stub:
        metadata = service.metadata("globex")
        found = await stub.GetLatest(pb.GetLatestRequest(signal_ids=[SIGNAL]), metadata=metadata)
        assert not found.values
        listed = await stub.ListQuarantine(pb.ListQuarantineRequest(), metadata=metadata)
        assert listed.total == 0
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetHistory(
                pb.GetHistoryRequest(signal_id=SIGNAL, start={"seconds": 1}), metadata=metadata
            )
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_silence_turns_the_verdict_stale_and_names_the_hop_without_any_message(
    service, rig, private_nats
):
    connection = await nats.connect(**private_nats.options)
    verdicts = await connection.subscribe("tm.acme.telemetry.verdict.changed.v1")
    stalls = await connection.subscribe("tm.acme.telemetry.pipeline.stalled.v1")
    recoveries = await connection.subscribe("tm.acme.telemetry.pipeline.recovered.v1")
    last = rig.now_us()
    await rig.send("p101", "flow", {"ts": last / 1e6, "value": 1.0, "seq": 1})

    seen = []
    while "STALE" not in seen:
        event = events_pb2.VerdictChanged.FromString((await verdicts.next_msg(15)).data)
        if event.decision == "trip":
            seen.append(trust_pb2.Verdict.Name(event.current).removeprefix("VERDICT_"))
    delay_s = (rig.now_us() - last) / 1e6
    assert seen == ["FRESH", "LATE", "STALE"]
    assert 6.0 <= delay_s <= 11.0
    answer = await service.ask(LATEST, {"s": [{"__typename": "Signal", "id": SIGNAL}]})
    assert answer["data"]["_entities"][0]["trust"]["verdict"] == "STALE"

    stall = events_pb2.PipelineStalled.FromString((await stalls.next_msg(15)).data)
    assert (stall.source, stall.last_moving_hop) == ("skid", "SOURCE")
    query = "{ pipelineAlerts { nodes { source lastMovingHop recoveredAt } } }"
    nodes = (await service.ask(query))["data"]["pipelineAlerts"]["nodes"]
    assert nodes == [{"source": "skid", "lastMovingHop": "SOURCE", "recoveredAt": None}]

    service.kill()
    service.start()
    await service.ready()
    await rig.send("p101", "flow", {"ts": rig.now_us() / 1e6, "value": 2.0, "seq": 2})
    back = events_pb2.PipelineRecovered.FromString((await recoveries.next_msg(20)).data)
    assert back.source == "skid"
    await connection.close()


async def test_kill_9_at_any_moment_under_load_changes_no_count(service, rig):
    base = rig.now_us() // 1_000_000 - 3000
    sent = 0
    for round_number in range(3):
        for n in range(400):
            for name in ("flow", "pressure", "power"):
                ts = base + round_number * 400 + n
                await rig.bus.client.publish(
                    f"raw.acme.skid.p101.{name}",
                    json.dumps({"ts": ts, "value": float(n), "seq": ts}).encode(),
                )
                sent += 1
        await rig.send("p101", "flow", b"broken")
        await rig.send("p101", "flow", {"ts": base + round_number * 400, "value": 0.0})
        sent += 2
        await asyncio.sleep(0.15 * (round_number + 1))
        service.kill()
        service.start()
        await service.ready()

    expected = Counts(received=sent, stored=3600, duplicate=3, quarantined=3)
    await until(lambda: counted(rig, expected), f"counts {expected}", 40)
    assert await rig.rows() == 3600
    assert service.stop() == 0


async def test_the_grpc_doors_answer(service, rig):
    base = rig.now_us() // 1_000_000 - 10
    for n in range(5):
        await rig.send("p101", "flow", {"ts": base + n, "value": float(n)})
    await rig.send("p101", "flow", b"broken")
    await until(lambda: counted(rig, Counts(received=6, stored=5, quarantined=1)), "counts")
    metadata = service.metadata()
    async with grpc.aio.insecure_channel(service.grpc) as channel:
        telemetry = pb_grpc.TelemetryServiceStub(channel)
        twin = twin_grpc.TwinServiceStub(channel)

        latest = await telemetry.GetLatest(
            pb.GetLatestRequest(signal_ids=[SIGNAL], decision="plan"), metadata=metadata
        )
        assert [(v.value, v.unit, v.trust.decision) for v in latest.values] == [
            (4.0, "m3/s", "plan")
        ]
        page = pb.GetHistoryRequest(signal_id=SIGNAL, start={"seconds": base}, page_size=3)
        first = await telemetry.GetHistory(page, metadata=metadata)
        page.page_token = first.next_page_token
        second = await telemetry.GetHistory(page, metadata=metadata)
        assert [p.mean for p in (*first.points, *second.points)] == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert second.next_page_token == ""
        counts = await telemetry.GetIngestCounts(pb.GetIngestCountsRequest(), metadata=metadata)
        assert (counts.received, counts.processed_sequence) == (6, counts.received_sequence)
        replayed = await telemetry.ReplayQuarantine(
            pb.ReplayQuarantineRequest(reason="MALFORMED"), metadata=metadata
        )
        assert replayed.replayed == 1

        described = await twin.Describe(twin_pb.DescribeRequest(), metadata=metadata)
        assert (described.name, described.charter["kind"]) == ("telemetry", "foundation")
        asset = f"ast_{1:026d}"
        states = await twin.GetStates(
            twin_pb.GetStatesRequest(asset_ids=[asset]), metadata=metadata
        )
        assert [state.asset_id for state in states.states] == [asset]
        assert states.states[0].state == "ABSENT"  # pressure and power were never seen

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await telemetry.ReplayQuarantine(
                pb.ReplayQuarantineRequest(reason="MALFORMED"),
                metadata=[("authorization", f"Bearer {service.token(roles=('read',))}")],
            )
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def keep_publishing(rig, base, count):
    """Publish readings as a patient gateway does: each again until the stream has it."""
    for n in range(count):
        data = json.dumps({"ts": base + n, "value": float(n), "seq": n}).encode()
        async with asyncio.timeout(60):
            while True:
                try:
                    await rig.bus.publish(
                        f"raw.acme.skid.p101.{'flow' if n % 2 else 'power'}",
                        data,
                        message_id=f"m{base}-{n}",
                    )
                    break
                except TwinError:
                    await asyncio.sleep(0.2)
        await asyncio.sleep(0.005)


async def test_kill_9_of_nats_and_the_stores_under_load_changes_no_count(
    service, rig, private_nats, tsdb_server, postgres_server
):
    base = rig.now_us() // 1_000_000 - 3000
    load = asyncio.create_task(keep_publishing(rig, base, 900))
    for server in (private_nats.server, tsdb_server.server, postgres_server.server):
        await asyncio.sleep(1.0)
        server.kill()
        await asyncio.sleep(0.5)
        server.restart()  # from this thread: a program ends with the thread that began it
    await load

    async def done():
        with suppress(TwinError):
            return await rig.counts() == Counts(received=900, stored=900)

    await until(done, "counts", 40)
    assert await rig.rows() == 900
    assert service.process.poll() is None


async def test_a_store_that_is_away_is_named_by_the_hop_before_it(service, rig, tsdb_server):
    await rig.send("p101", "flow", {"ts": rig.now_us() / 1e6, "value": 1.0, "seq": 1})
    await until(lambda: counted(rig, Counts(received=1, stored=1)), "counts")
    tsdb_server.server.kill()
    try:
        await rig.send("p101", "flow", {"ts": rig.now_us() / 1e6, "value": 2.0, "seq": 2})
        query = "{ pipelineAlerts { nodes { source lastMovingHop } } }"

        async def alert():
            return (await service.ask(query))["data"]["pipelineAlerts"]["nodes"]

        nodes = await until(alert, "an alert", 30)
    finally:
        tsdb_server.server.restart()
    assert nodes == [{"source": "skid", "lastMovingHop": "RESOLVE"}]
    await until(lambda: counted(rig, Counts(received=2, stored=2)), "counts", 40)


async def test_reads_obey_the_times_of_the_request(service, rig):
    base = rig.now_us() // 1_000_000 * 1_000_000 - 60_000_000
    for n in range(4):
        await rig.send("p101", "flow", {"ts": (base + n * 1_000_000) / 1e6, "value": float(n)})
    await until(lambda: counted(rig, Counts(received=4, stored=4)), "counts")
    known = from_us(rig.now_us())
    await rig.send("p101", "flow", {"ts": (base + 3_000_000) / 1e6, "value": 33.0})
    await until(lambda: counted(rig, Counts(received=5, stored=5)), "counts")
    entity = {"s": [{"__typename": "Signal", "id": SIGNAL}]}

    async def value(**headers):
        answer = await service.ask(LATEST, entity, **headers)
        return answer["data"]["_entities"][0]["latest"]["value"]

    assert await value() == 33.0
    assert await value(**{"tm-known-at": format_time(known)}) == 3.0
    as_of = from_us(base) + timedelta(seconds=1.5)
    assert await value(**{"tm-as-of": format_time(as_of)}) == 1.0
    history = """query($s: [_Any!]!, $f: DateTime!) { _entities(representations: $s) {
      ... on Signal { history(from: $f, step: 3600) { unit points { mean count completeness } }
                      raw: history(from: $f, first: 2) { points { mean } nextFrom } } } }"""
    answer = await service.ask(history, {**entity, "f": format_time(from_us(base))})
    found = answer["data"]["_entities"][0]
    assert sum(p["count"] for p in found["history"]["points"]) == 4
    assert [p["mean"] for p in found["raw"]["points"]] == [0.0, 1.0]
    assert found["raw"]["nextFrom"] == format_time(from_us(base + 2_000_000))
