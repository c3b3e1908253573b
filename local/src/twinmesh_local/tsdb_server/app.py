"""The ASGI application: ClickHouse's HTTP interface as clickhouse-connect uses it, and no more."""

import base64
import binascii
import gzip
import hmac
import json
import logging
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import uuid4

import lz4.frame  # type: ignore[import-untyped]

from twinmesh_local.tsdb_server.engine import HOME, Engine, EngineError, Query, Result
from twinmesh_local.tsdb_server.guard import READS, check_identifiers, check_setting
from twinmesh_local.tsdb_server.refusal import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    CANNOT_DECOMPRESS,
    HTTP_STATUS,
    LIMIT_EXCEEDED,
    Refused,
)

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 67_108_864
MAX_PARAMETERS: Final = 200
USER: Final = "twinmesh"

# What the transport itself understands or may ignore: no setting of a query.
_TRANSPORT: Final = frozenset(
    {"query", "database", "default_format", "user", "password", "query_id", "session_id",
     "session_timeout", "session_check", "buffer_size", "wait_end_of_query", "compress",
     "decompress", "client_protocol_version", "quota_key", "role", "enable_http_compression",
     "send_progress_in_http_headers", "http_headers_progress_interval_ms",
     "cancel_http_readonly_queries_on_client_close", "http_write_exception_in_output_format",
     "http_response_buffer_size"}
)  # fmt: skip
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_FORMAT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}")
_QUERY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

Scope = Mapping[str, Any]


class TsdbApp:
    """One engine, one user, one password."""

    def __init__(self, engine: Engine, *, password: str) -> None:
        self._engine = engine
        self._password = password

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer one request, or follow the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        if scope["path"] in {"/ping", "/replicas_status"}:
            await _answer(send, 200, b"Ok.\n", {})
            return
        parameters = dict(
            parse_qsl(scope["query_string"].decode("latin-1"), True, max_num_fields=MAX_PARAMETERS)
        )
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        query_id = parameters.get("query_id", "")
        query_id = query_id if _QUERY_ID.fullmatch(query_id) else str(uuid4())
        named = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": "UTC"}
        try:
            self._authenticate(parameters, headers)
            body = await _body(receive, headers)
            query = self._query(scope, parameters, headers, body)
            result = await self._engine.run(query)
        except Refused as error:
            await _fail(send, error.code, error.text, named)
        except EngineError as error:
            await _fail(send, error.code, error.text, named)
        else:
            await _answer(send, 200, result.data, {**named, **_described(query, result)})

    async def _live(self, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Close the engine when the server has answered its last request."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _authenticate(self, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
        user, password = _credentials(parameters, headers)
        right = hmac.compare_digest(password.encode(), self._password.encode())
        if user != USER or not right:
            raise Refused(AUTHENTICATION_FAILED, "Authentication failed: wrong user or password.")

    def _query(
        self, scope: Scope, parameters: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Query:
        given = parameters.get("query", "").encode()
        sql = given + b"\n" + body if given and body else given or body
        statement = self._engine.guard.check(sql, writable=scope["method"] == "POST")
        database = parameters.get("database") or headers.get("x-clickhouse-database") or HOME
        if not _IDENTIFIER.fullmatch(database):
            raise Refused(BAD_ARGUMENTS, "The database's name is no identifier.")
        wanted = (
            parameters.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
        )
        if not _FORMAT.fullmatch(wanted):
            raise Refused(BAD_ARGUMENTS, "The format's name is no identifier.")
        values = {k[6:]: v for k, v in parameters.items() if k.startswith("param_")}
        check_identifiers(statement, values)
        return Query(
            sql=sql,
            statement=statement,
            database=HOME if database.lower() == "default" else database,
            parameters=values,
            settings=_settings(parameters),
            format=statement.format or wanted,
        )


def _settings(parameters: Mapping[str, str]) -> dict[str, str]:
    settings = {
        k: v for k, v in parameters.items() if k not in _TRANSPORT and not k.startswith("param_")
    }
    for name, value in settings.items():
        check_setting(name, value)
    return settings


def _credentials(parameters: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """Return user and password from wherever ClickHouse takes them."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    return parameters.get("user", ""), parameters.get("password", "")


async def _body(receive: Any, headers: Mapping[str, str]) -> bytes:  # noqa: ANN401 - ASGI
    """Return the body, decompressed.

    Raises:
        Refused: It is larger than the limit, before or after decompression, or not what it says.
    """
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return _decompressed(b"".join(parts), headers.get("content-encoding", ""))


def _too_large() -> Refused:
    return Refused(LIMIT_EXCEEDED, f"The body is larger than {MAX_BODY_BYTES} bytes.")


def _decompressed(body: bytes, encoding: str) -> bytes:
    try:
        match encoding.lower():
            case "" | "identity":
                return body
            case "lz4":
                plain = lz4.frame.LZ4FrameDecompressor().decompress(body, MAX_BODY_BYTES + 1)
            case "gzip" | "deflate":
                plain = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, MAX_BODY_BYTES + 1)
            case _:
                raise Refused(CANNOT_DECOMPRESS, "Content-Encoding is none of lz4, gzip, deflate.")
    except (RuntimeError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(CANNOT_DECOMPRESS, f"The body does not decompress: {error}.") from error
    if len(plain) > MAX_BODY_BYTES:
        raise _too_large()
    return bytes(plain)


def _described(query: Query, result: Result) -> dict[str, str]:
    summary = {
        "read_rows": str(result.read_rows),
        "read_bytes": str(result.read_bytes),
        "written_rows": str(result.written_rows),
        "result_bytes": str(len(result.data)),
    }
    described = {"X-ClickHouse-Summary": json.dumps(summary)}
    if query.statement.verb in READS:
        described["X-ClickHouse-Format"] = query.format
    return described


async def _fail(send: Any, code: int, text: str, headers: Mapping[str, str]) -> None:  # noqa: ANN401 - ASGI
    log.info("query refused", extra={"db.response.status_code": code})
    body = text.encode() + b"\n"
    answer = {**headers, "X-ClickHouse-Exception-Code": str(code), "Connection": "close"}
    await _answer(send, HTTP_STATUS.get(code, 500), body, answer)


async def _answer(send: Any, status: int, body: bytes, headers: Mapping[str, str]) -> None:  # noqa: ANN401 - ASGI
    listed = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(len(body)),
        **headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in listed.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
