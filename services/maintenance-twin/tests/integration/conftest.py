"""The whole service on a real bus and a real database, and a registry that the test writes."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

import grpc
import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from maintenance_twin.app import build
from maintenance_twin.model.tuning import DEFAULT
from maintenance_twin.settings import Settings
from twinmesh.assets.v1 import asset_registry_service_pb2 as registry_pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as registry_grpc
from twinmesh.assets.v1 import events_pb2, model_pb2
from twinmesh.core.v1 import interval_pb2
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.adapters.plant_clock import encode
from twinmesh_sdk.contract import Contract, descriptor_set, event_schema_digest
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant, partition_of
from twinmesh_sdk.core.models import signed_text
from twinmesh_sdk.core.times import OPEN_US, PlantTime, format_time, from_us, to_us
from twinmesh_sdk.testing.fixtures import bus, issuer, nats
from twinmesh_sdk.testing.mesh import register, running, settings_for
from twinmesh_sdk.wire import timestamp_us

__all__ = ["bus", "issuer", "nats"]

START_US = 1_767_225_600_000_000
SECOND = 1_000_000
PUMP = "ast_" + "0" * 26
MODE = "sig_" + "7" * 26
FIRST, LATE = "cfg_" + "0" * 26, "cfg_" + "1" * 26
CONFIGURATION_RECORDED = "assets.configuration.recorded.v1"
LEVELS = {
    "flow": ("m3/s", 0.02, 0.005, -0.1),
    "pressure": ("Pa", 4e5, 0.003, -0.08),
    "power": ("W", 9_000.0, 0.005, 0.0),
    "vibration": ("m/s", 1.6e-3, 0.03, 0.0),
}
NAMES = sorted(LEVELS)


class Registry(registry_grpc.AssetRegistryServiceServicer):
    """Answers as the asset registry does, about one pump of one tenant."""

    def __init__(self):
        self.spans = [(FIRST, 0, OPEN_US)]
        self.with_mode = False

    async def GetAssets(self, request, context):
        asset = model_pb2.Asset(asset_id=PUMP, name="P-1", asset_class="pump")
        return registry_pb.GetAssetsResponse(assets=[asset] if PUMP in request.asset_ids else [])

    async def ListSignals(self, request, context):
        mode = model_pb2.SignalDefinition(
            signal_id=MODE,
            asset_id=PUMP,
            name="operating_mode",
            unit="1",
            cadence_s=1.0,
            kind="state",
        )
        return registry_pb.ListSignalsResponse(
            signals=[
                *([mode] if self.with_mode else []),
                *(
                    model_pb2.SignalDefinition(
                        signal_id=f"sig_{index:026d}",
                        asset_id=PUMP,
                        name=name,
                        unit=LEVELS[name][0],
                        cadence_s=1.0,
                        kind="gauge",
                    )
                    for index, name in enumerate(NAMES)
                ),
            ]
        )

    async def ListConfigurations(self, request, context):
        return registry_pb.ListConfigurationsResponse(
            configurations=[self.version(*span) for span in self.spans]
        )

    @staticmethod
    def version(configuration_id, from_us, to_us_):
        return model_pb2.ConfigurationVersion(
            configuration_id=configuration_id,
            asset_id=PUMP,
            interval=interval_pb2.Bitemporal(
                valid_from=timestamp_us(from_us), valid_to=timestamp_us(to_us_)
            ),
        )


def plant(seconds, fault_s, seed=3):
    """Return the pump's values per name: a loss of output within a minute, from `fault_s` on."""
    random = np.random.default_rng(seed)
    grown = np.clip((np.arange(seconds) - fault_s) / 60.0, 0.0, 1.0)
    return {
        name: level * (1.0 + effect * grown) * (1.0 + noise * random.standard_normal(seconds))
        for name, (_, level, noise, effect) in sorted(LEVELS.items())
    }


