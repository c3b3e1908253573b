"""Subscriptions spoken with the protocols' implementations, graphql-ws and graphql-sse of npm."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from twinmesh_federation import Engine, HttpSubgraphClient, Subgraph, compose
from twinmesh_federation.http import GraphQLHandler, WebSocketEndpoint, application
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.subscriptions import AiohttpSubscriptionClient, Subscriptions
from twinmesh_federation.testing.servers import served

PACKAGES = ["graphql-ws@6.0.6", "graphql-sse@2.6.0", "graphql@16.15.0", "ws@8.18.3"]
SDL = "type Query { hi: String } type Subscription { tick(n: Int!): Int }"
SUBGRAPH = """
import http from 'http';
import { buildSchema } from 'graphql';
import { createHandler } from 'graphql-sse/lib/use/http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
const schema = buildSchema(process.argv[3]);
schema.getSubscriptionType().getFields().tick.subscribe = async function* (_, { n }) {
  for (let tick = 0; tick < n; tick++) yield { tick };
};
const overHttp = createHandler({ schema });
const server = http.createServer((req, res) => {
  if (process.argv[2] === 'sse') return overHttp(req, res);
  res.writeHead(400, { 'content-type': 'application/json' });
  res.end('{"errors": [{"message": "no events over HTTP"}]}');
});
if (process.argv[2] === 'ws') {
  useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }));
}
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""
CLIENT = """
import { createClient as overWebSocket } from 'graphql-ws';
import { createClient as overEventStream } from 'graphql-sse';
import WebSocket from 'ws';
const url = process.argv[2];
const heard = (client) => new Promise((done, failed) => {
  const got = [];
  client.subscribe(
    { query: 'subscription ($n: Int!) { tick(n: $n) }', variables: { n: 3 } },
    { next: (v) => got.push(v.data.tick), error: failed, complete: () => done(got) },
  );
});
const ws = await heard(overWebSocket({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket }));
const sse = await heard(overEventStream({ url }));
console.log(JSON.stringify({ ws, sse }));
process.exit(0);
"""

pytestmark = pytest.mark.cases


@asynccontextmanager
async def node(folder, script, *arguments):
    """Run a script; gives its process."""
    process = await asyncio.create_subprocess_exec(
        "node", str(folder / script), *arguments, stdout=asyncio.subprocess.PIPE, cwd=folder
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("spoken", ["sse", "ws"])
async def test_clients_and_subgraphs_of_both_protocols_understand_the_gateway(
    tmp_path, npm, spoken
):
    (tmp_path / "node_modules").symlink_to(npm(*PACKAGES))
    (tmp_path / "subgraph.mjs").write_text(SUBGRAPH)
    (tmp_path / "client.mjs").write_text(CLIENT)
    async with node(tmp_path, "subgraph.mjs", spoken, SDL) as subgraph:
        port = int(await asyncio.wait_for(subgraph.stdout.readline(), timeout=30))
        url = f"http://127.0.0.1:{port}/graphql"
        engine = Engine(
            HttpSubgraphClient(), supergraph=compose([Subgraph("ticks", url, SDL)]).supergraph
        )
        subscriptions = Subscriptions(engine, AiohttpSubscriptionClient())
        pipeline = Pipeline(engine, subscriptions=subscriptions)
        app = application(
            engine,
            GraphQLHandler(pipeline),
            websocket=WebSocketEndpoint(pipeline),
            on_stop=[subscriptions.close],
        )
        async with (
            served(app) as gateway,
            node(tmp_path, "client.mjs", gateway + "/graphql") as client,
        ):
            output, _ = await asyncio.wait_for(client.communicate(), timeout=30)
    assert json.loads(output) == {"ws": [0, 1, 2], "sse": [0, 1, 2]}
