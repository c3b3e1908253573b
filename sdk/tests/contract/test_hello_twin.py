"""The example in `examples/hello-twin`, run as a stranger would: a process of its own."""

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from twinmesh.twin.v1 import twin_service_pb2, twin_service_pb2_grpc
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.testing.mesh import register
from twinmesh_sdk.testing.servers import SERVICE_CLIENT, SERVICE_SECRET, free_port

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "hello-twin"
READY_S = 30.0
STOP_S = 5.0
HANDWRITTEN = ("*.toml", "src/**/*.py", "src/**/*.yaml")


@asynccontextmanager
async def process(nats, issuer, *, http_port, grpc_port, **more):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(FOLDER / "src"),
        "TWIN_HTTP_PORT": str(http_port),
        "TWIN_GRPC_PORT": str(grpc_port),
        "TWIN_NATS_URL": nats.url,
        "TWIN_OIDC_ISSUER": issuer.url,
        "TWIN_CLIENT_ID": SERVICE_CLIENT,
        "TWIN_CLIENT_SECRET": SERVICE_SECRET,
        **more,
    }
    twin = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hello_twin", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield twin
    finally:
        if twin.returncode is None:
            twin.kill()
        await twin.wait()


async def until_ready(client):
    async with asyncio.timeout(READY_S):
        while True:
            try:
                if (await client.get("/healthz/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_it_greets_in_batches_describes_itself_and_stops_in_time(nats, bus, issuer):
    http_port, grpc_port = free_port(), free_port()
    await register(bus, Contract.read(FOLDER / "src" / "hello_twin" / "contract"))
    query = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Asset { hello } } }"
    keys = [{"__typename": "Asset", "id": f"ast_{n}"} for n in range(3)]
    async with (
        process(nats, issuer, http_port=http_port, grpc_port=grpc_port) as twin,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{http_port}") as client,
    ):
        await until_ready(client)
        headers = {**issuer.headers(), "tm-now": "2026-01-05T08:30:00Z"}
        body = {"query": query, "variables": {"r": keys}}
        answer = (await client.post("/graphql", json=body, headers=headers)).json()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            described = await twin_service_pb2_grpc.TwinServiceStub(channel).Describe(
                twin_service_pb2.DescribeRequest(),
                metadata=[("authorization", f"Bearer {issuer.token()}")],
            )
        began = time.monotonic()
        twin.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(twin.wait(), 2 * STOP_S)

    hellos = [entity["hello"] for entity in answer["data"]["_entities"]]
    assert hellos[2] == "Hello planner, ast_2 here; it is 08:30 in the plant."
    assert described.name == "hello-twin"
    assert described.charter["owner"]["team"] == "Greetings"
    assert code == 0
    assert time.monotonic() - began < STOP_S


async def test_a_misspelt_setting_stops_it_at_once(nats, issuer):
    more = {"TWIN_HTP_HOST": "0.0.0.0"}
    async with process(nats, issuer, http_port=0, grpc_port=0, **more) as twin:
        _, output = await asyncio.wait_for(twin.communicate(), READY_S)

    assert twin.returncode != 0
    assert b"TWIN_HTP_HOST" in output


@pytest.mark.parametrize("most", [120])
def test_it_is_small(most):
    files = [path for pattern in HANDWRITTEN for path in FOLDER.glob(pattern)]

    assert len(files) >= 5
    assert sum(len(path.read_text().splitlines()) for path in files) <= most