def message_of(columns, first, last, tenant):
    """Return rows first..last as telemetry would publish them."""
    count = last - first
    observed = np.repeat(START_US + np.arange(first, last) * SECOND, len(NAMES)).astype("<i8")
    values = np.column_stack([columns[n][first:last] for n in NAMES]).reshape(-1)
    return readings_pb2.ReadingBatch(
        tenant=tenant,
        partition=partition_of(PUMP, 4),
        asset_ids=[PUMP],
        signals=[
            readings_pb2.SignalRef(
                signal_id=f"sig_{i:026d}", asset_index=0, name=n, unit=LEVELS[n][0]
            )
            for i, n in enumerate(NAMES)
        ],
        signal_index_u32=np.tile(np.arange(len(NAMES), dtype="<u4"), count).tobytes(),
        observed_at_us_i64=observed.tobytes(),
        value_f64=values.astype("<f8").tobytes(),
        arrived_at_us_i64=observed.tobytes(),
    ).SerializeToString()


def modes_of(seconds, tenant):
    """Return the mode "running" for every second, as telemetry would publish it."""
    observed = (START_US + np.arange(seconds) * SECOND).astype("<i8")
    return readings_pb2.ReadingBatch(
        tenant=tenant,
        partition=partition_of(PUMP, 4),
        asset_ids=[PUMP],
        signals=[readings_pb2.SignalRef(signal_id=MODE, name="operating_mode", unit="1")],
        signal_index_u32=np.zeros(seconds, dtype="<u4").tobytes(),
        observed_at_us_i64=observed.tobytes(),
        value_f64=np.ones(seconds, dtype="<f8").tobytes(),
        arrived_at_us_i64=observed.tobytes(),
    ).SerializeToString()


@dataclass
class Mesh:
    """What the test does in the other services' places, and how a caller asks."""

    bus: object
    issuer: object
    registry: Registry
    settings: Settings
    tenant: str = "acme"
    sent: int = 0
    headers: dict = field(default_factory=dict)

    async def send(self, columns, first=0, last=None, *, step=50, trace=""):
        last = len(columns["flow"]) if last is None else last
        for start in range(first, last, step):
            self.sent += 1
            await self.bus.publish(
                f"tele.{self.tenant}.{partition_of(PUMP, 4)}",
                message_of(columns, start, min(start + step, last), self.tenant),
                headers={"traceparent": trace} if trace else None,
            )

    async def release_model(self, *releases, signed=True):
        """Schedule versions, signed as governance does: (version, from second, to second)."""
        key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        artefact = json.dumps(asdict(DEFAULT)).encode()
        digest = hashlib.sha256(artefact).hexdigest()
        await (await self.bus.objects("bundles")).put(f"artefact-{digest}", artefact)
        versions = [
            {
                "name": "pump-condition",
                "version": version,
                "digest": f"sha256:{digest}",
                "signature": key.sign(
                    signed_text("pump-condition", version, f"sha256:{digest}" if signed else "")
                ).hex(),
                "scope": {"asset_classes": ["pump"]},
                "effective_from": since and format_time(from_us(START_US + since * SECOND)),
                "effective_to": until and format_time(from_us(START_US + until * SECOND)),
            }
            for version, since, until in releases or (("1.0.0", None, None),)
        ]
        bucket = await self.bus.kv("models")
        public = {"ed25519": key.public_key().public_bytes_raw().hex()}
        await bucket.put("signing-key", json.dumps(public).encode())
        await bucket.put("schedule.pump-condition", json.dumps({"versions": versions}).encode())

    async def replica(self):
        (key,) = await (await self.bus.kv("replicas")).keys()
        return key

    async def recall_model(self, version):
        recalled = {
            "name": "pump-condition",
            "version": version,
            "recalled_at": "2026-01-05T08:00:00Z",
            "reason": "a test",
        }
        bucket = await self.bus.kv("models")
        await bucket.put("recalled.pump-condition", json.dumps({"versions": [recalled]}).encode())

    async def set_clock(self, seconds, *, speed=1.0, clock):
        bucket = await self.bus.kv("plant-clock")
        time = PlantTime(START_US + seconds * SECOND, speed, to_us(clock.wall_now()))
        await bucket.put(self.tenant, encode(time))

    async def configuration_recorded(self, index, number):
        version = self.registry.version(*self.registry.spans[index])
        message = events_pb2.ConfigurationRecorded(configuration=version)
        envelope = Envelope(
            id=event_id(
                tenant=Tenant(self.tenant),
                type=EventType(CONFIGURATION_RECORDED),
                aggregate_id=PUMP,
                aggregate_version=number,
            ),
            type=EventType(CONFIGURATION_RECORDED),
            source="asset-registry",
            tenant=Tenant(self.tenant),
            subject=PUMP,
            time=from_us(START_US),
            data=message.SerializeToString(),
        )
        digest = event_schema_digest(
            descriptor_set(["twinmesh.assets.v1"]), "twinmesh.assets.v1.ConfigurationRecorded"
        )
        schema = f"twinmesh.assets.v1.ConfigurationRecorded#{digest}"
        entry = {
            "type": CONFIGURATION_RECORDED,
            "message": "twinmesh.assets.v1.ConfigurationRecorded",
            "digests": [digest],
            "service": "asset-registry",
        }
        bucket = await self.bus.kv("contracts")
        await bucket.put(f"event.{CONFIGURATION_RECORDED}", json.dumps(entry).encode())
        await self.bus.publish(
            f"tm.{self.tenant}.{CONFIGURATION_RECORDED}",
            envelope.data,
            headers=headers_of(envelope, dataschema=schema, traceparent=""),
            message_id=envelope.id,
        )

    @asynccontextmanager
    async def service(self, *, ready=True):
        async with running(build(self.settings), ready=ready) as service:
            yield Door(service, self)


