"""`twinmesh contract`: register, compare and read contracts."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.contract_changes import (
    client,
    consumer_json,
    consumer_line,
    consumers,
    deprecations,
    override,
)
from twinmesh_cli.contract_check import check
from twinmesh_cli.governance_door import (
    REFUSED,
    Door,
    call,
    door_options,
    print_json,
    unusable,
)
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

if TYPE_CHECKING:
    from twinmesh.governance.v1 import contract_pb2, governance_service_pb2
    from twinmesh_sdk.contract import Contract

RELEASE: Final = (
    "governance",
    "asset_registry",
    "telemetry",
    "maintenance_twin",
    "energy_twin",
    "gateway",
)
"""The packages of this release that have a contract: what `push` without a target pushes."""

IN_CLUSTER: Final = "http://{service}:8080/graphql"


@click.group()
def contract() -> None:
    """Register, compare and read contracts."""


for command in (check, consumers, client, deprecations, override):
    contract.add_command(command)


@contract.command()
@click.argument("targets", nargs=-1, metavar="[PATH_OR_PACKAGE]...")
@click.option(
    "--url",
    "urls",
    multiple=True,
    envvar="TWIN_SUBGRAPH_URL",
    metavar="URL",
    help="The subgraph's address: one per target in order, or one with {service} for all.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would become of it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def push(
    door: Door, targets: tuple[str, ...], urls: tuple[str, ...], *, dry_run: bool, as_json: bool
) -> None:
    """Register contracts: all at once, so that they may refer to each other.

    Without a target, those of this release. Exit 0: registered (or waiting for a partner); 1: at
    least one refused, with every reason; 2: it could not be tried.
    """
    bundles = bundles_of(targets or RELEASE, urls, whole_release=not targets)
    _push(door, bundles, dry_run=dry_run, as_json=as_json)


@contract.command()
@click.argument("target", metavar="PATH_OR_PACKAGE")
@click.option("--url", default="", metavar="URL", help="The subgraph's address.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def diff(door: Door, target: str, url: str, *, as_json: bool) -> None:
    """Say what registering a contract would do, and register nothing."""
    bundles = bundles_of((target,), (url,) if url else (), whole_release=False)
    _push(door, bundles, dry_run=True, as_json=as_json)


@contract.command("list")
@click.argument("service", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, service: str, *, as_json: bool) -> None:
    """List the contracts in force, or all versions of one service."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `call`

    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    found = call(door, lambda stub: stub.ListContracts(pb.ListContractsRequest(service=service)))
    if as_json:
        print_json([MessageToDict(c, preserving_proto_field_name=True) for c in found.contracts])
        return
    for each in found.contracts:
        click.echo(
            f"{each.service:20} {each.version:10} {_state(each.state):10} {each.digest[:12]} "
            f"{each.team}"
        )


