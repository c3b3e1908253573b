"""hello-twin joins a running mesh; the gateway is neither changed nor restarted."""

import tomllib
from pathlib import Path

HELLO = Path(__file__).resolve().parents[2] / "examples/hello-twin"
MAX_LINES = 120


def test_hello_twin_joins_a_running_mesh(live):
    live.import_plant(assets="key,name,class,valid_from\nHELLO,HELLO,pump,2020-01-01T00:00:00Z\n")
    before = live.mesh.pid("gateway")
    query = '{ assetByAlias(system: "plant", value: "HELLO") { name hello } }'
    assert live.ask(query).body["errors"]

    live.mesh.join(HELLO)

    def answered():
        answer = live.ask(query)
        return not answer.body.get("errors") and answer.data["assetByAlias"]["hello"]

    assert live.until(answered, timeout_s=60).startswith("Hello")
    assert live.mesh.pid("gateway") == before
    rows = {row["name"]: row["state"] for row in live.mesh.status()["processes"]}
    assert rows["hello-twin"] == "READY"


def test_hello_twin_is_small():
    written = [
        path
        for path in HELLO.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "schema.graphql"
    ]
    lines = sum(len(path.read_text().splitlines()) for path in written)
    assert 0 < lines <= MAX_LINES, f"{lines} hand-written lines"


def test_hello_twin_depends_on_the_sdk_only():
    project = tomllib.loads((HELLO / "pyproject.toml").read_text())["project"]
    assert [d.split(">")[0].split("=")[0] for d in project["dependencies"]] == ["twinmesh-sdk"]