@dataclass
class Door:
    """How a caller reaches the running service."""

    service: object
    mesh: Mesh

    def metadata(self, tenant="acme", **headers):
        token = self.mesh.issuer.token(tenant=tenant)
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return [("authorization", f"Bearer {token}"), *named]

    def channel(self):
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.service.grpc_port}")

    async def ask(self, query, tenant="acme", variables=None, **headers):
        url = f"http://127.0.0.1:{self.service.http_port}/graphql"
        async with httpx.AsyncClient(timeout=20) as client:
            answer = await client.post(
                url,
                json={"query": query, "variables": variables},
                headers=dict(self.metadata(tenant, **headers)),
            )
        return answer.json()

    @asynccontextmanager
    async def events(self, query, tenant="acme", variables=None):
        """Subscribe; gives an iterator over the events' answers."""
        url = f"http://127.0.0.1:{self.service.http_port}/graphql"
        headers = {**dict(self.metadata(tenant)), "accept": "text/event-stream"}
        body = {"query": query, "variables": variables}
        async with (
            httpx.AsyncClient(timeout=20) as client,
            client.stream("POST", url, json=body, headers=headers) as response,
        ):
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _data_of(response)

    async def items(self, tenant="acme", **headers):
        answer = await self.ask(ITEMS, tenant, **headers)
        assert "errors" not in answer, answer
        return answer["data"]["workItems"]["nodes"]

    async def maintenance(self, **headers):
        answer = await self.ask(MAINTENANCE, variables={"of": [REFERENCE]}, **headers)
        assert "errors" not in answer, answer
        return answer["data"]["_entities"][0]["maintenance"]


async def _data_of(response):
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


REFERENCE = {"__typename": "Asset", "id": PUMP}
ITEMS = """{ workItems { nodes {
  id status failureMode configurationVersion modelVersion openedAt closedAt closeReason recordedAt
  recordedUntil correction supersededBy traceId version withdrawn inputsDigest asset { id }
  degradation { assetId from to } probability { value event horizonS calibration }
  evidence { signal unit expected observed limit direction since share }
  trust { verdict quality decision budgetS configurationVersion modelVersion reasons { code } }
} } }"""
MAINTENANCE = """query($of: [_Any!]!) { _entities(representations: $of) { ... on Asset {
  id maintenance { state since model modelVersion configurationVersion reasons { code subject }
  trust { verdict ageS } workItems(first: 5) { nodes { id status } } } } } }"""


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until `check` holds.

    Raises:
        TimeoutError: It does not in time.
    """
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.05)


@pytest.fixture
def kit():
    """This module, for the tests' constants and helpers."""
    return sys.modules[__name__]


@pytest.fixture
async def mesh(bus, issuer, nats, database_url):
    registry, server = Registry(), grpc.aio.server()
    registry_grpc.add_AssetRegistryServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await register(bus, Contract.load("maintenance_twin"))
    settings = settings_for(
        Settings,
        nats_url=nats.url,
        issuer=issuer.url,
        database_url=database_url,
        assets_addr=f"127.0.0.1:{port}",
    )
    yield Mesh(bus, issuer, registry, settings)
    await server.stop(None)
