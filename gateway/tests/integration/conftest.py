"""The gateway on a real bus, in front of subgraphs that the test serves."""

import hashlib
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from gateway.app import build
from gateway.settings import GatewaySettings
from twinmesh_federation import Subgraph, compose
from twinmesh_federation.testing.local import LocalSubgraph
from twinmesh_federation.testing.servers import EventSubgraph
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.runtime import TwinService
from twinmesh_sdk.testing.fixtures import bus, issuer, nats
from twinmesh_sdk.testing.mesh import register, running, settings_for

__all__ = ["bus", "issuer", "nats"]

LINK = """extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
                               import: ["@key", "@cost", "@listSize", "@requiresScopes"])
"""
ASSETS = (
    LINK
    + """
type Query {
  assets(first: Int): [Asset!]! @listSize(slicingArguments: ["first"], assumedSize: 3,
    requireOneSlicingArgument: false)
}
type Asset @key(fields: "id") { id: ID! name: String }
"""
)
WORK = (
    LINK
    + """
type Query {
  items: [Item!]! boom: Int @cost(weight: 5)
  secret: Int @requiresScopes(scopes: [["work.write"]])
}
type Subscription { itemChanged: Item }
type Item @key(fields: "id") { id: ID! asset: Asset }
type Asset @key(fields: "id") { id: ID! items: [Item!] }
"""
)


def resolve(source, info, **args):
    if info.field_name == "assets":
        return [{"id": str(n), "name": f"pump {n}"} for n in range(args.get("first") or 3)]
    if info.field_name == "boom":
        raise RuntimeError("a secret of the house")
    if info.field_name == "items":
        return [{"id": "w1", "asset": {"id": "1"}}]
    return (source or {}).get(info.field_name)


def subgraph(sdl):
    return EventSubgraph(
        LocalSubgraph(
            sdl,
            resolve=resolve,
            resolve_entity=lambda r: {**r, "name": f"pump {r['id']}"},
            resolve_type=lambda value, info: value["__typename"],
        )
    )


@dataclass
class Front:
    """A running gateway and what stands behind it."""

    service: TwinService
    bus: MeshNats
    issuer: object
    session: aiohttp.ClientSession
    subgraphs: dict[str, EventSubgraph]
    urls: dict[str, str]
    sdls: dict[str, str] = field(default_factory=lambda: {"assets": ASSETS, "work": WORK})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.service.http_port}/graphql"

    async def publish(self):
        """Put a supergraph in force, as governance would."""
        composed = compose([Subgraph(n, self.urls[n], sdl) for n, sdl in self.sdls.items()])
        text = composed.supergraph_sdl.encode()
        digest = hashlib.sha256(text).hexdigest()
        await (await self.bus.objects("bundles")).put(f"supergraph/{digest}", text)
        pointer = {"digest": digest, "object": f"supergraph/{digest}", "subgraphs": self.urls}
        await (await self.bus.kv("contracts")).put("supergraph", json.dumps(pointer).encode())

    async def ask(self, query=None, *, headers=None, token=True, **body):
        """Ask; returns status, body, headers."""
        sent = {**(self.issuer.headers() if token else {}), **(headers or {})}
        asked = {"query": query, **body} if query else body
        async with self.session.post(self.url, json=asked, headers=sent) as response:
            return response.status, await response.json(), response.headers

    @asynccontextmanager
    async def socket(self, payload):
        ws = await self.session.ws_connect(self.url, protocols=("graphql-transport-ws",))
        await ws.send_json({"type": "connection_init", "payload": payload})
        try:
            yield ws
        finally:
            await ws.close()


@pytest.fixture
async def front(nats, bus, issuer):
    """Return a factory of running gateways."""
    async with AsyncExitStack() as stack:

        async def make(**settings):
            subgraphs = {"assets": subgraph(ASSETS), "work": subgraph(WORK)}
            urls = {
                name: await stack.enter_async_context(s.serving()) for name, s in subgraphs.items()
            }
            service = build(
                settings_for(GatewaySettings, nats_url=nats.url, issuer=issuer.url, **settings)
            )
            session = await stack.enter_async_context(aiohttp.ClientSession())
            made = Front(service, bus, issuer, session, subgraphs, urls)
            await register(bus, Contract.load("gateway"))
            await made.publish()
            await stack.enter_async_context(running(service))
            return made

        yield make
