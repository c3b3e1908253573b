"""Every server of the default stack answers its own client, and nobody without credentials."""

import asyncpg
import clickhouse_connect
import httpx
import nats
import neo4j
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

pytestmark = pytest.mark.stack


async def test_nats_needs_credentials_and_keeps_what_it_acknowledged(private_nats):
    with pytest.raises(nats.errors.Error):
        await nats.connect(private_nats.url, allow_reconnect=False, connect_timeout=2)
    client = await nats.connect(**private_nats.options)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept.>"])
    await jetstream.publish("kept.x", b"1")
    await client.close()

    private_nats.server.kill()
    private_nats.server.restart()

    client = await nats.connect(**private_nats.options)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_a_role_sees_its_own_database_only(postgres_server, database_url):
    url = database_url.replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT current_user = current_database()")
    await connection.close()

    other = postgres_server.make_database().rsplit("/", 1)[1]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncpg.connect(url.rsplit("/", 1)[0] + "/" + other)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace("@", "x@"))


@pytest.fixture(params=["arcadedb", pytest.param("neo4j_server", marks=pytest.mark.neo4j)])
def graph(request):
    return request.getfixturevalue(request.param)


async def test_the_graph_answers_the_neo4j_driver_and_refuses_a_wrong_password(graph):
    async with neo4j.AsyncGraphDatabase.driver(graph.uri, auth=graph.auth) as driver:
        answer = await driver.execute_query("RETURN 1 AS one", database_=graph.database)
        assert answer.records[0]["one"] == 1

    async with neo4j.AsyncGraphDatabase.driver(graph.uri, auth=(graph.user, "no")) as driver:
        with pytest.raises(neo4j.exceptions.AuthError):
            await driver.verify_connectivity()


async def test_the_time_series_store_answers_an_unmodified_client(tsdb_server, tsdb_database):
    client = await clickhouse_connect.get_async_client(dsn=tsdb_server.url, database=tsdb_database)
    await client.command("CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
    await client.insert("t", [[1, "x"], [2, "y"]], column_names=["a", "b"])
    found = await client.query("SELECT b FROM t WHERE a = {a:UInt8}", parameters={"a": 2})
    await client.close()

    assert found.result_rows == [("y",)]


def test_a_token_verifies_against_the_published_keys(issuer):
    keys = KeySet.import_key_set(httpx.get(issuer.url + "/jwks").json())

    claims = jwt.decode(issuer.token("planner"), keys).claims

    assert (claims["iss"], claims["aud"]) == (issuer.url, "twinmesh")
    assert (claims["tenant"], claims["roles"]) == ("acme", ["read", "work.write"])


def test_a_wrong_secret_gets_no_token(issuer):
    form = {"grant_type": "client_credentials", "client_id": "planner", "client_secret": "no"}
    assert httpx.post(issuer.token_url, data=form).status_code == 401
