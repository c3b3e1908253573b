"""`twinmesh token` and `ask`."""

import json
import sys
from typing import Any, Final

import click

from twinmesh_cli.running import failures_told, mesh
from twinmesh_sdk.core.errors import InvalidInputError, UnavailableError

ASK_S: Final = 30.0
READER: Final = "erp-app"


def chosen(name: str | None, tenant: str | None) -> str:
    """Return the identity that `--as` and `--tenant` mean."""
    from twinmesh_local.mesh import identity_of  # noqa: PLC0415 - see running.mesh

    if name is None and tenant is None:
        return READER
    if name is None and tenant == "acme":
        return READER
    return identity_of(name, tenant)


@click.command()
@click.option("--as", "name", help="author, reviewer, planner, erp-app (the default), outsider.")
@click.option("--tenant", help="acme (the default) or globex.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def token(*, name: str | None, tenant: str | None, as_json: bool) -> None:
    """Print an access token of a demo identity, got with its client credentials."""
    with failures_told():
        identity = chosen(name, tenant)
        value = mesh().token(identity)
    click.echo(json.dumps({"identity": identity, "access_token": value}) if as_json else value)


def post_query(query: str, variables: object, extensions: object, identity: str) -> dict[str, Any]:
    """Ask the gateway; return its whole answer.

    Raises:
        UnavailableError: It does not answer, or not with JSON.
    """
    import httpx  # noqa: PLC0415 - `--help` need not wait for it

    here = mesh()
    body = {"query": query, "variables": variables, "extensions": extensions}
    headers = {"authorization": f"Bearer {here.token(identity)}"}
    try:
        answer = httpx.post(here.gateway_url, json=body, headers=headers, timeout=ASK_S)
        value = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise UnavailableError(f"the gateway does not answer: {error!r}") from error
    if not isinstance(value, dict):
        raise UnavailableError(f"the gateway answers {answer.status_code}: {answer.text[:300]}")
    return value


@click.command()
@click.argument("query")
@click.option("--variables", default="{}", help="A JSON object.")
@click.option("--as", "name", help="As whom to ask; erp-app by default.")
@click.option("--tenant", help="Of which tenant; acme by default.")
@click.option("--as-of", help="Plant time that is asked about, RFC 3339.")
@click.option("--known-at", help="Wall time whose knowledge is asked for, RFC 3339.")
@click.option("--json", "_as_json", is_flag=True, help="The answer is JSON in any case.")
def ask(
    *,
    query: str,
    variables: str,
    name: str | None,
    tenant: str | None,
    as_of: str | None,
    known_at: str | None,
    _as_json: bool,
) -> None:
    """Ask the gateway a GraphQL query (`-` reads it from standard input).

    Exit 1 when the answer has errors; it is printed in any case.
    """
    if query == "-":
        query = sys.stdin.read()
    with failures_told():
        try:
            values = json.loads(variables)
        except ValueError as error:
            raise InvalidInputError(f"--variables is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise InvalidInputError("--variables must be a JSON object")
        times = {k: v for k, v in (("asOf", as_of), ("knownAt", known_at)) if v}
        extensions = {"twinmesh": times} if times else {}
        answer = post_query(query, values, extensions, chosen(name, tenant))
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    raise SystemExit(1 if answer.get("errors") or "data" not in answer else 0)
