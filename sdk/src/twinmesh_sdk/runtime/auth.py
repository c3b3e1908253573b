"""Tokens in: verified against the issuer's keys. Tokens out: this service's own."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey
from joserfc.jws import extract_compact

from twinmesh_sdk.core.errors import (
    ForbiddenError,
    InvalidInputError,
    UnauthenticatedError,
    UnavailableError,
)
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal
from twinmesh_sdk.ports.clock import Clock

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
MAX_TOKEN_CHARS: Final = 8192
MAX_ROLES: Final = 64
MAX_KEYS: Final = 64
MAX_DOCUMENT_BYTES: Final = 2**20
LEEWAY_S: Final = 30.0
KEYS_LIVE_S: Final = 600.0
REFRESH_AT_MOST_EVERY_S: Final = 5.0
VERIFIED_LIVE_S: Final = 30.0
MAX_VERIFIED: Final = 2048
HTTP_TIMEOUT_S: Final = 5.0
RENEW_BEFORE_S: Final = 30.0
ANY_TENANT: Final = "*"

_NO_TOKEN: Final = "get one with `twinmesh token`, or from your provider"  # noqa: S105 - a hint


class Issuer:
    """The OpenID provider's documents: discovery, keys.

    Args:
        jwks_url: Where its keys are; empty asks discovery.
        token_url: Where it issues tokens; empty asks discovery.
    """

    def __init__(self, url: str, *, jwks_url: str = "", token_url: str = "") -> None:
        self.url = url
        self._jwks_url = jwks_url
        self._token_url = token_url
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> "httpx.AsyncClient":
        """The HTTP client: no redirects, short deadline."""
        if self._client is None:
            import httpx  # noqa: PLC0415 - slow to import, and needed after start-up only

            self._client = httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, follow_redirects=False)
        return self._client

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def keys(self) -> KeySet:
        """Fetch the public keys.

        Raises:
            UnavailableError: The provider does not answer, or not with keys.
        """
        if not self._jwks_url:
            self._jwks_url = await self._discovered("jwks_uri")
        document = await self._fetch(self._jwks_url)
        listed = document.get("keys")
        found: list[Key] = [
            k for key in (listed or [])[:MAX_KEYS] if (k := _public_key(key)) is not None
        ]
        if not found:
            raise UnavailableError("the identity provider publishes no usable key")
        return KeySet(found)

    async def token_url(self) -> str:
        """Return where tokens are issued.

        Raises:
            UnavailableError: Discovery does not answer.
        """
        if not self._token_url:
            self._token_url = await self._discovered("token_endpoint")
        return self._token_url

    async def _discovered(self, name: str) -> str:
        document = await self._fetch(self.url.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self.url:
            raise UnavailableError(
                f"discovery names another issuer than {self.url}", hint="check TWIN_OIDC_ISSUER"
            )
        value = document.get(name)
        if not isinstance(value, str):
            raise UnavailableError(f"discovery does not name a {name}")
        return value

    async def _fetch(self, url: str) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - see `client`

        try:
            response = await self.client.get(url)
            response.raise_for_status()
            if len(response.content) > MAX_DOCUMENT_BYTES:
                raise UnavailableError(f"the document at {url} is too large")
            document = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"identity provider does not answer at {url}") from error
        if not isinstance(document, dict):
            raise UnavailableError(f"the document at {url} is no object")
        return document


def _public_key(raw: object) -> RSAKey | ECKey | OKPKey | None:
    """Return a signature key of a JWKS; None for what we would not verify with."""
    if not isinstance(raw, dict) or raw.get("use", "sig") != "sig":
        return None
    kinds: dict[object, type[RSAKey] | type[ECKey] | type[OKPKey]] = {
        "RSA": RSAKey,
        "EC": ECKey,
        "OKP": OKPKey,
    }
    kind = kinds.get(raw.get("kty"))
    if kind is None:
        return None
    try:
        return kind.import_key(raw)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


class TokenVerifier:
    """Turns a bearer token into a `Principal`, or refuses it.

    Keys are cached; an unknown key id fetches them again, at most every few seconds. While the
    provider is away the cached keys serve.
    """

    def __init__(self, issuer: Issuer, *, audience: str, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._keys: KeySet | None = None
        self._kids: frozenset[str | None] = frozenset()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._verified: dict[bytes, tuple[float, float, Principal, bool]] = {}

    async def authenticate(self, headers: Mapping[str, str]) -> tuple[Principal, str] | None:
        """Return the caller and the token; None when no `authorization` was sent.

        Args:
            headers: Lower-case names; `authorization` and `tm-tenant` are read.

        Raises:
            UnauthenticatedError: The token does not verify.
            InvalidInputError: A service's token without the tenant it acts for.
            ForbiddenError: Another token names a tenant that is not its own.
            UnavailableError: The keys cannot be had.
        """
        given = headers.get("authorization", "")
        if not given:
            return None
        scheme, _, token = given.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError("authorization must be `Bearer <token>`", hint=_NO_TOKEN)
        return await self.verify(token, acting_tenant=headers.get("tm-tenant", "")), token

    async def verify(self, token: str, *, acting_tenant: str = "") -> Principal:
        """Return who a token proves; see `authenticate` for what is raised."""
        if len(token) > MAX_TOKEN_CHARS:
            raise UnauthenticatedError("token is too long", hint=_NO_TOKEN)
        principal, any_tenant = await self._proven(token)
        return _for_tenant(principal, any_tenant=any_tenant, wanted=acting_tenant)

    async def _proven(self, token: str) -> tuple[Principal, bool]:
        fingerprint = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(fingerprint)
        if known is not None:
            live_until, expires_at, principal, any_tenant = known
            if time.monotonic() < live_until and self._now() < expires_at + LEEWAY_S:
                return principal, any_tenant
        claims = await self._claims(token)
        principal, any_tenant, expires_at = self._principal(claims)
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        live_until = time.monotonic() + VERIFIED_LIVE_S
        self._verified[fingerprint] = (live_until, expires_at, principal, any_tenant)
        return principal, any_tenant

    def _now(self) -> float:
        return self._clock.wall_now().timestamp()

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = extract_compact(token.encode("ascii")).headers()
        except (JoseError, ValueError, TypeError) as error:
            raise UnauthenticatedError("token is not a signed JWT", hint=_NO_TOKEN) from error
        if header.get("alg") not in ALGORITHMS:
            raise UnauthenticatedError("token is signed with a method that is not accepted")
        keys = await self._keys_for(header.get("kid"))
        try:
            return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
        except (JoseError, ValueError, TypeError) as error:
            raise UnauthenticatedError("token does not verify", hint=_NO_TOKEN) from error

    async def _keys_for(self, kid: object) -> KeySet:
        if self._stale(kid):
            async with self._fetching:
                if self._stale(kid):
                    await self._fetch_keys()
        if self._keys is None:
            raise UnavailableError("the keys of the identity provider are not known yet")
        return self._keys

    def _stale(self, kid: object) -> bool:
        now = time.monotonic()
        if now - self._tried_at < REFRESH_AT_MOST_EVERY_S and self._keys is not None:
            return False
        return self._keys is None or kid not in self._kids or now - self._fetched_at > KEYS_LIVE_S

    async def _fetch_keys(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._keys = await self._issuer.keys()
        except UnavailableError as error:
            if self._keys is None:
                raise
            log.warning("keys could not be refreshed", extra={"error": str(error)})
            return
        self._kids = frozenset(key.kid for key in self._keys.keys)
        self._fetched_at = time.monotonic()

    def _principal(self, claims: Mapping[str, Any]) -> tuple[Principal, bool, float]:
        now = self._now()
        if claims.get("iss") != self._issuer.url:
            raise UnauthenticatedError("token is from another issuer", hint=_NO_TOKEN)
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise UnauthenticatedError(f"token is not for {self._audience}", hint=_NO_TOKEN)
        expires_at = _number(claims, "exp")
        if now >= expires_at + LEEWAY_S:
            raise UnauthenticatedError("token has expired", hint=_NO_TOKEN)
        for name in ("nbf", "iat"):
            if name in claims and now < _number(claims, name) - LEEWAY_S:
                raise UnauthenticatedError("token is not valid yet")
        roles = claims.get("roles", [])
        if not isinstance(roles, list) or len(roles) > MAX_ROLES:
            raise UnauthenticatedError(f"roles must be a list of at most {MAX_ROLES}")
        subject = _text(claims, "sub")
        client = claims.get("client_id") or claims.get("azp") or subject
        tenant = _text(claims, "tenant")
        held = frozenset(str(role)[:64] for role in roles)
        any_tenant = tenant == ANY_TENANT
        if any_tenant and SERVICE_ROLE not in held:
            raise UnauthenticatedError("only services of the mesh are bound to no tenant")
        try:
            bound = Tenant("mesh" if any_tenant else tenant)
        except InvalidInputError as error:
            raise UnauthenticatedError("the token's tenant is malformed") from error
        return Principal(subject, str(client)[:128], bound, held), any_tenant, expires_at


def _for_tenant(principal: Principal, *, any_tenant: bool, wanted: str) -> Principal:
    """Apply `tm-tenant`: a service names the tenant it acts for, nobody else may."""
    if SERVICE_ROLE in principal.roles:
        if wanted:
            return Principal(
                principal.subject, principal.client_id, Tenant(wanted), principal.roles
            )
        if any_tenant:
            raise InvalidInputError(
                "a service must name the tenant it acts for", hint="send tm-tenant"
            )
        return principal
    if wanted and wanted != principal.tenant:
        raise ForbiddenError("only a service of the mesh may act for another tenant")
    return principal


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnauthenticatedError(f"token lacks a usable {name}")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise UnauthenticatedError(f"token lacks a usable {name}")
    return value


class TokenSource:
    """This service's own token, by client credentials; cached until shortly before it expires."""

    def __init__(self, issuer: Issuer, *, client_id: str, client_secret: str) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._token = ""
        self._renew_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def token(self) -> str:
        """Return a token.

        Raises:
            UnavailableError: The provider does not answer, or refuses this client.
        """
        if time.monotonic() >= self._renew_at:
            async with self._fetching:
                if time.monotonic() >= self._renew_at:
                    await self._fetch()
        return self._token

    async def _fetch(self) -> None:
        if not self._client_id:
            raise UnavailableError(
                "this service has no credentials of its own",
                hint="set TWIN_CLIENT_ID and TWIN_CLIENT_SECRET",
            )
        import httpx  # noqa: PLC0415 - see `Issuer.client`

        asked_at = time.monotonic()
        try:
            response = await self._issuer.client.post(
                await self._issuer.token_url(),
                data={"grant_type": "client_credentials"},
                auth=(self._client_id, self._client_secret),
            )
            response.raise_for_status()
            answer = response.json()
            token, lifetime_s = str(answer["access_token"]), float(answer.get("expires_in", 60))
        except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
            raise UnavailableError(
                f"the identity provider gave {self._client_id} no token"
            ) from error
        self._token = token
        self._renew_at = asked_at + max(lifetime_s - RENEW_BEFORE_S, lifetime_s / 2)
