"""The plant's own identity: a token by client credentials, renewed before it expires."""

import time
from typing import Final

import httpx

from twinmesh_sdk.core.errors import UnauthenticatedError, UnavailableError

MARGIN_S: Final = 30.0
CALL_S: Final = 5.0


class TokenSource:
    """Gets tokens from the issuer's token endpoint."""

    def __init__(self, http: httpx.AsyncClient, *, url: str, client: str, secret: str) -> None:
        self._http = http
        self._url = url
        self._client = client
        self._secret = secret
        self._token = ""
        self._until_s = 0.0

    async def token(self) -> str:
        """Return a token that is good for a while yet.

        Raises:
            UnauthenticatedError: The issuer refuses these credentials.
            UnavailableError: It does not answer.
        """
        if time.monotonic() < self._until_s:
            return self._token
        try:
            answer = await self._http.post(
                self._url,
                data={
                    "grant_type": "client_credentials",
                    "client_id": self._client,
                    "client_secret": self._secret,
                },
                timeout=CALL_S,
            )
        except httpx.HTTPError as error:
            raise UnavailableError(f"the issuer does not answer: {error!r}") from error
        if answer.status_code >= 500:
            raise UnavailableError(f"the issuer answers {answer.status_code}")
        if answer.status_code != 200:
            raise UnauthenticatedError(f"the issuer refuses client {self._client}")
        body = answer.json()
        self._token = str(body["access_token"])
        self._until_s = time.monotonic() + float(body.get("expires_in", 60)) - MARGIN_S
        return self._token
