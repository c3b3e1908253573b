"""ClickHouse's HTTP interface, from outside: credentials, limits, codes, no way to the files."""

import asyncio
import datetime as dt
import gzip
import json
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
import lz4.frame
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from twinmesh_local.tsdb_server.app import MAX_BODY_BYTES

pytestmark = pytest.mark.stack


@pytest.fixture(params=["tsdb_server", "clickhouse"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def database(server):
    name = server.make_database()
    yield name
    server.drop_database(name)


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def client(request, server, database):
    opened = clickhouse_connect.get_client(
        dsn=server.url, database=database, compress=request.param
    )
    yield opened
    opened.close()


def door(tsdb_server):
    parts = urlsplit(tsdb_server.url)
    return httpx.Client(
        base_url=f"http://127.0.0.1:{parts.port}", auth=(parts.username, parts.password), timeout=30
    )


READINGS = """CREATE TABLE readings (
    tenant LowCardinality(String), at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD), value Float64
) ENGINE = ReplacingMergeTree ORDER BY (tenant, at)
SETTINGS non_replicated_deduplication_window = 1000"""
T0 = dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC)


def test_rows_arrow_and_parameters_make_the_round_trip(client):
    client.command(READINGS)
    client.insert("readings", [["a'\n\\", T0, 1.5]], column_names=["tenant", "at", "value"])
    table = pa.table(
        {"tenant": ["b"], "at": pa.array([0], pa.timestamp("us", "UTC")), "value": [2.5]}
    )
    assert client.insert_arrow("readings", table).written_rows == 1

    found = client.query(
        "SELECT tenant, value FROM readings WHERE tenant IN {t:Array(String)} ORDER BY value",
        parameters={"t": ["a'\n\\", "b"]},
    )
    assert found.result_rows == [("a'\n\\", 1.5), ("b", 2.5)]
    assert client.query_arrow("SELECT count() AS n FROM readings").to_pydict() == {"n": [2]}


def test_a_batch_with_the_same_token_is_stored_once(client):
    client.command(READINGS)
    for _ in range(3):
        client.insert(
            "readings",
            [["a", T0, 1.0]],
            column_names=["tenant", "at", "value"],
            settings={"insert_deduplication_token": "RAW:1-1", "insert_deduplicate": 1},
        )

    assert client.query("SELECT count() FROM readings").result_rows == [(1,)]


def test_a_setting_holds_for_its_query_only(client):
    sql = "SELECT getSetting('join_use_nulls')"

    assert client.query(sql, settings={"join_use_nulls": 1}).result_rows == [(True,)]
    assert client.query(sql).result_rows == [(False,)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM nowhere", 60),
        ("SELECT * FROM nowhere.t", 81),
        ("SELECT noSuchFunction(1)", 46),
        ("SELECT (1", 62),
        ("SELECT {x:UInt8}", 456),
        ("SELECT sleepEachRow(1) FROM numbers(3) SETTINGS max_execution_time = 1", 159),
    ],
)
def test_failures_carry_clickhouse_codes(client, sql, code):
    with pytest.raises(DatabaseError, match=f"code: {code}"):
        client.query(sql)


async def test_a_long_query_does_not_hold_up_others(server, database):
    client = await clickhouse_connect.get_async_client(dsn=server.url, database=database)
    long = asyncio.create_task(client.query("SELECT sleep(2)"))
    quick = [await client.query("SELECT 1") for _ in range(5)]

    assert not long.done()
    assert all(q.result_rows == [(1,)] for q in quick)
    await long
    await client.close()


