"""`twinmesh federation`: compose subgraphs, plan queries, run a plain gateway."""

from __future__ import annotations

import gc
import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import httpx
import orjson
import uvicorn
from graphql import GraphQLError, parse, specified_rules, validate

from twinmesh_cli import plain_gateway as plain
from twinmesh_federation import (
    CompositionFailed,
    CompositionIssue,
    Deadlines,
    DeduplicatingClient,
    Engine,
    ExecutorOptions,
    HttpSubgraphClient,
    Limits,
    PlanError,
    Planner,
    Resilience,
    ResilientClient,
    Subgraph,
    SubgraphClient,
    Supergraph,
    SupergraphError,
    load_supergraph,
)
from twinmesh_federation import compose as compose_all
from twinmesh_federation.execution.rules import SelectionsAreNotEmpty
from twinmesh_federation.serving import (
    AutomaticDocuments,
    DocumentPolicy,
    ErrorMasking,
    HeaderRulesError,
    ManifestError,
    RateLimit,
    read_manifest,
)

MAX_INPUT_BYTES: Final = 64 * 1024 * 1024
FETCH_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 1.0
"""A plain gateway would rather ask once than early; in the mesh, some subgraph may hang."""
_SDL_QUERY: Final = "{ _service { sdl } }"


@click.group()
def federation() -> None:
    """Compose subgraphs, plan queries, run a plain federation gateway."""


