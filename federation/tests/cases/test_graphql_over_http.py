"""The 61 server audits of the npm package graphql-http, run through node."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import uvicorn

from twinmesh_federation import Engine, Subgraph, compose
from twinmesh_federation.http import GraphQLHandler, application
from twinmesh_federation.testing import LocalSubgraphs

PACKAGES = ["graphql-http@1.23.1", "graphql@16.15.0"]
GIVEN = os.environ.get("TWINMESH_NODE_MODULES")
CACHE = Path.home() / ".cache" / "twinmesh" / "node"
INSTALL_S = 180
SCRIPT = """
import { auditServer } from 'graphql-http';
const found = [];
for (const r of await auditServer({ url: process.argv[2], fetchFn: fetch })) {
  found.push({ id: r.id, name: r.name, status: r.status, reason: r.reason });
}
console.log(JSON.stringify(found));
"""

pytestmark = pytest.mark.cases


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """Return a folder with graphql-http: the given one, else installed once into the cache."""
    if GIVEN is not None:
        return Path(GIVEN)
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node 18 or later with npm, or set TWINMESH_NODE_MODULES")
    folder = CACHE / "-".join(PACKAGES).replace("@", "-")
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            ["npm", "install", "--prefix", str(folder), *options, *PACKAGES],
            capture_output=True, text=True, timeout=INSTALL_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.skip(f"npm installs no graphql-http here: {done.stderr.strip()[-300:]}")
        (folder / "installed").touch()
    return folder / "node_modules"


async def test_all_61_audits_of_graphql_over_http_pass(tmp_path, node_modules):
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
    (tmp_path / "node_modules").symlink_to(node_modules)
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
