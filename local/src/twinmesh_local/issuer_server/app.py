"""The issuer's doors: discovery, keys, client credentials."""

import base64
import binascii
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote_plus

from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from twinmesh_local.issuer_server.clients import Client, load_clients
from twinmesh_local.issuer_server.tokens import ALGORITHM, LIFETIME_S, mint

MAX_FORM_BYTES: Final = 8192
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Issuer:
    """Answers OAuth 2.0 client credentials (RFC 6749, 4.4) with JWT access tokens (RFC 9068)."""

    def __init__(self, *, url: str, key: RSAKey, clients_file: Path) -> None:
        self._url = url
        self._key = key
        self._clients_file = clients_file
        self._clients: dict[str, Client] = {}
        self._read_at_ns = -1

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.jwks),
                Route("/token", self.token, methods=["POST"]),
                Route("/healthz/live", self.live),
            ]
        )

    async def live(self, _request: Request) -> Response:
        """Say that the process answers."""
        return PlainTextResponse("ok\n")

    async def discovery(self, _request: Request) -> Response:
        """Describe the issuer (OpenID Connect Discovery 1.0)."""
        return JSONResponse(
            {
                "issuer": self._url,
                "token_endpoint": f"{self._url}/token",
                "jwks_uri": f"{self._url}/jwks",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
            }
        )

    async def jwks(self, _request: Request) -> Response:
        """Publish the public key."""
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def token(self, request: Request) -> Response:
        """Answer one client's credentials with a token."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_FORM_BYTES:
                return _refused("invalid_request", "the form is too large", 413)
        try:
            form = {k: v[0] for k, v in parse_qs(body.decode(), max_num_fields=20).items()}
            client_id, secret = _credentials(request.headers.get("authorization", ""), form)
        except (UnicodeDecodeError, ValueError, binascii.Error):
            return _refused("invalid_request", "the form or the credentials cannot be read", 400)
        if form.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "only client_credentials", 400)
        client = self._known().get(client_id)
        if client is None or not client.accepts(secret):
            return _refused("invalid_client", "unknown client, or not its secret", 401)
        token = mint(
            self._key,
            issuer=self._url,
            client_id=client.client_id,
            tenant=client.tenant,
            roles=client.roles,
        )
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_S},
            headers=_NO_STORE,
        )

    def _known(self) -> dict[str, Client]:
        """Return the clients, read anew when the file changed: twins join while we run."""
        changed_ns = self._clients_file.stat().st_mtime_ns
        if changed_ns != self._read_at_ns:
            self._clients = load_clients(self._clients_file)
            self._read_at_ns = changed_ns
        return self._clients


def _credentials(authorization: str, form: dict[str, str]) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() == "basic":
        pair = base64.b64decode(encoded, validate=True).decode()
        client_id, _, secret = pair.partition(":")
        return unquote_plus(client_id), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _refused(error: str, description: str, status: int) -> Response:
    headers = {**_NO_STORE, "WWW-Authenticate": "Basic"} if status == 401 else _NO_STORE
    body = {"error": error, "error_description": description}
    return JSONResponse(body, status_code=status, headers=headers)
