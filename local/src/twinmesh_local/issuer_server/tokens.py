"""Signs tokens. The key stays in the state folder, so tokens survive a restart."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from twinmesh_local.secret_files import write_secret

ALGORITHM: Final = "RS256"
KEY_BITS: Final = 2048
LIFETIME_S: Final = 3600


def load_key(path: Path) -> RSAKey:
    """Return the signing key, made at the first call."""
    if not path.exists():
        made = RSAKey.generate_key(KEY_BITS, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        write_secret(path, made.as_pem(private=True).decode())
    return RSAKey.import_key(
        path.read_text(), {"use": "sig", "alg": ALGORITHM, "kid": _kid(path.read_text())}
    )


def _kid(pem: str) -> str:
    return RSAKey.import_key(pem).thumbprint()


def mint(
    key: RSAKey,
    *,
    issuer: str,
    client_id: str,
    tenant: str,
    roles: Sequence[str],
    audience: str = "twinmesh",
    lifetime_s: float = LIFETIME_S,
) -> str:
    """Return a signed access token; a negative lifetime makes one that has expired."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": client_id,
        "aud": audience,
        "client_id": client_id,
        "tenant": tenant,
        "roles": list(roles),
        "iat": min(now, now + int(lifetime_s)),
        "exp": now + int(lifetime_s),
    }
    header = {"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}
    return jwt.encode(header, claims, key, algorithms=[ALGORITHM])
