"""Each migration Job's command prepares its store, and can be repeated."""

import os
import subprocess
import sys

import pytest

POSTGRES = ("telemetry", "maintenance_twin", "energy_twin", "governance")


def run(package, **settings):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")}
    environment |= {"TWIN_OIDC_ISSUER": "http://127.0.0.1:1", **settings}
    return subprocess.run(
        [sys.executable, "-m", package, "migrate"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.stack
@pytest.mark.parametrize("package", POSTGRES)
def test_a_database_is_migrated_twice_without_harm(package, database_url, tsdb_server):
    settings = {"TWIN_DATABASE_URL": database_url}
    if package == "telemetry":
        settings["TWIN_CLICKHOUSE_URL"] = tsdb_server.url
        settings["TWIN_CLICKHOUSE_DATABASE"] = tsdb_server.make_database()
    for _ in range(2):
        done = run(package, **settings)
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.stack
def test_the_graph_is_migrated_twice_without_harm(arcadedb):
    for _ in range(2):
        done = run(
            "asset_registry",
            TWIN_NEO4J_URI=arcadedb.uri,
            TWIN_NEO4J_USER=arcadedb.user,
            TWIN_NEO4J_PASSWORD=arcadedb.password,
            TWIN_NEO4J_DATABASE=arcadedb.database,
        )
        assert done.returncode == 0, done.stderr[-2000:]


def test_an_unknown_mode_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "energy_twin", "migrat"],
        env={**os.environ, "TWIN_OIDC_ISSUER": "http://127.0.0.1:1", "TWIN_DATABASE_URL": "x"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "usage" in done.stderr