def test_nobody_comes_in_without_the_password(tsdb_server):
    with door(tsdb_server) as known:
        base = str(known.base_url)
    attempts = [
        httpx.post(base, content="SELECT 1"),
        httpx.post(base, content="SELECT 1", auth=("twinmesh", "wrong")),
        httpx.post(base, content="SELECT 1", auth=("default", "")),
        httpx.post(base, content="SELECT 1", headers={"Authorization": "Basic %%%"}),
        httpx.post(base, content="SELECT 1", headers={"X-ClickHouse-User": "twinmesh"}),
        httpx.get(base, params={"query": "SELECT 1", "user": "twinmesh", "password": "x"}),
    ]

    assert {answer.status_code for answer in attempts} == {403}
    assert {answer.headers["X-ClickHouse-Exception-Code"] for answer in attempts} == {"516"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM default.`/etc/passwd`",
        "SELECT file('/etc/passwd')",
        "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "DESCRIBE TABLE '/etc/passwd'",
        "SELECT * FROM twinmesh.`../../../../etc/passwd`",
    ],
)
@pytest.mark.parametrize("database", ["", "default", "twinmesh", "system"])
def test_no_query_reads_a_file(tsdb_server, sql, database):
    with door(tsdb_server) as client:
        answer = client.post("/", params={"database": database}, content=sql)

    assert answer.status_code in {400, 403, 404, 501}
    assert "root:" not in answer.text


def test_no_query_writes_a_file(tsdb_server, tmp_path):
    target = tmp_path / "written"
    with door(tsdb_server) as client:
        for sql in (
            f"SELECT 1 INTO OUTFILE '{target}'",
            f"INSERT INTO FUNCTION file('{target}', 'CSV', 'a UInt8') SELECT 1",
            f"CREATE TABLE t (a UInt8) ENGINE = File(CSV, '{target}')",
        ):
            assert client.post("/", content=sql).status_code >= 400

    assert not target.exists()


def test_a_body_beyond_the_limit_is_refused_packed_or_not(tsdb_server):
    with door(tsdb_server) as client:
        declared = client.post("/", content=b"0" * (MAX_BODY_BYTES + 1))
        bomb = client.post(
            "/",
            params={"query": "INSERT INTO t FORMAT TSV"},
            content=gzip.compress(b"0" * (MAX_BODY_BYTES + 10)),
            headers={"Content-Encoding": "gzip"},
        )

    assert (declared.status_code, bomb.status_code) == (413, 413)


@pytest.mark.parametrize("encoding", ["lz4", "gzip", "br"])
def test_a_body_that_does_not_decompress_is_refused(tsdb_server, encoding):
    with door(tsdb_server) as client:
        answer = client.post("/", content=b"SELECT 1", headers={"Content-Encoding": encoding})

    assert answer.headers["X-ClickHouse-Exception-Code"] == "271"


def test_compressed_bodies_are_read(tsdb_server):
    with door(tsdb_server) as client:
        for encoding, body in (
            ("lz4", lz4.frame.compress(b"SELECT 41 + 1")),
            ("gzip", gzip.compress(b"SELECT 41 + 1")),
        ):
            answer = client.post("/", content=body, headers={"Content-Encoding": encoding})
            assert answer.text == "42\n"


def test_an_answer_says_what_was_read_and_in_which_format(tsdb_server):
    with door(tsdb_server) as client:
        answer = client.post(
            "/", params={"query_id": "q-1"}, content="SELECT 1 AS a FORMAT JSONEachRow"
        )

    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["X-ClickHouse-Query-Id"] == "q-1"
    assert "read_rows" in json.loads(answer.headers["X-ClickHouse-Summary"])
    assert answer.text == '{"a":1}\n'


def test_an_acknowledged_insert_survives_a_kill(tsdb_server, tsdb_database):
    with door(tsdb_server) as client:
        params = {"database": tsdb_database}
        client.post(
            "/", params=params, content="CREATE TABLE k (a UInt32) ENGINE MergeTree ORDER BY a"
        )
        insert = "INSERT INTO k SELECT number FROM numbers(5000)"
        assert client.post("/", params=params, content=insert).status_code == 200

    tsdb_server.server.kill()
    tsdb_server.server.restart()

    with door(tsdb_server) as client:
        assert client.post("/", params=params, content="SELECT count() FROM k").text == "5000\n"


def test_its_files_are_for_its_owner_only(tsdb_server):
    folder = Path(tsdb_server.server.program.env["TSDB_FOLDER"])

    assert folder.stat().st_mode & 0o077 == 0
