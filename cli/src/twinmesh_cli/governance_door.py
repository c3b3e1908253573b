"""How the command line reaches governance: address, token, one call with a deadline."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from twinmesh_sdk.core.errors import TwinError

if TYPE_CHECKING:
    import grpc

DEADLINE_S: Final = 60.0
TOKEN_TIMEOUT_S: Final = 10.0
MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
UNUSABLE: Final = 2
REFUSED: Final = 1


@dataclass(frozen=True, slots=True)
class Door:
    """Where governance is, and as whom to speak with it.

    Attributes:
        address: gRPC host:port; empty for the stack that runs on this machine.
        token: A bearer token; empty to get one.
        identity: The demo identity whose token to get from the stack on this machine.
        client_id: With `client_secret` and `issuer`: client credentials at any OIDC provider.
    """

    address: str
    token: str
    identity: str
    client_id: str
    client_secret: str
    issuer: str

    def bearer(self) -> str:
        """Return the token to send.

        Raises:
            click.ClickException: There is no way to get one.
        """
        if self.token:
            return self.token
        if self.client_id and self.client_secret and self.issuer:
            return _client_credentials(self.issuer, self.client_id, self.client_secret)
        from twinmesh_cli.running import token_of  # noqa: PLC0415 - only without credentials

        return token_of(self.identity)

    def reached_at(self) -> str:
        """Return governance's gRPC address."""
        if self.address:
            return self.address
        from twinmesh_cli.running import governance_address  # noqa: PLC0415 - see above

        return governance_address()


def door_options(default_identity: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that say where governance is and who calls; the command gets a `Door`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(
            *,
            governance: str,
            token: str,
            identity: str,
            client_id: str,
            client_secret: str,
            issuer: str,
            **rest: Any,  # noqa: ANN401 - the command's own options
        ) -> Any:  # noqa: ANN401 - whatever the command returns
            door = Door(governance, token, identity, client_id, client_secret, issuer)
            return command(door=door, **rest)

        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        wrapped.__click_params__ = list(  # type: ignore[attr-defined]  # click keeps options here
            getattr(command, "__click_params__", [])
        )
        for option in (
            click.option(
                "--governance",
                envvar="TWIN_GOVERNANCE_ADDR",
                default="",
                metavar="HOST:PORT",
                help="Governance's gRPC address; by default the stack on this machine.",
            ),
            click.option("--token", envvar="TWIN_TOKEN", default="", help="Bearer token to use."),
            click.option(
                "--as",
                "identity",
                default=default_identity,
                show_default=True,
                help="Demo identity, where the stack on this machine issues the token.",
            ),
            click.option("--client-id", envvar="TWIN_CLIENT_ID", default="", hidden=True),
            click.option("--client-secret", envvar="TWIN_CLIENT_SECRET", default="", hidden=True),
            click.option("--issuer", envvar="TWIN_OIDC_ISSUER", default="", hidden=True),
        ):
            option(wrapped)
        return wrapped

    return decorate


def call(
    door: Door,
    ask: "Callable[[Any], Any]",
    stub_of: "Callable[[grpc.Channel], Any] | None" = None,
) -> Any:  # noqa: ANN401
    """Ask governance one thing.

    Args:
        door: Where and as whom.
        ask: Gets the stub, whose calls carry token and deadline.
        stub_of: The class of the stub; by default `GovernanceServiceStub`.

    Raises:
        SystemExit: 1 when governance refused, 2 when it could not be asked.
    """
    import grpc  # noqa: PLC0415 - 0.1 s that `--help` need not wait for

    from twinmesh.governance.v1.governance_service_pb2_grpc import (  # noqa: PLC0415
        GovernanceServiceStub,
    )

    address = door.reached_at()
    options = [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ]
    with grpc.insecure_channel(address, options=options) as channel:
        stub = (stub_of or GovernanceServiceStub)(_authorised(channel, door.bearer()))
        try:
            return ask(stub)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            unreachable = code in {
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.INVALID_ARGUMENT,
            }
            where = f" (at {address})" if unreachable else ""
            click.echo(f"{code.name}: {details}{where}", err=True)
            raise SystemExit(UNUSABLE if unreachable else REFUSED) from error


def _authorised(channel: "grpc.Channel", token: str) -> "grpc.Channel":
    """Return a channel whose unary calls carry the token and a deadline."""
    import grpc  # noqa: PLC0415 - see `call`

    class Details(NamedTuple):
        method: str
        timeout: float
        metadata: list[tuple[str, str]]
        credentials: None = None
        wait_for_ready: None = None
        compression: None = None

    class Bearer(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # no type arguments at run time
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401
            metadata = [*(details.metadata or ()), ("authorization", f"Bearer {token}")]
            return continuation(Details(details.method, DEADLINE_S, metadata), request)

    return grpc.intercept_channel(channel, Bearer())


def _client_credentials(issuer: str, client_id: str, client_secret: str) -> str:
    import httpx  # noqa: PLC0415 - only with client credentials

    try:
        with httpx.Client(timeout=TOKEN_TIMEOUT_S) as client:
            found = client.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            found.raise_for_status()
            answer = client.post(
                found.json()["token_endpoint"],
                data={"grant_type": "client_credentials"},
                auth=(client_id, client_secret),
            )
            answer.raise_for_status()
            return str(answer.json()["access_token"])
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise click.ClickException(f"no token from {issuer}: {error}") from error


def unusable(error: TwinError) -> SystemExit:
    """Say why the input cannot be used; returns the exit to raise."""
    click.echo(f"{error.code}: {error}" + (f" ({error.hint})" if error.hint else ""), err=True)
    return SystemExit(UNUSABLE)


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
