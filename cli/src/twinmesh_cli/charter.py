"""`twinmesh charter`: what twins promise, and what they achieve."""

from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json

if TYPE_CHECKING:
    from twinmesh.governance.v1 import reality_service_pb2

BREACHED: Final = 1


@click.group()
def charter() -> None:
    """Hold charters against reality."""


@charter.command()
@click.argument("service", default="")
@click.option("--check", is_flag=True, help="Exit with 1 when a promise is breached.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def reality(door: Door, service: str, *, check: bool, as_json: bool) -> None:
    """Show what charters promise and what was achieved, for your token's tenant."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    from twinmesh.governance.v1 import reality_service_pb2 as pb  # noqa: PLC0415
    from twinmesh.governance.v1.reality_service_pb2_grpc import (  # noqa: PLC0415
        RealityServiceStub,
    )

    def ask(stub: Any) -> Any:  # noqa: ANN401 - the stub's class is made at run time
        return stub.ListReality(pb.ListRealityRequest(service=service))

    found = call(door, ask, RealityServiceStub).realities
    if as_json:
        print_json([MessageToDict(each, preserving_proto_field_name=True) for each in found])
    else:
        for each in found:
            click.echo(_line(each))
    if check and any(each.standing == pb.REALITY_STANDING_BREACHED for each in found):
        raise SystemExit(BREACHED)


def _line(each: "reality_service_pb2.Reality") -> str:
    from twinmesh.governance.v1 import reality_service_pb2 as pb  # noqa: PLC0415

    kind = pb.RealityKind.Name(each.kind).removeprefix("REALITY_KIND_").lower()
    standing = pb.RealityStanding.Name(each.standing).removeprefix("REALITY_STANDING_")
    bounds = [f"at least {each.at_least:g}"] if each.HasField("at_least") else []
    bounds += [f"at most {each.at_most:g}"] if each.HasField("at_most") else []
    promised = " and ".join(bounds) or "nothing"
    achieved = f"{each.achieved:.4g} of {each.samples}" if each.HasField("achieved") else "nothing"
    return (
        f"{each.service:<20} {kind:<10} {each.name:<20} {standing:<11} "
        f"promised {promised}, achieved {achieved}"
    )
