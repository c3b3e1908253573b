"""`twinmesh can-i-deploy` and `twinmesh deployment`: what runs where, and what may."""

from collections.abc import Callable
from typing import Any, Final

import click

from twinmesh_cli.contract_changes import consumer_json, consumer_line
from twinmesh_cli.governance_door import Door, call, door_options, print_json

NO: Final = 1
UNKNOWN: Final = 3
STATES: Final = ("starting", "ready", "retired")


def _ask(door: Door, ask: "Callable[[Any], Any]") -> Any:  # noqa: ANN401 - whatever the call returns
    from twinmesh.governance.v1.deployment_service_pb2_grpc import (  # noqa: PLC0415 - slow to import
        DeploymentServiceStub,
    )

    return call(door, ask, DeploymentServiceStub)


@click.command("can-i-deploy")
@click.argument("service")
@click.argument("version")
@click.option("--to", "environment", required=True, metavar="ENV", help="For example prod.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def can_i_deploy(
    door: Door, service: str, version: str, environment: str, *, as_json: bool
) -> None:
    """Say whether a version may be deployed there, given what runs there and who uses it.

    Exit 0: yes; 1: no; 3: unknown; 2: it could not be asked.
    """
    from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415 - see `_ask`
    from twinmesh.governance.v1 import deployment_service_pb2 as pb  # noqa: PLC0415

    request = pb.CanIDeployRequest(service=service, version=version, environment=environment)
    answer = _ask(door, lambda stub: stub.CanIDeploy(request))
    verdict = pb.DeployVerdict.Name(answer.verdict).removeprefix("DEPLOY_VERDICT_").lower()
    severities = {
        contract_pb2.SEVERITY_ERROR: "no",
        contract_pb2.SEVERITY_PENDING: "unknown",
        contract_pb2.SEVERITY_WARNING: "to know",
    }
    if as_json:
        print_json(
            {
                "service": service,
                "version": version,
                "to": environment,
                "verdict": verdict,
                "reasons": [
                    {
                        "says": severities[reason.severity],
                        "code": reason.code,
                        "subject": reason.subject,
                        "message": reason.message,
                        "hint": reason.hint,
                        "consumers": [consumer_json(each) for each in reason.consumers],
                    }
                    for reason in answer.reasons
                ],
            }
        )
    else:
        click.echo(verdict)
        for reason in answer.reasons:
            click.echo(
                f"  {severities[reason.severity]}: {reason.code} {reason.subject}: {reason.message}"
            )
            for each in reason.consumers:
                click.echo(f"    {consumer_line(each)}")
            if reason.hint:
                click.echo(f"    {reason.hint}")
    raise SystemExit({"yes": 0, "no": NO}.get(verdict, UNKNOWN))


@click.group()
def deployment() -> None:
    """Record and list which version runs where."""


@deployment.command()
@click.argument("service")
@click.argument("version")
@click.option("--to", "environment", required=True, metavar="ENV", help="For example prod.")
@click.option(
    "--state", type=click.Choice(STATES), default="ready", show_default=True,
    help="starting: being rolled out; ready: serves requests; retired: gone.",
)  # fmt: skip
@click.option("--only", is_flag=True, help="Every other version of the service there is gone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def record(
    door: Door,
    service: str,
    version: str,
    environment: str,
    state: str,
    *,
    only: bool,
    as_json: bool,
) -> None:
    """Say that a version is being rolled out, is ready, or is gone. For CI."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `_ask`

    from twinmesh.governance.v1 import deployment_service_pb2 as pb  # noqa: PLC0415

    request = pb.RecordDeploymentRequest(
        environment=environment,
        service=service,
        version=version,
        state=pb.DeploymentState.Value(f"DEPLOYMENT_STATE_{state.upper()}"),
        retire_others=only,
    )
    answer = _ask(door, lambda stub: stub.RecordDeployment(request))
    if as_json:
        print_json(MessageToDict(answer, preserving_proto_field_name=True))
        return
    known = "" if answer.changed else " (as before)"
    click.echo(f"{service} {version} in {environment}: {state}{known}")
    for finding in answer.findings:
        click.echo(f"  {finding.code} {finding.subject}: {finding.message}")
        click.echo(f"    {finding.hint}")


@deployment.command("list")
@click.option("--in", "environment", default="", metavar="ENV", help="Only this environment.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, environment: str, *, as_json: bool) -> None:
    """List what runs where."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - see `_ask`

    from twinmesh.governance.v1 import deployment_service_pb2 as pb  # noqa: PLC0415

    request = pb.ListDeploymentsRequest(environment=environment)
    found = _ask(door, lambda stub: stub.ListDeployments(request)).deployments
    if as_json:
        print_json([MessageToDict(each, preserving_proto_field_name=True) for each in found])
        return
    for each in found:
        state = pb.DeploymentState.Name(each.state).removeprefix("DEPLOYMENT_STATE_")
        click.echo(
            f"{each.environment:12} {each.service:20} {each.version:10} {state:8} "
            f"{each.recorded_at.ToJsonString()} {each.recorded_by}"
        )
