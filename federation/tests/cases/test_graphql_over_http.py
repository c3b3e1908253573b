"""The 61 server audits of the npm package graphql-http, run through node."""

import asyncio
import json
import socket

import pytest
import uvicorn

from twinmesh_federation import Engine, Subgraph, compose
from twinmesh_federation.http import GraphQLHandler, application
from twinmesh_federation.testing import LocalSubgraphs

PACKAGES = ["graphql-http@1.23.1", "graphql@16.15.0"]
SCRIPT = """
import { auditServer } from 'graphql-http';
const found = [];
for (const r of await auditServer({ url: process.argv[2], fetchFn: fetch })) {
  found.push({ id: r.id, name: r.name, status: r.status, reason: r.reason });
}
console.log(JSON.stringify(found));
"""

pytestmark = pytest.mark.cases


async def test_all_61_audits_of_graphql_over_http_pass(tmp_path, npm):
    supergraph = compose([Subgraph("a", "http://a", "type Query { hello: String }")]).supergraph
    engine = Engine(LocalSubgraphs({}), supergraph=supergraph)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application(engine, GraphQLHandler(engine)), log_level="warning")
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    script = tmp_path / "audit.mjs"
    script.write_text(SCRIPT)
    (tmp_path / "node_modules").symlink_to(npm(*PACKAGES))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/graphql"

    node = await asyncio.create_subprocess_exec(
        "node", str(script), url, stdout=asyncio.subprocess.PIPE, cwd=tmp_path
    )
    output, _ = await asyncio.wait_for(node.communicate(), timeout=120)
    server.should_exit = True
    await serving

    audits = json.loads(output)
    assert [a for a in audits if a["status"] != "ok"] == []
    assert len(audits) == 61
