"""`twinmesh quarantine`: events that a consumer could not take."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json

if TYPE_CHECKING:
    from twinmesh.governance.v1 import quarantine_service_pb2

PAGE: Final = 500
AT_ONCE: Final = 100


@click.group()
def quarantine() -> None:
    """List, show, replay and drop events that a consumer could not take.

    Of your token's tenant. Readings have a quarantine of their own, in telemetry: `quarantine
    readings` and `quarantine replay-readings`.
    """


@quarantine.command("list")
@click.option("--service", default="", help="Only this service's.")
@click.option("--type", "event_type", default="", help="Only this event type.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("auditor")
def list_(door: Door, service: str, event_type: str, limit: int, *, as_json: bool) -> None:
    """List events, in the order in which they were put aside."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    events, remaining = _pages(door, service, event_type, limit)
    if as_json:
        print_json([MessageToDict(e, preserving_proto_field_name=True) for e in events])
        return
    for each in events:
        click.echo(_line(each))
    if remaining:
        click.echo(f"{remaining} more", err=True)


@quarantine.command()
@click.argument("id", type=click.IntRange(1))
@click.option("--payload", is_flag=True, help="Write the payload to the output, nothing else.")
@door_options("auditor")
def show(door: Door, id: int, *, payload: bool) -> None:
    """Show one event with its headers and payload."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    from twinmesh.governance.v1 import quarantine_service_pb2 as pb  # noqa: PLC0415

    found = _ask(door, lambda stub: stub.GetQuarantined(pb.GetQuarantinedRequest(id=id)))
    if payload:
        click.echo(found.payload, nl=False)
        return
    print_json(MessageToDict(found, preserving_proto_field_name=True))


@quarantine.command()
@click.argument("ids", type=click.IntRange(1), nargs=-1)
@click.option("--service", default="", help="Instead of ids: all of this service's.")
@click.option("--type", "event_type", default="", help="With --service: only this event type.")
@door_options("auditor")
def replay(door: Door, ids: tuple[int, ...], service: str, event_type: str) -> None:
    """Send events back to the consumer that could not take them."""
    from twinmesh.governance.v1 import quarantine_service_pb2 as pb  # noqa: PLC0415

    done = 0
    for some in _batches(door, ids, service, event_type):
        request = pb.ReplayQuarantinedRequest(ids=some)
        done += _ask(door, _calling("ReplayQuarantined", request)).replayed
    click.echo(f"{done} sent back")


@quarantine.command()
@click.argument("ids", type=click.IntRange(1), nargs=-1)
@click.option("--service", default="", help="Instead of ids: all of this service's.")
@click.option("--type", "event_type", default="", help="With --service: only this event type.")
@click.option("--reason", required=True, help="Why; recorded.")
@door_options("auditor")
def drop(door: Door, ids: tuple[int, ...], service: str, event_type: str, reason: str) -> None:
    """Give events up for good."""
    from twinmesh.governance.v1 import quarantine_service_pb2 as pb  # noqa: PLC0415

    done = 0
    for some in _batches(door, ids, service, event_type):
        request = pb.DropQuarantinedRequest(ids=some, reason=reason)
        done += _ask(door, _calling("DropQuarantined", request)).dropped
    click.echo(f"{done} dropped")


_telemetry_option = click.option(
    "--telemetry",
    envvar="TWIN_TELEMETRY_ADDR",
    default="",
    metavar="HOST:PORT",
    help="Telemetry's gRPC address; by default the stack on this machine.",
)


@quarantine.command("readings")
@click.option("--reason", default="", help="Only with this reason, for example UNKNOWN_DEVICE.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@_telemetry_option
@door_options("auditor")
def readings_(door: Door, reason: str, limit: int, telemetry: str, *, as_json: bool) -> None:
    """List readings that telemetry could not take."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - slow to import

    from twinmesh.telemetry.v1 import telemetry_service_pb2 as pb  # noqa: PLC0415

    found: list[Any] = []
    token = ""
    while len(found) < limit:
        request = pb.ListQuarantineRequest(
            page_size=min(PAGE, limit - len(found)), page_token=token, reason=reason
        )
        answer = _ask_telemetry(door, telemetry, _calling("ListQuarantine", request))
        found += answer.readings
        if not (token := answer.next_page_token):
            break
    if as_json:
        print_json([MessageToDict(e, preserving_proto_field_name=True) for e in found])
        return
    for each in found:
        click.echo(
            f"{each.quarantine_id}  {each.arrived_at.ToJsonString()}  {each.source}/{each.name}  "
            f"{each.reason} x {each.readings}: {each.detail}"
        )


@quarantine.command("replay-readings")
@click.argument("ids", nargs=-1)
@click.option("--reason", default="", help="Instead of ids: all with this reason.")
@_telemetry_option
@door_options("plant")
def replay_readings(door: Door, ids: tuple[str, ...], reason: str, telemetry: str) -> None:
    """Put readings through again, once their cause is gone."""
    from twinmesh.telemetry.v1 import telemetry_service_pb2 as pb  # noqa: PLC0415

    if bool(ids) == bool(reason):
        raise click.UsageError("name readings by their ids, or all of one --reason")
    request = pb.ReplayQuarantineRequest(quarantine_ids=ids, reason=reason)
    answer = _ask_telemetry(door, telemetry, _calling("ReplayQuarantine", request))
    click.echo(f"{answer.replayed} put through again")


def _ask_telemetry(door: Door, address: str, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    from twinmesh.telemetry.v1.telemetry_service_pb2_grpc import (  # noqa: PLC0415
        TelemetryServiceStub,
    )
    from twinmesh_cli.running import grpc_address  # noqa: PLC0415 - only where nobody said

    there = replace(door, address=address or grpc_address("telemetry"))
    return call(there, ask, TelemetryServiceStub)


def _ask(door: Door, ask: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - any answer
    from twinmesh.governance.v1.quarantine_service_pb2_grpc import (  # noqa: PLC0415
        QuarantineServiceStub,
    )

    return call(door, ask, QuarantineServiceStub)


def _calling(method: str, request: object) -> Callable[[Any], Any]:
    return lambda stub: getattr(stub, method)(request)


def _pages(
    door: Door, service: str, event_type: str, limit: int
) -> "tuple[list[quarantine_service_pb2.QuarantinedEvent], int]":
    """Return up to `limit` events, and how many wait after them."""
    from twinmesh.governance.v1 import quarantine_service_pb2 as pb  # noqa: PLC0415

    found: list[quarantine_service_pb2.QuarantinedEvent] = []
    while True:
        request = pb.ListQuarantineRequest(
            service=service,
            event_type=event_type,
            after_id=found[-1].id if found else 0,
            page_size=min(PAGE, limit - len(found)),
        )
        answer = _ask(door, _calling("ListQuarantine", request))
        found += answer.events
        if len(found) >= limit or not answer.remaining:
            return found, answer.remaining


def _batches(
    door: Door, ids: tuple[int, ...], service: str, event_type: str
) -> list[tuple[int, ...]]:
    """Return the ids meant, in groups that one call takes."""
    if bool(ids) == bool(service):
        raise click.UsageError("name events by their ids, or all of one --service")
    if service:
        ids = tuple(each.id for each in _pages(door, service, event_type, 10_000)[0])
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]


def _line(each: "quarantine_service_pb2.QuarantinedEvent") -> str:
    return (
        f"{each.id:>8}  {each.quarantined_at}  {each.service}  {each.event_type}  "
        f"{each.code}: {each.reason}"
    )
