"""`twinmesh retention`: how long what is kept."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json

if TYPE_CHECKING:
    from twinmesh.governance.v1 import retention_service_pb2

CLASSES: Final = ("readings", "readings-hourly", "events", "quarantine")


@click.group()
def retention() -> None:
    """Show and set how long what is kept."""


@retention.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("auditor")
def list_(door: Door, *, as_json: bool) -> None:
    """List the policies; a class without one is kept as its store does."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    from twinmesh.governance.v1 import retention_service_pb2 as pb  # noqa: PLC0415

    found = _ask(door, lambda stub: stub.ListRetention(pb.ListRetentionRequest())).policies
    if as_json:
        print_json([MessageToDict(each, preserving_proto_field_name=True) for each in found])
        return
    for each in found:
        click.echo(_line(each))


@retention.command("set")
@click.argument("data_class", type=click.Choice(CLASSES))
@click.argument("days", type=float)
@click.option("--reason", required=True, help="Why; recorded.")
@door_options("auditor")
def set_(door: Door, data_class: str, days: float, reason: str) -> None:
    """Keep a class of data so many DAYS; what is older goes, for good."""
    from twinmesh.governance.v1 import retention_service_pb2 as pb  # noqa: PLC0415

    request = pb.SetRetentionRequest(data_class=data_class, keep_days=days, reason=reason)
    click.echo(_line(_ask(door, lambda stub: stub.SetRetention(request)).policy))


def _ask(door: Door, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any answer
    from twinmesh.governance.v1.retention_service_pb2_grpc import (  # noqa: PLC0415
        RetentionServiceStub,
    )

    return call(door, ask, RetentionServiceStub)


def _line(each: "retention_service_pb2.Retention") -> str:
    when = each.set_at.ToJsonString()
    return f"{each.data_class:<16} {each.keep_days:g} days  by {each.set_by}, {when}: {each.reason}"