@federation.command()
@click.argument("subgraphs", nargs=-1, metavar="NAME=FILE_OR_URL...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the supergraph here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Compose each line of a file: {"id", "services": [{"name", "sdl"}]}.',
)
def compose(
    subgraphs: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    batch: Path | None,
) -> None:
    """Compose subgraphs into a supergraph; exit 1 with the errors if they do not fit."""
    if batch is not None:
        if subgraphs or output is not None:
            raise click.UsageError("--batch takes neither subgraphs nor --output.")
        _compose_batch(batch)
        return
    if not subgraphs:
        raise click.UsageError("Name at least one subgraph, as NAME=FILE_OR_URL.")

    result = compose_all([_subgraph(item) for item in subgraphs])
    if isinstance(result, CompositionFailed):
        _print_json(_failure(result))
        sys.exit(1)
    if output is not None:
        try:
            output.write_text(result.supergraph_sdl, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        _print_json(
            {"errors": [], "output": str(output)}
            if output is not None
            else {"errors": [], "supergraph": result.supergraph_sdl}
        )
    elif output is None:
        click.echo(result.supergraph_sdl, nl=False)


@federation.command()
@click.argument("query_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--supergraph",
    "supergraph_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--operation-name", help="Which operation, where the file has several.")
@click.option("--override-label", multiple=True, help="A progressive override that is on.")
def plan(
    query_file: Path,
    supergraph_file: Path,
    operation_name: str | None,
    override_label: tuple[str, ...],
) -> None:
    """Print the query plan of an operation as JSON."""
    supergraph = _load(supergraph_file)
    try:
        document = parse(_read(query_file))
        invalid = validate(
            supergraph.api_schema, document, [*specified_rules, SelectionsAreNotEmpty]
        )
        if invalid:
            _refuse([(e.message, "GRAPHQL_VALIDATION_FAILED") for e in invalid])
        found = Planner(supergraph).plan(
            document, operation_name, override_labels=frozenset(override_label)
        )
    except GraphQLError as error:
        _refuse([(error.message, "GRAPHQL_PARSE_FAILED")])
    except PlanError as error:
        _refuse([(str(error), error.code)])
    _print_json(found.to_json())


@federation.command()
@click.option(
    "--supergraph",
    "supergraph_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A supergraph in the join specification.",
)
@click.option(
    "--subgraphs",
    "subgraphs_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='A JSON list [{"name", "url", "sdl"}], composed at start.',
)
@click.option("--port", required=True, type=click.IntRange(0, 65535))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Demand this bearer token of every GraphQL request.",
)
@click.option("--subgraph-timeout", default=10.0, show_default=True, help="Seconds per request.")
@click.option(
    "--deadline", multiple=True, metavar="SUBGRAPH=SECONDS", help="For one subgraph; repeatable."
)
@click.option(
    "--attempts",
    default=2,
    show_default=True,
    type=click.IntRange(1, 10),
    help="Requests per query to a subgraph that cannot be reached, the first included.",
)
@click.option("--forward-header", multiple=True, metavar="NAME", help="Send it on; repeatable.")
@click.option(
    "--share-requests",
    is_flag=True,
    help="Let equal queries under way, by the headers sent on, share one request.",
)
@click.option("--request-timeout", default=30.0, show_default=True, help="Seconds per operation.")
@click.option("--introspection/--no-introspection", default=True, show_default=True)
@click.option("--max-depth", default=32, show_default=True, type=click.IntRange(1))
@click.option("--max-aliases", default=500, show_default=True, type=click.IntRange(0))
@click.option("--max-field-cost", type=click.FloatRange(0), help="By @cost; none by default.")
@click.option("--max-type-cost", type=click.FloatRange(0), help="By @cost and @listSize.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Requests a second per client."
)
@click.option("--cors-origin", multiple=True, help="Origin of pages that may ask; repeatable.")
@click.option("--strict-csrf", is_flag=True, help="Demand a preflight header of every GET.")
@click.option(
    "--persisted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A manifest of persisted documents.",
)
@click.option("--safelist", is_flag=True, help="Answer documents of the manifest only.")
@click.option(
    "--subscriptions-by",
    multiple=True,
    metavar="SUBGRAPH=ws|sse",
    help="How a subgraph sends events, found out unless named; repeatable.",
)
@click.option(
    "--hot-reload", is_flag=True, help="Reload when the file changes, not on SIGHUP only."
)
@click.option("--mask-errors", is_flag=True, help="Hide errors whose code is not the engine's.")
def serve(  # noqa: PLR0917 - click passes by name
    supergraph_file: Path | None,
    subgraphs_file: Path | None,
    port: int,
    host: str,
    token_file: Path | None,
    subgraph_timeout: float,
    deadline: tuple[str, ...],
    attempts: int,
    forward_header: tuple[str, ...],
    share_requests: bool,
    request_timeout: float,
    introspection: bool,
    max_depth: int,
    max_aliases: int,
    max_field_cost: float | None,
    max_type_cost: float | None,
    rate: float | None,
    cors_origin: tuple[str, ...],
    strict_csrf: bool,
    persisted: Path | None,
    safelist: bool,
    subscriptions_by: tuple[str, ...],
    hot_reload: bool,
    mask_errors: bool,
) -> None:
    """Serve a supergraph at /graphql without the mesh; /healthz says when it is ready."""
    if (supergraph_file is None) == (subgraphs_file is None):
        raise click.UsageError("Give either --supergraph or --subgraphs.")
    if token_file is None and not _is_loopback(host):
        raise click.UsageError(
            f"{host} is not a loopback address: it is served only with --token-file."
        )
    if safelist and persisted is None:
        raise click.UsageError("--safelist needs --persisted.")

    def load() -> Supergraph:
        if supergraph_file is not None:
            return _load(supergraph_file)
        assert subgraphs_file is not None
        return _composed(subgraphs_file)

    supergraph = load()
    options = ExecutorOptions(
        deadlines=Deadlines(
            request_s=request_timeout,
            subgraph_s=subgraph_timeout,
            by_subgraph=_deadlines(deadline, supergraph),
            patience_s=PATIENCE_S,
        ),
        limits=Limits(
            depth=max_depth,
            aliases=max_aliases,
            field_cost=max_field_cost or 0,
            type_cost=max_type_cost or 0,
        ),
        introspection=introspection,
    )
    try:
        forwarded = plain.forwarding(forward_header)
    except HeaderRulesError as error:
        raise click.UsageError(f"--forward-header: {error}.") from error
    client: SubgraphClient = ResilientClient(HttpSubgraphClient(), Resilience(attempts=attempts))
    if share_requests:
        client = DeduplicatingClient(client, sorted(forwarded.names))
    engine = Engine(
        client, supergraph=supergraph, options=options, hooks=plain.Forwarding(forwarded)
    )
    door = plain.Door(
        token=None if token_file is None else _token(token_file),
        documents=_documents(persisted, safelist=safelist),
        rate=None if rate is None else RateLimit(rate, max(1, int(2 * rate))),
        origins=frozenset(cors_origin),
        strict_csrf=strict_csrf,
        protocols=_protocols(subscriptions_by),
        masking=ErrorMasking() if mask_errors else None,
        forwarded=forwarded,
    )
    watched = (supergraph_file or subgraphs_file) if hot_reload else None
    reload = plain.Reload(engine, load, watched=watched)
    uvicorn.run(
        plain.gateway(engine, door, reload=reload), host=host, port=port,
        log_level="warning", access_log=False,
        server_header=False, date_header=False, timeout_graceful_shutdown=5,
        ws="websockets-sansio", ws_max_size=plain.MAX_MESSAGE_BYTES,
    )  # fmt: skip


def _token(path: Path) -> str:
    token = _read(path).strip()
    if not token:
        raise click.UsageError("The token file is empty.")
    return token


def _documents(path: Path | None, *, safelist: bool) -> DocumentPolicy:
    try:
        persisted = {} if path is None else read_manifest(path)
    except ManifestError as error:
        raise click.ClickException(str(error)) from error
    return DocumentPolicy(persisted=persisted, safelist=safelist, automatic=AutomaticDocuments())


