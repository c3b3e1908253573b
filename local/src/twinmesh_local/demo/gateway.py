"""Asking the mesh as any enterprise application does: one graph, a bearer token."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from twinmesh_sdk.core.errors import InvalidInputError, TwinError, UnavailableError

CALL_S: Final = 30.0
RETRY_S: Final = 0.3
TOKEN_S: Final = 120.0
"""A token is renewed after so long."""

Answer = dict[str, Any]


class Graph:
    """The gateway, as one caller.

    Args:
        url: Of the graph.
        token: Returns a fresh access token.
    """

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        self._url = url
        self._fresh = token
        self._token = ""
        self._token_at_s = float("-inf")
        self._http = httpx.Client(timeout=CALL_S)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def raw(self, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """Ask, and return the whole response as it came: data, errors, extensions.

        Raises:
            UnavailableError: The gateway does not answer.
            InvalidInputError: It refuses the request.
        """
        if time.monotonic() - self._token_at_s > TOKEN_S:
            self._token, self._token_at_s = self._fresh(), time.monotonic()
        try:
            answer = self._http.post(
                self._url,
                json={"query": query, "variables": dict(variables or {})},
                headers={"authorization": f"Bearer {self._token}"},
            )
        except httpx.HTTPError as error:
            raise UnavailableError(f"the gateway does not answer: {error!r}") from error
        if answer.status_code >= 500:
            raise UnavailableError(f"the gateway answers {answer.status_code}")
        try:
            body = answer.json()
        except ValueError as error:
            raise UnavailableError(f"the gateway answers {answer.status_code}, no JSON") from error
        if not isinstance(body, dict) or "data" not in body:
            raise InvalidInputError(f"the gateway refuses: {str(body)[:500]}")
        return body

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and return the data.

        Raises:
            UnavailableError: The gateway does not answer, or a subgraph's part is missing.
            InvalidInputError: The request is refused.
        """
        body = self.raw(query, variables)
        if errors := body.get("errors"):
            first = errors[0]
            code = (first.get("extensions") or {}).get("code", "")
            raise UnavailableError(f"{code} {first.get('message')} at {first.get('path')}")
        data: dict[str, Any] = body["data"]
        return data

    def whole(
        self, query: str, variables: Mapping[str, Any] | None = None, *, deadline_s: float
    ) -> Answer:
        """Ask until the response has no errors; in vain, return the last one as it came.

        Raises:
            TwinError: There was none at all.
        """
        until = time.monotonic() + deadline_s
        while True:
            try:
                body = self.raw(query, variables)
            except TwinError:
                if time.monotonic() > until:
                    raise
            else:
                if not body.get("errors") or time.monotonic() > until:
                    return body
            time.sleep(RETRY_S)

    def ask_until(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        deadline_s: float,
    ) -> dict[str, Any]:
        """Ask until there is a whole answer, for restarts are normal.

        Raises:
            TwinError: There was none in time; the last reason.
        """
        until = time.monotonic() + deadline_s
        while True:
            try:
                return self.ask(query, variables)
            except TwinError:
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_S)
