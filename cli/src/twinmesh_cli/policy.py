"""`twinmesh policy`: show, check, put and approve the policies of governance."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json, unusable
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

if TYPE_CHECKING:
    from twinmesh.governance.v1 import policy_service_pb2

REFUSED: Final = 1
MAX_FILE_BYTES: Final = 1024 * 1024
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def policy() -> None:
    """Show, check, put and approve who may do what in governance."""


@policy.command()
@click.argument("version", type=click.IntRange(0), required=False)
@click.option("--tests", is_flag=True, help="Print the tests instead of the policies.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def show(door: Door, version: int | None, *, tests: bool, as_json: bool) -> None:
    """Print a policy set, by default the one in force."""
    from twinmesh.governance.v1 import policy_service_pb2 as pb  # noqa: PLC0415

    found = _ask(door, lambda stub: stub.GetPolicySet(pb.GetPolicySetRequest(version=version))).set
    if as_json:
        print_json(_as_json(found))
        return
    click.echo(found.tests_json if tests else found.cedar)


@policy.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, *, as_json: bool) -> None:
    """List policy sets, newest first."""
    from twinmesh.governance.v1 import policy_service_pb2 as pb  # noqa: PLC0415

    found = _ask(door, lambda stub: stub.ListPolicySets(pb.ListPolicySetsRequest())).sets
    if as_json:
        print_json([_as_json(each) for each in found])
        return
    for each in found:
        click.echo(_line(each))


@policy.command()
@click.argument("cedar", type=_FILE)
@click.argument("tests", type=_FILE)
def check(cedar: Path, tests: Path) -> None:
    """Check a policy set against its schema, its TESTS and the guard's. Needs no server.

    Exits with 0 when it could be put, 1 when not, 2 when a file cannot be read.
    """
    from governance.decide.policies import check_policies, make, read_tests  # noqa: PLC0415

    try:
        faults = check_policies(make(0, _text(cedar), read_tests(_text(tests))))
    except TwinError as error:
        raise unusable(error) from error
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        raise SystemExit(REFUSED)
    click.echo("the policies fit their schema and pass every test")


@policy.command()
@click.argument("cedar", type=_FILE)
@click.argument("tests", type=_FILE)
@click.option("--note", default="", help="Why.")
@door_options("author")
def put(door: Door, cedar: Path, tests: Path, note: str) -> None:
    """Store a policy set as the next version; a second person puts it in force."""
    from twinmesh.governance.v1 import policy_service_pb2 as pb  # noqa: PLC0415

    try:
        request = pb.PutPolicySetRequest(cedar=_text(cedar), tests=_text(tests), note=note)
    except TwinError as error:
        raise unusable(error) from error
    made = _ask(door, lambda stub: stub.PutPolicySet(request)).set
    click.echo(f"{_line(made)}; approve it: twinmesh policy approve {made.version}")


@policy.command()
@click.argument("version", type=click.IntRange(1))
@click.option("--note", default="", help="Why.")
@door_options("reviewer")
def approve(door: Door, version: int, note: str) -> None:
    """Put a policy set in force: as a second person, not its author."""
    from twinmesh.governance.v1 import policy_service_pb2 as pb  # noqa: PLC0415

    request = pb.ApprovePolicySetRequest(version=version, note=note)
    click.echo(_line(_ask(door, lambda stub: stub.ApprovePolicySet(request)).set))


def _ask(door: Door, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any answer
    from twinmesh.governance.v1.policy_service_pb2_grpc import PolicyServiceStub  # noqa: PLC0415

    return call(door, ask, PolicyServiceStub)


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise InvalidInputError(f"{file} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} is not UTF-8") from error


def _line(each: "policy_service_pb2.PolicySet") -> str:
    state = "in force" if each.in_force else "approved" if each.approved_by else "waiting"
    by = f" by {each.author}" if each.author else ", as released"
    approved = f", approved by {each.approved_by}" if each.approved_by else ""
    return f"policies {each.version}: {state}{by}{approved} ({each.digest[:12]})"


def _as_json(each: "policy_service_pb2.PolicySet") -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    made: dict[str, Any] = MessageToDict(each, preserving_proto_field_name=True)
    return made
