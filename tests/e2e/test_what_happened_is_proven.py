"""The audit log of a live mesh: exported, verified offline, and told apart from a rewritten one."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from twinmesh_local.catalogue import BY_NAME
from twinmesh_local.supervisor.stack import Stack

REALITY = "{ contracts(first: 20) { nodes { service reality { kind name standing } } } }"
REWRITE = """
    UPDATE audit_entries SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), $1, $2), 'UTF8')
    WHERE log = 'acme' AND sequence = 1
"""


@pytest.fixture
def twinmesh(live):
    """Run a command; returns exit code and output."""

    def run(*arguments):
        done = subprocess.run(
            [Path(sys.executable).parent / "twinmesh", *map(str, arguments)],
            env={**os.environ, "TWINMESH_STATE": str(live.mesh.folder)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def published(live, twinmesh, tmp_path):
    """Return the public key, and the heads that governance has published of all there is."""
    key = tmp_path / "key.pem"
    code, said = twinmesh("audit", "head", "--key-out", key)
    assert code == 0, said
    size = json.loads(said)["size"]
    heads = live.mesh.folder / "audit" / "heads.jsonl"
    live.until(lambda: heads.exists() and '"log":"acme"' in heads.read_text())
    live.until(
        lambda: any(
            json.loads(line)["size"] >= size and json.loads(line)["log"] == "acme"
            for line in heads.read_text().splitlines()
        )
    )
    return heads, key


@contextmanager
def rewritten(live):
    """Let somebody who owns the database write history anew, for a while."""
    url = Stack(live.mesh.state).service_env(BY_NAME["governance"])["TWIN_DATABASE_URL"]

    async def rewrite(old, new):
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            async with connection.transaction():
                await connection.execute("ALTER TABLE audit_entries DISABLE TRIGGER USER")
                assert await connection.execute(REWRITE, old, new) == "UPDATE 1"
                await connection.execute("ALTER TABLE audit_entries ENABLE TRIGGER USER")
        finally:
            await connection.close()

    asyncio.run(rewrite('"outcome":"ACCEPTED"', '"outcome":"REFUSED"'))
    try:
        yield
    finally:
        asyncio.run(rewrite('"outcome":"REFUSED"', '"outcome":"ACCEPTED"'))


def test_an_export_is_what_was_signed_until_somebody_rewrites_history(
    live, twinmesh, published, tmp_path
):
    heads, key = published
    log = tmp_path / "log.jsonl"

    def verify():
        assert twinmesh("audit", "export", log)[0] == 0
        return twinmesh("audit", "verify", log, "--heads", heads, "--key", key)

    code, said = verify()
    assert code == 0, said
    assert twinmesh("audit", "prove", 1, "--key", key)[0] == 0
    with rewritten(live):
        code, said = verify()
        assert code == 1, said
        assert "not those that were signed" in said
        assert twinmesh("audit", "prove", 1, "--key", key)[0] == 1
    assert verify()[0] == 0


def test_every_charter_in_force_is_held_against_reality(live):
    plant = "key,name,class,valid_from\nPROVEN,PROVEN,pump,2020-01-01T00:00:00Z\n"
    assert live.import_plant(assets=plant).status == 200

    def measured():
        nodes = live.ask(REALITY).data["contracts"]["nodes"]
        found = {n["service"]: {r["kind"] for r in n["reality"]} for n in nodes}
        return found if found.get("maintenance-twin") else None

    found = live.until(measured, timeout_s=150)
    assert found["maintenance-twin"] == {"FRESHNESS", "COVERAGE", "VOLUME"}


def test_what_is_put_aside_can_be_looked_at_in_a_live_mesh(twinmesh):
    code, said = twinmesh("quarantine", "list", "--json")

    assert code == 0, said
    assert isinstance(json.loads(said), list)
    assert twinmesh("quarantine", "list", "--as", "planner")[0] == 1


def test_readings_that_were_put_aside_are_put_through_again_by_the_same_command(live, twinmesh):
    name = f"LATE-{uuid.uuid4().hex[:6]}"
    live.send_csv(name.lower(), f"ts,device,signal,value\n2026-01-05T08:00:00Z,{name},flow,0.5\n")

    def waiting():
        code, said = twinmesh("quarantine", "readings", "--json", "--limit", "1000")
        assert code == 0, said
        return [row for row in json.loads(said) if row["source"] == name.lower()]

    row = live.until(waiting)[0]
    assert row["reason"] == "UNKNOWN_DEVICE"
    code, said = twinmesh("quarantine", "replay-readings", row["quarantine_id"])
    assert (code, said) == (0, "1 put through again\n")
    assert twinmesh("quarantine", "replay-readings")[0] == 2