@contract.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def supergraph(door: Door, *, as_json: bool) -> None:
    """Print the supergraph in force."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    found = call(door, lambda stub: stub.GetSupergraph(pb.GetSupergraphRequest()))
    if as_json:
        print_json(
            {
                "digest": found.digest,
                "subgraphs": dict(found.subgraph_urls),
                "sdl": found.sdl,
            }
        )
        return
    click.echo(found.sdl)


def read_target(target: str) -> "Contract":
    """Read a contract from a folder (a project's, a package's or `contract/` itself) or a package.

    Raises:
        NotFoundError: There is no contract.
        InvalidInputError: It cannot be read.
    """
    from twinmesh_sdk.contract import Contract  # noqa: PLC0415 - `--help` need not wait for it

    path = Path(target)
    if target in RELEASE and not (path / "contract").exists():
        return Contract.load(target)
    if not path.exists():
        if not target.isidentifier() or importlib.util.find_spec(target) is None:
            raise InvalidInputError(f"{target!r} is neither a folder nor an installed package")
        return Contract.load(target)
    found = _contract_folder(path)
    for root in (found.parent.parent, found.parent, path / "src"):
        # Its generated code, when it is not installed. Last, and never a package's own folder:
        # a room named `http` must not stand in for the standard library's.
        is_package = (root / "__init__.py").exists()
        if root.is_dir() and not is_package and str(root) not in sys.path:
            sys.path.append(str(root))
    return Contract.read(found)


def _contract_folder(path: Path) -> Path:
    """Return the folder that holds `twin.yaml`.

    Raises:
        InvalidInputError: There is none, or more than one.
    """
    if path.is_file() and path.name == "twin.yaml":
        return path.parent
    places = [path, path / "contract", *path.glob("*/contract"), *path.glob("src/*/contract")]
    found = [place for place in places if (place / "twin.yaml").is_file()]
    if not found:
        raise InvalidInputError(f"no twin.yaml in {path}, nor in contract/ or src/*/contract/")
    if len(found) > 1:
        raise InvalidInputError(f"more than one twin.yaml below {path}: name the folder")
    return found[0]


def bundles_of(
    targets: Sequence[str], urls: Sequence[str], *, whole_release: bool
) -> "list[contract_pb2.ContractBundle]":
    """Return what to push.

    Raises:
        SystemExit: 2 when a target cannot be read.
    """
    try:
        contracts = [
            read_target(target)
            for target in targets
            if not whole_release or importlib.util.find_spec(target) is not None
        ]
        return [
            made.to_pb(subgraph_url=_url(made, urls, index, of=len(contracts)))
            for index, made in enumerate(contracts)
        ]
    except TwinError as error:
        raise unusable(error) from error


def _url(made: "Contract", urls: Sequence[str], index: int, *, of: int) -> str:
    if not made.sdl:
        return ""
    if len(urls) == of and "{service}" not in urls[index]:
        return urls[index]
    if len(urls) > 1:
        raise InvalidInputError("give one --url per target, or one with {service}")
    pattern = urls[0] if urls else IN_CLUSTER
    return pattern.replace("{service}", made.service)


def _push(
    door: Door, bundles: "list[contract_pb2.ContractBundle]", *, dry_run: bool, as_json: bool
) -> None:
    from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    request = pb.PushContractsRequest(bundles=bundles, dry_run=dry_run)
    answer = call(door, lambda stub: stub.PushContracts(request))
    if as_json:
        print_json(_as_json(answer))
    else:
        _as_text(answer, dry_run=dry_run)
    if any(o.state == contract_pb2.CONTRACT_STATE_REFUSED for o in answer.outcomes):
        raise SystemExit(REFUSED)


def _state(value: int) -> str:
    from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415

    return contract_pb2.ContractState.Name(value).removeprefix("CONTRACT_STATE_")  # type: ignore[arg-type]


def _severity(value: int) -> str:
    from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415

    return contract_pb2.Severity.Name(value).removeprefix("SEVERITY_")  # type: ignore[arg-type]


def _as_json(answer: "governance_service_pb2.PushContractsResponse") -> dict[str, Any]:
    outcomes = [
        {
            "service": o.service,
            "version": o.version,
            "digest": o.digest,
            "state": _state(o.state),
            "changed": o.changed,
            "findings": [
                {
                    "severity": _severity(f.severity),
                    "code": f.code,
                    "subject": f.subject,
                    "message": f.message,
                    "hint": f.hint,
                    "service": f.service,
                    "consumers": [consumer_json(each) for each in f.consumers],
                    "looked_since": (
                        f.looked_since.ToJsonString() if f.HasField("looked_since") else None
                    ),
                }
                for f in o.findings
            ],
        }
        for o in answer.outcomes
    ]
    return {
        "accepted": all(o["state"] != "REFUSED" for o in outcomes),
        "outcomes": outcomes,
        "supergraph_digest": answer.supergraph_digest,
    }


def _as_text(answer: "governance_service_pb2.PushContractsResponse", *, dry_run: bool) -> None:
    for outcome in answer.outcomes:
        word = _state(outcome.state)
        if word == "ACTIVE" and not outcome.changed:
            word = "ACTIVE (as before)"
        if dry_run and outcome.changed:
            word = f"would be {word}"
        click.echo(f"{outcome.service} {outcome.version} {outcome.digest[:12]}: {word}")
        for finding in outcome.findings:
            click.echo(
                f"  {_severity(finding.severity)} {finding.code} {finding.subject}: "
                f"{finding.message}"
            )
            for each in finding.consumers:
                click.echo(f"    {consumer_line(each)}")
            if finding.hint:
                click.echo(f"    {finding.hint}")
