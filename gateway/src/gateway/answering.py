"""The GraphQL door: who may ask, about which times, and what the answer says of itself."""

import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from gateway.consumption import Consumption
from gateway.forwarding import Asked
from gateway.observing import MASKED, count_refusal, count_result
from gateway.request_times import EXTENSION, read_times
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest
from twinmesh_federation.serving import HeaderRules, RateLimiter, RefusedRequest
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import TwinError, UnauthenticatedError
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal
from twinmesh_sdk.core.request import Deadline, caller_token, current_principal
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.runtime.auth import TokenVerifier
from twinmesh_sdk.runtime.failures import HTTP_STATUS, extensions_of

log = logging.getLogger(__name__)

READ_ROLE: Final = "read"
EXPLAIN: Final = "x-twinmesh-explain"


class Answering:
    """Admits requests to the engine and completes what it answers.

    Args:
        limiter: How often each client may ask; None for no limit.
        rules: Which headers go on to subgraphs.
    """

    def __init__(
        self,
        clock: Clock,
        verifier: TokenVerifier,
        consumption: Consumption,
        *,
        answer_timeout_s: float,
        limiter: RateLimiter | None = None,
        rules: HeaderRules | None = None,
    ) -> None:
        self._clock = clock
        self._verifier = verifier
        self._consumption = consumption
        self._answer_timeout_s = answer_timeout_s
        self._limiter = limiter
        self._rules = rules or HeaderRules()

    def admit(self, connection: HTTPConnection, asked: GraphQLRequest) -> Asked | Awaitable[Asked]:
        """Return what is known of a request before it runs.

        Raises:
            RefusedRequest: No token, one that lacks the role or has expired since a WebSocket was
                opened with it, too many requests, or unusable times. An HTTP request's token that
                does not verify was refused by the door before.
        """
        if isinstance(connection, WebSocket):
            return self._admit_socket(connection, asked)
        return self._admit(connection, asked, current_principal, caller_token())

    async def _admit_socket(self, socket: WebSocket, asked: GraphQLRequest) -> Asked:
        known, token = socket.state.caller
        principal = await self._verified(known, token)
        return self._admit(socket, asked, lambda: principal, token)

    def _admit(
        self,
        connection: HTTPConnection,
        asked: GraphQLRequest,
        caller: Callable[[], Principal],
        token: str,
    ) -> Asked:
        try:
            principal = caller()
            principal.require(READ_ROLE)
            if self._limiter is not None:
                self._limiter.take((principal.tenant, principal.client_id))
            times = read_times(asked.extensions, plant_now=self._clock.plant_now(principal.tenant))
        except TwinError as error:
            raise refused(error) from error
        except RefusedRequest as refusal:
            count_refusal(refusal.code, refusal.extensions)
            raise
        return Asked(
            principal=principal,
            token=token,
            times=times,
            deadline=Deadline.after(self._answer_timeout_s),
            explain=connection.headers.get(EXPLAIN, "").strip().lower() == "plan",
            incoming=self._rules.kept(connection.headers),
            about_now=asked.extensions.get(EXTENSION) is None,
            variables=asked.variables,
        )

    async def _verified(self, known: Principal, token: str) -> Principal:
        """Return who a token proves now.

        Raises:
            RefusedRequest: It has expired, or lost what it proved.
        """
        acting = known.tenant if SERVICE_ROLE in known.roles else ""
        try:
            principal = await self._verifier.verify(token, acting_tenant=acting)
            principal.require(READ_ROLE)
        except TwinError as error:
            raise refused(error) from error
        return principal

    async def connect(self, socket: WebSocket, payload: dict[str, Any]) -> None:
        """Authenticate a WebSocket by the payload of its first message, or by its handshake.

        Raises:
            RefusedRequest: There is no token, or it does not verify or lacks the role.
        """
        headers = {
            name.lower(): value
            for name, value in payload.items()
            if isinstance(value, str) and name.lower() in ("authorization", "tm-tenant")
        }
        if "authorization" not in headers and (sent := socket.headers.get("authorization")):
            headers["authorization"] = sent
        try:
            found = await self._verifier.authenticate(headers)
            if found is None:
                raise UnauthenticatedError(
                    "this needs a bearer token",
                    hint='send it in connection_init: {"authorization": "Bearer <token>"}',
                )
            found[0].require(READ_ROLE)
        except TwinError as error:
            raise refused(error) from error
        socket.state.caller = found

    async def renew(self, context: object) -> Asked:
        """Return what holds for the next event of a subscription: a new moment, the same caller.

        Raises:
            RefusedRequest: The caller's token has expired, or lost what it proved.
        """
        assert isinstance(context, Asked)
        principal = await self._verified(context.principal, context.token)
        return Asked(
            principal=principal,
            token=context.token,
            times=read_times(None, plant_now=self._clock.plant_now(principal.tenant)),
            deadline=Deadline.after(self._answer_timeout_s),
            explain=context.explain,
            incoming=context.incoming,
            plan=context.plan,
            variables=context.variables,
        )

    def finish(self, context: object, result: ExecutionResult) -> None:
        """Add `extensions.twinmesh`: times, status per subgraph, worst trust; count the outcome."""
        assert isinstance(context, Asked)
        trace_id = tracing.trace_id()
        subgraphs = {name: r.to_json() for name, r in sorted(result.subgraphs.items())}
        for name, cached in context.cached.items():
            subgraphs.setdefault(name, {})["cached"] = {
                "entities": cached.entities,
                "types": list(cached.types),
                "oldestS": round(cached.oldest_s, 1),
            }
        said: dict[str, Any] = {
            "now": format_time(context.times.now),
            "asOf": format_time(context.times.as_of),
            "knownAt": context.times.known_at and format_time(context.times.known_at),
            "subgraphs": subgraphs,
            "trust": context.trust.as_extension(context.cached),
            "traceId": trace_id,
        }
        if context.explain and context.plan is not None:
            said["plan"] = context.plan.to_json()
            if context.cost is not None:
                said["cost"] = {"field": context.cost.field, "type": context.cost.type}
        result.extensions[EXTENSION] = said
        for error in result.errors:
            error.setdefault("extensions", {}).setdefault("traceId", trace_id)
        count_result(context, result)
        self._consumption.answered(context)


def client_of(_connection: HTTPConnection, context: object) -> Hashable:
    """Return who counts as one client for limits."""
    assert isinstance(context, Asked)
    return context.principal.tenant, context.principal.client_id


def client_of_socket(socket: WebSocket) -> Hashable:
    """Return who counts as one client of a connected WebSocket."""
    principal, _ = socket.state.caller
    return principal.tenant, principal.client_id


def note_masked(errors: list[dict[str, Any]]) -> None:
    """Log what clients do not see."""
    for error in errors:
        extensions = error.get("extensions") or {}
        service = str(extensions.get("serviceName", ""))[:100]
        MASKED.labels(service).inc()
        log.warning(
            "subgraph failed unannounced",
            extra={
                "subgraph": service,
                "code": str(extensions.get("code"))[:100],
                "error": str(error.get("message"))[:500],
                "path": str(error.get("path"))[:300],
            },
        )


def refused(error: TwinError) -> RefusedRequest:
    """Return an error as an answer given before GraphQL sees the request."""
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = 'Bearer realm="twinmesh"'
    details = extensions_of(error, tracing.trace_id())
    code = str(details.pop("code"))
    count_refusal(code, details)
    return RefusedRequest(
        HTTP_STATUS[error.code], code, str(error), headers=headers, extensions=details
    )
