"""Pytest fixtures: put `pytest_plugins = ["twinmesh_sdk.testing.fixtures"]` in a conftest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.testing.clock import SimulatedClock
from twinmesh_sdk.testing.servers import NatsServer, TestIssuer, issuer_server, nats_server


@pytest.fixture
def clock() -> SimulatedClock:
    """Time that the test sets."""
    return SimulatedClock()


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server of this test."""
    async with nats_server(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[MeshNats]:
    """A connection to it, the mesh's streams made."""
    async with MeshNats(nats.url, name="test") as connected:
        await ensure_streams(connected)
        yield connected


@pytest.fixture
async def issuer() -> AsyncIterator[TestIssuer]:
    """An issuer of tokens of this test."""
    async with issuer_server() as server:
        yield server
