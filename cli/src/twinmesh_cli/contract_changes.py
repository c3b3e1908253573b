"""`twinmesh contract consumers|client|deprecations|override`: whom a change concerns."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import (
    REFUSED,
    Door,
    call,
    door_options,
    print_json,
)

if TYPE_CHECKING:
    from twinmesh.governance.v1 import contract_pb2, contract_service_pb2

MAX_HOURS: Final = 14 * 24


def _ask(door: Door, ask: "Callable[[Any], Any]") -> Any:  # noqa: ANN401 - whatever the call returns
    from twinmesh.governance.v1.contract_service_pb2_grpc import (  # noqa: PLC0415 - slow to import
        ContractServiceStub,
    )

    return call(door, ask, ContractServiceStub)


@click.command()
@click.argument("service")
@click.option("--days", type=click.IntRange(1, 3650), help="How far back; by default the window.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def consumers(door: Door, service: str, days: int | None, *, as_json: bool) -> None:
    """List who uses a service's contract: what was seen, and who declares to consume its events."""
    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415 - see `_ask`
    from twinmesh.governance.v1 import governance_service_pb2 as governance  # noqa: PLC0415
    from twinmesh_sdk.adapters.plant_clock import WallClock  # noqa: PLC0415

    found = call(door, lambda stub: stub.ListContracts(governance.ListContractsRequest())).contracts
    own = next((each for each in found if each.service == service), None)
    if own is None:
        click.echo(f"NOT_FOUND: no contract {service}", err=True)
        raise SystemExit(REFUSED)
    request = pb.ListUsesRequest(service=service)
    if days is not None:
        request.since.FromDatetime(WallClock().wall_now() - timedelta(days=days))
    seen = _ask(door, lambda stub: stub.ListUses(request))
    rows = [*_used(seen), *_declared(own, found)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        owner = f"{row['team']} <{row['contact']}>" if row["team"] else "owner unknown"
        last = f"last {row['last_at']}, {row['count']} times" if row["last_at"] else "declared"
        click.echo(f"{row['consumer']:20} {row['part']:48} {last}; {owner}")
    since = seen.since.ToJsonString()
    if not seen.uses:
        watched = seen.HasField("observed_since")
        nobody = f"nobody was seen using {service} since {since}"
        click.echo(nobody if watched else "no use of any contract was reported yet")


def _used(seen: "contract_service_pb2.ListUsesResponse") -> list[dict[str, Any]]:
    owners = {each.name: each for each in seen.consumers}
    rows = []
    for use in sorted(seen.uses, key=lambda use: (use.client, use.coordinate)):
        name = use.client.removeprefix("svc-")
        if (owner := owners.get(name)) is not None:  # what a service uses of itself is left out
            rows.append(
                {
                    "consumer": name,
                    "part": use.coordinate,
                    "team": owner.team,
                    "contact": owner.contact,
                    "first_at": use.first_at.ToJsonString(),
                    "last_at": use.last_at.ToJsonString(),
                    "count": use.count,
                }
            )
    return rows


def _declared(
    own: "contract_pb2.Contract", contracts: "Iterable[contract_pb2.Contract]"
) -> list[dict[str, Any]]:
    return [
        {
            "consumer": each.service,
            "part": event.type,
            "event_type": event.type,
            "team": each.team,
            "contact": each.contact,
            "last_at": None,
        }
        for event in own.events
        for each in contracts
        if event.type in each.consumes
    ]


@click.command()
@click.argument("name")
@click.option("--team", required=True, help="The team that owns the client.")
@click.option("--contact", required=True, help="Where to reach the team.")
@door_options("author")
def client(door: Door, name: str, team: str, contact: str) -> None:
    """Say whom to ask about a client that is no service of the mesh."""
    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415 - see `_ask`

    request = pb.NameClientRequest(client=name, team=team, contact=contact)
    _ask(door, lambda stub: stub.NameClient(request))
    click.echo(f"{name}: {team} <{contact}>")


@click.command()
@click.argument("service", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def deprecations(door: Door, service: str, *, as_json: bool) -> None:
    """List what is deprecated, from when on it may go, and who still uses it."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `_ask`

    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415

    request = pb.ListDeprecationsRequest(service=service)
    found = _ask(door, lambda stub: stub.ListDeprecations(request)).deprecations
    if as_json:
        print_json([MessageToDict(each, preserving_proto_field_name=True) for each in found])
        return
    for each in found:
        click.echo(
            f"{each.service} {each.coordinate}: since {each.since.ToJsonString()} "
            f"({each.version}), may go from {each.removal_from.ToJsonString()}"
            + (f": {each.reason}" if each.reason else "")
        )
        for consumer in each.consumers:
            click.echo(f"  {consumer_line(consumer)}")


@click.group()
def override() -> None:
    """Take a refusal back for a time: one person asks, another approves."""


@override.command()
@click.argument("target", metavar="PATH_OR_PACKAGE")
@click.option("--reason", required=True, help="Why it must go through in spite of the refusal.")
@click.option(
    "--hours", type=click.IntRange(1, MAX_HOURS), default=24, show_default=True,
    help="After how many hours it permits nothing any more.",
)  # fmt: skip
@click.option("--url", default="", metavar="URL", help="The subgraph's address.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def request(door: Door, target: str, reason: str, hours: int, url: str, *, as_json: bool) -> None:
    """Ask that what refuses this contract now is taken back, for this content only."""
    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415 - see `_ask`
    from twinmesh_cli.contract import bundles_of  # noqa: PLC0415 - it imports this module
    from twinmesh_sdk.adapters.plant_clock import WallClock  # noqa: PLC0415

    (bundle,) = bundles_of((target,), (url,) if url else (), whole_release=False)
    asked = pb.RequestOverrideRequest(bundle=bundle, reason=reason)
    asked.expires_at.FromDatetime(WallClock().wall_now() + timedelta(hours=hours))
    _print_override(_ask(door, lambda stub: stub.RequestOverride(asked)).override, as_json=as_json)


@override.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def approve(door: Door, id: str, *, as_json: bool) -> None:
    """Approve an override as a second person; then push again."""
    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415 - see `_ask`

    asked = pb.ApproveOverrideRequest(id=id)
    _print_override(_ask(door, lambda stub: stub.ApproveOverride(asked)).override, as_json=as_json)


@override.command("list")
@click.option("--all", "expired", is_flag=True, help="Expired ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, *, expired: bool, as_json: bool) -> None:
    """List overrides, the newest first."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `_ask`

    from twinmesh.governance.v1 import contract_service_pb2 as pb  # noqa: PLC0415

    asked = pb.ListOverridesRequest(all=expired)
    found = _ask(door, lambda stub: stub.ListOverrides(asked)).overrides
    if as_json:
        print_json([MessageToDict(each, preserving_proto_field_name=True) for each in found])
        return
    for each in found:
        _print_override(each, as_json=False)


def _print_override(override: "contract_service_pb2.Override", *, as_json: bool) -> None:
    if as_json:
        from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `_ask`

        print_json(MessageToDict(override, preserving_proto_field_name=True))
        return
    state = f"approved by {override.approved_by}" if override.approved_by else "waits for approval"
    click.echo(
        f"{override.id} {override.service} {override.version}: {state}, requested by "
        f"{override.requested_by}, expires {override.expires_at.ToJsonString()}"
    )
    click.echo(f"  {override.reason}")
    for finding in override.findings:
        click.echo(f"  takes back {finding.code} {finding.subject}")


def consumer_line(consumer: "contract_pb2.Consumer") -> str:
    """Return who uses something, in one line."""
    team = f"{consumer.team} <{consumer.contact}>" if consumer.team else "owner unknown"
    last = "declared"
    if consumer.HasField("last_at"):
        last = f"last {consumer.last_at.ToJsonString()}, {consumer.count} times"
    return f"{consumer.name} ({team}): {', '.join(consumer.parts)}; {last}"


def consumer_json(consumer: "contract_pb2.Consumer") -> dict[str, Any]:
    """Return who uses something, as JSON."""
    return {
        "name": consumer.name,
        "team": consumer.team,
        "contact": consumer.contact,
        "parts": list(consumer.parts),
        "last_at": consumer.last_at.ToJsonString() if consumer.HasField("last_at") else None,
        "count": consumer.count,
    }
