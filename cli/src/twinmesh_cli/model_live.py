"""`twinmesh model live`, `model retraining`: how versions do on live events."""

from typing import Any

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def live(door: Door, name: str, version: str, *, as_json: bool) -> None:
    """Say how a version does on live events, and what was ruled on it."""
    from twinmesh.governance.v1 import shadow_pb2  # noqa: PLC0415
    from twinmesh.governance.v1 import shadow_service_pb2 as pb  # noqa: PLC0415

    request = pb.GetModelShadowRequest(name=name, version=version)
    found = call(door, lambda stub: stub.GetModelShadow(request), _stub())
    if as_json:
        print_json(_message(found))
        return
    for each in found.reports:
        decision = shadow_pb2.ShadowDecision.Name(each.decision).removeprefix("SHADOW_DECISION_")
        click.echo(
            f"against {each.champion}: {decision} {' '.join(each.reasons)}".rstrip()
            + f"; mean difference {each.mean_gain:+.4f} in [{each.low:+.4f}, {each.high:+.4f}]"
            f" over {each.windows} windows, {each.pairs} pairs;"
            f" verdicts differ on {each.disagreement:.2%} of rows"
        )
    if found.HasField("drift"):
        click.echo(
            f"residuals {found.drift.residuals} ({found.drift.residual_sum:+.1f}),"
            f" errors {found.drift.errors} ({found.drift.error_sum:+.1f})"
            f" over {found.drift.windows} windows"
        )
    for ruling in found.rulings:
        kind = shadow_pb2.RulingKind.Name(ruling.kind).removeprefix("RULING_KIND_")
        done = "" if ruling.carried_out or kind == "REJECTED" else " (not carried out)"
        click.echo(f"{kind}{done} against {ruling.against}: {ruling.why}")
    if not (found.reports or found.HasField("drift") or found.rulings):
        click.echo("nothing was measured: the version is neither shadow nor active")


@click.group()
def retraining() -> None:
    """Requests to retrain what drifts."""


@retraining.command("list")
@click.argument("model", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, model: str, *, as_json: bool) -> None:
    """List requests to retrain, newest first."""
    from twinmesh.governance.v1 import shadow_service_pb2 as pb  # noqa: PLC0415

    request = pb.ListRetrainingRequestsRequest(model=model)
    found = call(door, lambda stub: stub.ListRetrainingRequests(request), _stub())
    if as_json:
        print_json([_message(each) for each in found.requests])
        return
    for each in found.requests:
        click.echo(_line(each))


@retraining.command()
@click.argument("request_id", metavar="REQUEST")
@click.argument("version")
@door_options("author")
def answer(door: Door, request_id: str, version: str) -> None:
    """Say that a VERSION, a draft for example, was made for a REQUEST."""
    from twinmesh.governance.v1 import shadow_service_pb2 as pb  # noqa: PLC0415

    request = pb.AnswerRetrainingRequestRequest(id=request_id, version=version)
    answered = call(door, lambda stub: stub.AnswerRetrainingRequest(request), _stub())
    click.echo(_line(answered.request))


def _line(request: Any) -> str:  # noqa: ANN401 - a RetrainingRequest
    since = request.since.ToJsonString()
    answered = f"answered by {request.answered_by}" if request.answered_by else "open"
    return f"{request.id} {request.model} {request.version} drifts since {since}: {answered}"


def _stub() -> Any:  # noqa: ANN401 - the stub's class
    from twinmesh.governance.v1.shadow_service_pb2_grpc import ShadowServiceStub  # noqa: PLC0415

    return ShadowServiceStub


def _message(message: Any) -> dict[str, Any]:  # noqa: ANN401 - any message
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found
