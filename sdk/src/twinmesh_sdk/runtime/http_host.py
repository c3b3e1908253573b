"""The HTTP door: health, metrics, the subgraph, the service's own routes."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    TwinError,
    UnauthenticatedError,
    UnavailableError,
)
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.runtime.entry import Entry
from twinmesh_sdk.runtime.failures import problem_of
from twinmesh_sdk.runtime.http_door import BodyTooLargeError, HttpDoor
from twinmesh_sdk.runtime.probes import Probes

if TYPE_CHECKING:
    import strawberry.federation
    from starlette.middleware import Middleware

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 8 * 2**20
STOP_S: Final = 2
KEEP_ALIVE_S: Final = 30
MAX_CONCURRENT: Final = 1024
MAX_SHOWN_FAULTS: Final = 10
PROBLEM: Final = "application/problem+json"


async def principal() -> Principal:
    """Return the verified caller: `Depends(principal)` makes a route need a token."""
    return current_principal()


class HttpHost:
    """One HTTP server around one FastAPI application.

    Attributes:
        app: The application, for what `add_router` does not offer.
        port: Where it listens, once started.
    """

    def __init__(
        self,
        service: str,
        admission: Entry,
        probes: Probes,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._probes = probes
        self.port = 0
        self.app = FastAPI(title=service, docs_url=None, redoc_url=None)
        self.app.include_router(_health_routes(probes))
        self.app.add_exception_handler(TwinError, _answer_failure)
        self.app.add_exception_handler(HTTPException, _answer_http)
        self.app.add_exception_handler(RequestValidationError, _answer_validation)
        self._asgi = HttpDoor(self.app, admission, probes, max_body_bytes=max_body_bytes)
        self._outermost: ASGIApp = self._asgi
        self._socket_bytes = 0
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def asgi(self) -> HttpDoor:
        """The whole door as an ASGI application, for tests in process."""
        return self._asgi

    def add_router(self, router: APIRouter, *, public: bool = False) -> None:
        """Add routes; unless `public`, each needs a token."""
        self.app.include_router(router, dependencies=[] if public else [Depends(principal)])

    def add_subgraph(
        self, schema: "strawberry.federation.Schema", context: Callable[[], object]
    ) -> None:
        """Serve a schema at `POST /graphql`."""
        from twinmesh_sdk.runtime.graphql_host import GraphqlHost  # noqa: PLC0415 - slow to import

        host: Any = GraphqlHost(schema, context)  # an ASGI application, which Starlette takes too
        self.app.add_route("/graphql", host, methods=["POST"])

    def add_websocket(self, path: str, endpoint: Any, *, max_bytes: int) -> None:  # noqa: ANN401 - ASGI
        """Serve WebSockets at `path`; the endpoint authenticates them itself.

        Args:
            max_bytes: Length of a message; a longer one closes the connection.
        """
        self.app.router.routes.append(WebSocketRoute(path, endpoint))
        self._socket_bytes = max_bytes

    def wrap(self, middleware: "Middleware") -> None:
        """Put middleware around the whole door, so that it sees refusals too."""
        around: Any = middleware.cls
        self._outermost = around(self._outermost, *middleware.args, **middleware.kwargs)

    def open(self) -> None:
        """Take requests from now on, beside health."""
        self._probes.open = True

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            UnavailableError: The port is taken.
        """
        listener = _listen(host, port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._outermost,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            limit_concurrency=MAX_CONCURRENT,
            h11_max_incomplete_event_size=64 * 1024,
            ws="websockets-sansio" if self._socket_bytes else "none",
            ws_max_size=self._socket_bytes or 1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        """Refuse new requests, let those in hand finish for a while."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await asyncio.wait({self._serving}, timeout=STOP_S + 1)
        self._server = self._serving = None


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the service has them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(f"HTTP cannot listen on {host}:{port}") from error
    listener.listen(512)
    listener.setblocking(False)
    return listener


def _health_routes(probes: Probes) -> APIRouter:
    routes = APIRouter()

    @routes.get("/healthz/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        """Answer while the event loop turns."""
        return {"status": "ok"}

    @routes.get("/healthz/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        """Answer 200 when every probe passes, 503 with what is wrong otherwise."""
        report = await probes.report()
        good = all(outcome == "ok" for outcome in report.values())
        body = {"status": "ok" if good else "not ready", "probes": report}
        return JSONResponse(body, status_code=200 if good else 503)

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Answer in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes


def problem_response(error: BaseException) -> Response:
    """Return the problem document of a failure."""
    status, problem = problem_of(error, tracing.trace_id())
    if isinstance(error, BodyTooLargeError):
        status = problem["status"] = 413
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(problem, status_code=status, headers=headers, media_type=PROBLEM)


async def _answer_failure(request: Request, error: Exception) -> Response:
    del request
    return problem_response(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    """Turn what the framework itself refuses into a problem document."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    kinds: dict[int, type[TwinError]] = {
        401: UnauthenticatedError,
        404: NotFoundError,
        413: LimitExceededError,
        429: LimitExceededError,
        503: UnavailableError,
    }
    text = f"{request.method} {request.url.path[:200]}: {getattr(error, 'detail', '')}"
    response = problem_response(kinds.get(status, InvalidInputError)(text))
    response.status_code = status
    return response


async def _answer_validation(request: Request, error: Exception) -> Response:
    del request
    faults: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    shown = "; ".join(
        f"{'.'.join(str(part) for part in fault.get('loc', ()))}: {fault.get('msg', '')}"
        for fault in faults[:MAX_SHOWN_FAULTS]
    )
    return problem_response(InvalidInputError(shown[:1000] or "the request is malformed"))
