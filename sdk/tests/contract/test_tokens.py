"""Tokens: every accepted signature, and the attacks on the others."""

import base64
import hmac
import json
import warnings

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from twinmesh_sdk.adapters.plant_clock import WallClock
from twinmesh_sdk.core.errors import UnauthenticatedError, UnavailableError
from twinmesh_sdk.runtime.auth import Issuer, TokenSource, TokenVerifier
from twinmesh_sdk.testing.clock import SimulatedClock
from twinmesh_sdk.testing.servers import SERVICE_CLIENT, SERVICE_SECRET


@pytest.fixture
async def provider(issuer):
    opened = Issuer(issuer.url)
    yield opened
    await opened.close()


@pytest.fixture
def verifier(provider):
    return TokenVerifier(provider, audience="twinmesh", clock=WallClock())


KEYS = {
    "RS256": lambda: RSAKey.generate_key(2048, {"kid": "k"}),
    "ES256": lambda: ECKey.generate_key("P-256", {"kid": "k"}),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519", {"kid": "k"}),
}


def signed(issuer, header, key, **claims):
    body = issuer.claims(**claims)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc deprecates the older name of Ed25519
        return jwt.encode(header, body, key, algorithms=[header["alg"]])


@pytest.mark.parametrize("algorithm", KEYS)
async def test_every_accepted_signature_verifies(issuer, verifier, algorithm):
    issuer.key = KEYS[algorithm]()
    token = signed(issuer, {"alg": algorithm, "kid": "k"}, issuer.key)

    assert (await verifier.verify(token)).tenant == "acme"


@pytest.mark.parametrize("algorithm", ["PS256", "RS512"])
async def test_no_other_signature_does(issuer, verifier, algorithm):
    token = signed(issuer, {"alg": algorithm, "kid": "first"}, issuer.key)

    with pytest.raises(UnauthenticatedError):
        await verifier.verify(token)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.mark.parametrize("algorithm", ["HS256", "none", "None", ""])
async def test_the_public_key_is_no_shared_secret_and_no_signature_is_none(
    issuer, verifier, algorithm
):
    header = json.dumps({"alg": algorithm, "kid": "first"}).encode()
    content = encoded(header) + b"." + encoded(json.dumps(issuer.claims()).encode())
    public = issuer.key.as_pem(private=False)
    signature = hmac.digest(public, content, "sha256") if algorithm == "HS256" else b""

    with pytest.raises(UnauthenticatedError):
        await verifier.verify((content + b"." + encoded(signature)).decode())


async def test_a_key_that_the_token_brings_along_is_not_believed(issuer, verifier):
    own = RSAKey.generate_key(2048, {"kid": "first"})
    header = {"alg": "RS256", "kid": "first", "jwk": own.as_dict(private=False)}

    with pytest.raises(UnauthenticatedError):
        await verifier.verify(signed(issuer, header, own))


async def test_a_token_without_key_id_verifies_against_the_only_key(issuer, verifier):
    token = signed(issuer, {"alg": "RS256"}, issuer.key)

    assert (await verifier.verify(token)).subject == "planner"


async def test_known_keys_serve_while_the_provider_is_away(issuer, provider, verifier):
    await verifier.verify(issuer.token())
    issuer.away = True

    assert (await verifier.verify(issuer.token(subject="other"))).subject == "other"


async def test_without_keys_the_caller_is_told_to_come_back(issuer, verifier):
    issuer.away = True

    with pytest.raises(UnavailableError):
        await verifier.verify(issuer.token())


async def test_an_issuer_whose_discovery_names_another_is_not_believed(issuer):
    provider = Issuer(issuer.url + "/")
    verifier = TokenVerifier(provider, audience="twinmesh", clock=SimulatedClock())

    with pytest.raises(UnavailableError, match="another issuer"):
        await verifier.verify(issuer.token())
    await provider.close()


async def test_a_services_own_token_is_fetched_once(issuer, provider):
    source = TokenSource(provider, client_id=SERVICE_CLIENT, client_secret=SERVICE_SECRET)

    assert await source.token() == await source.token()


@pytest.mark.parametrize("secret", ["wrong", ""])
async def test_a_service_that_is_not_known_is_told(provider, secret):
    source = TokenSource(provider, client_id=SERVICE_CLIENT, client_secret=secret)

    with pytest.raises(UnavailableError, match=SERVICE_CLIENT):
        await source.token()
