"""What SQL the time-series store lets through to an engine that could read any file."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_local.tsdb_server.guard import Guard, check_identifiers, check_setting
from twinmesh_local.tsdb_server.refusal import (
    ACCESS_DENIED,
    READONLY,
    SETTING_CONSTRAINT_VIOLATION,
    SUPPORT_IS_DISABLED,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    Refused,
)

GUARD = Guard(
    ["file", "url", "s3", "remote", "numbers", "values", "executable", "sqlite", "python"]
)


def refusal(sql: str, *, writable: bool = True) -> int:
    with pytest.raises(Refused) as refused:
        GUARD.check(sql.encode(), writable=writable)
    return refused.value.code


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 'file(x); -- not code' AS text /* url( */ -- file(\n FORMAT Native",
        "WITH a AS (SELECT number FROM numbers(3)) SELECT * FROM a WHERE number = {n:UInt8}",
        "INSERT INTO t (a, b) SETTINGS insert_deduplication_token = 'x' VALUES (1, 'it''s')",
        "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = ReplacingMergeTree(a) ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 1000",
        "CREATE MATERIALIZED VIEW v TO t AS SELECT * FROM s",
        "SELECT engine FROM system.tables WHERE engine = 'File'",
        'SELECT `a``b`, "c" FROM t SETTINGS max_execution_time = 5',
        "(SELECT 1) UNION ALL (SELECT 2)",
        "ALTER TABLE t DELETE WHERE a = 1;",
    ],
)
def test_ordinary_sql_passes(sql):
    GUARD.check(sql.encode(), writable=True)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM file('/etc/passwd')", ACCESS_DENIED),
        ("SELECT * FROM File /* */ ('/etc/passwd')", ACCESS_DENIED),
        ("SELECT * FROM `file`('/etc/passwd')", ACCESS_DENIED),
        ("SELECT file('/etc/passwd')", ACCESS_DENIED),
        ("SELECT aiClassify('x')", ACCESS_DENIED),
        ("SELECT * FROM '/etc/passwd'", ACCESS_DENIED),
        ('SELECT * FROM "/etc/passwd"', ACCESS_DENIED),
        ("SELECT * FROM default.`/etc/passwd`", ACCESS_DENIED),
        ("SELECT * FROM `default` . x", ACCESS_DENIED),
        ("SELECT 1 INTO OUTFILE '/tmp/x'", ACCESS_DENIED),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", ACCESS_DENIED),
        ("INSERT INTO FUNCTION url('http://x') SELECT 1", ACCESS_DENIED),
        ("CREATE TABLE t AS s3('http://x')", ACCESS_DENIED),
        ("CREATE TABLE t (a UInt8) ENGINE = File(CSV)", SUPPORT_IS_DISABLED),
        ("CREATE TABLE t (a UInt8) ENGINE URL('http://x')", SUPPORT_IS_DISABLED),
        ("CREATE DATABASE d ENGINE = Filesystem('/')", SUPPORT_IS_DISABLED),
        ("CREATE DICTIONARY d (a UInt8) SOURCE(FILE(path '/x'))", SUPPORT_IS_DISABLED),
        ("CREATE FUNCTION f AS x -> x", SUPPORT_IS_DISABLED),
        ("CREATE VIEW a AS SELECT 1 PARALLEL WITH CREATE VIEW b AS SELECT 1", SUPPORT_IS_DISABLED),
        ("ATTACH TABLE t FROM '/x' (a UInt8)", SUPPORT_IS_DISABLED),
        ("BACKUP TABLE t TO File('/x')", SUPPORT_IS_DISABLED),
        ("SYSTEM SHUTDOWN", SUPPORT_IS_DISABLED),
        ("SET max_execution_time = 0", SUPPORT_IS_DISABLED),
        ("USE system", SUPPORT_IS_DISABLED),
        ("SELECT 1; DROP TABLE t", SYNTAX_ERROR),
        ("SELECT 'open", SYNTAX_ERROR),
        ("SELECT $$x$$", SYNTAX_ERROR),
        ("SELECT 1 # comment", SYNTAX_ERROR),
        ("SELECT * FROM file\u00a0('/etc/passwd')", SYNTAX_ERROR),
        ("SELECT \u2018x\u2019", SYNTAX_ERROR),
        ("", SYNTAX_ERROR),
        ("SELECT 1 SETTINGS allow_introspection_functions = 1", UNKNOWN_SETTING),
        ("SELECT 1 SETTINGS max_threads = 1, storage_policy = 'x'", UNKNOWN_SETTING),
        ("SELECT 1 SETTINGS max_execution_time = 0", SETTING_CONSTRAINT_VIOLATION),
        ("SELECT 1 SETTINGS max_execution_time = 3600", SETTING_CONSTRAINT_VIOLATION),
        ("CREATE TABLE t (a Int8) ENGINE Memory SETTINGS disk = 'x'", UNKNOWN_SETTING),
        ("ALTER TABLE t MODIFY SETTING storage_policy = 'x'", UNKNOWN_SETTING),
    ],
)  # fmt: skip
def test_what_reaches_outside_the_store_is_refused(sql, code):
    assert refusal(sql) == code


def test_get_requests_only_read():
    assert refusal("DROP TABLE t", writable=False) == READONLY


def test_the_data_of_an_insert_are_not_read_as_sql():
    sql = b"INSERT INTO t (a) FORMAT Native\n\x01\x02'; file( \xff"

    found = GUARD.check(sql, writable=True)

    assert (found.verb, found.format) == ("insert", "Native")
    assert sql[found.data_at :] == b"\x01\x02'; file( \xff"
    assert sql[: found.infile_at] == b"INSERT INTO t (a) "


def test_data_that_begin_with_a_line_end_keep_it():
    sql = b"INSERT INTO t FORMAT Native\n\n\x01"

    assert sql[GUARD.check(sql, writable=True).data_at :] == b"\n\x01"


def test_a_parameter_cannot_smuggle_a_path_as_an_identifier():
    found = GUARD.check(b"SELECT * FROM {t:Identifier} WHERE a = {v:String}", writable=True)

    check_identifiers(found, {"t": "readings", "v": "/etc/passwd"})
    for value in ("/etc/passwd", "default", "a.b", ""):
        with pytest.raises(Refused):
            check_identifiers(found, {"t": value})


def test_settings_are_allow_listed():
    check_setting("join_use_nulls", "1")
    with pytest.raises(Refused):
        check_setting("user_files_path", "/")


@given(st.text(max_size=60))
def test_a_string_literal_hides_nothing_and_is_never_refused(text):
    literal = text.replace("\\", "\\\\").replace("'", "\\'")

    GUARD.check(f"SELECT '{literal}'".encode(), writable=False)


@given(st.binary(max_size=80))
def test_any_bytes_are_let_through_or_refused_but_never_crash(sql):
    with suppress(Refused):
        GUARD.check(sql, writable=True)