def _protocols(items: tuple[str, ...]) -> dict[str, str]:
    found = dict(item.rpartition("=")[::2] for item in items)
    for name, protocol in found.items():
        if not name or protocol not in ("ws", "sse"):
            raise click.UsageError("--subscriptions-by takes SUBGRAPH=ws or SUBGRAPH=sse.")
    return found


def _deadlines(given: tuple[str, ...], supergraph: Supergraph) -> dict[str, float]:
    names = {graph.name for graph in supergraph.graphs.values()}
    found: dict[str, float] = {}
    for item in given:
        name, _, seconds = item.partition("=")
        try:
            found[name] = float(seconds)
        except ValueError:
            raise click.UsageError(f"--deadline {item!r} is not SUBGRAPH=SECONDS.") from None
        if name not in names:
            raise click.UsageError(f"--deadline: no subgraph {name!r}; there are {sorted(names)}.")
        if not 0 < found[name] < float("inf"):
            raise click.UsageError(f"--deadline {item!r} needs seconds above 0.")
    return found


def _compose_batch(path: Path) -> None:
    """Compose line by line; the answer to each is one line, in order."""
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)  # parsed documents have no cycles; one line's are soon gone
    try:
        _compose_lines(path)
    finally:
        gc.set_threshold(*thresholds)


def _compose_lines(path: Path) -> None:
    out = sys.stdout.buffer
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            case = orjson.loads(line)
            inputs = [
                Subgraph(str(s["name"]), str(s.get("url") or ""), str(s["sdl"]))
                for s in case["services"]
            ]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise click.ClickException(f"{path}, line {number}: not a case: {error}") from error
        result = compose_all(inputs)
        errors = result.errors if isinstance(result, CompositionFailed) else ()
        answer = {
            "id": case.get("id"),
            "ok": not errors,
            "codes": sorted({e.code for e in errors}),
        }
        out.write(orjson.dumps(answer) + b"\n")
    out.flush()


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_INPUT_BYTES):
            yield line


def _subgraph(item: str) -> Subgraph:

    name, separator, source = item.partition("=")
    if not separator or not name or not source:
        raise click.UsageError(f"{item!r} is not NAME=FILE_OR_URL.")
    if source.startswith(("http://", "https://")):
        return Subgraph(name, source, _fetch_sdl(name, source))
    path = Path(source)
    if not path.is_file():
        raise click.UsageError(f"{source} is neither a file nor a URL.")
    return Subgraph(name, f"http://{name}/graphql", _read(path))


def _fetch_sdl(name: str, url: str) -> str:
    """Ask a running subgraph for its SDL; without it there is nothing to compose."""
    try:
        response = httpx.post(
            url, json={"query": _SDL_QUERY}, timeout=FETCH_TIMEOUT_S, follow_redirects=False
        )
        sdl = response.json()["data"]["_service"]["sdl"]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        _untold(name, f"{url} did not tell its SDL: {error or type(error).__name__}")
    if not isinstance(sdl, str) or len(sdl) > MAX_INPUT_BYTES:
        _untold(name, f"{url} did not tell its SDL.")
    return sdl


def _untold(name: str, message: str) -> NoReturn:
    hint = "Start the subgraph, or give its SDL as a file; _service { sdl } must be answered."
    issue = CompositionIssue("SUBGRAPH_UNREACHABLE", message, (name,), "", hint)
    _print_json({"errors": [issue.to_json()]})
    sys.exit(1)


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_INPUT_BYTES:
        raise click.ClickException(f"{path} is larger than {MAX_INPUT_BYTES} bytes.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path} is not UTF-8 text.") from error


def _load(path: Path) -> Supergraph:

    try:
        return load_supergraph(_read(path))
    except SupergraphError as error:
        raise click.ClickException(f"{path}: {error}") from error


class NotComposedError(click.ClickException):
    """Subgraphs do not fit together; shown as JSON."""

    def __init__(self, failed: CompositionFailed) -> None:
        super().__init__("; ".join(f"{e.code}: {e.message}" for e in failed.errors))
        self._failed = failed

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - as click has it
        """Print the errors."""
        del file
        _print_json(_failure(self._failed))


def _composed(path: Path) -> Supergraph:
    try:
        items = orjson.loads(_read(path))
        inputs = [Subgraph(str(i["name"]), str(i["url"]), str(i["sdl"])) for i in items]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise click.ClickException(
            f'{path} is not a list of {{"name", "url", "sdl"}}: {error}'
        ) from error
    result = compose_all(inputs)
    if isinstance(result, CompositionFailed):
        raise NotComposedError(result)
    return result.supergraph


def _failure(failed: CompositionFailed) -> dict[str, Any]:
    return {"errors": [issue.to_json() for issue in failed.errors]}


def _refuse(problems: list[tuple[str, str]]) -> NoReturn:
    _print_json({"errors": [{"message": m, "extensions": {"code": c}} for m, c in problems]})
    sys.exit(1)


def _print_json(value: object) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
