"""`twinmesh lineage`: what was derived from what, for other catalogues."""

import json

import click

from twinmesh_cli.governance_door import Door, call, door_options
from twinmesh_cli.model import as_impact, models_stub


@click.group()
def lineage() -> None:
    """Hand lineage to other catalogues."""


@lineage.command()
@click.argument("name")
@click.argument("version")
@click.option("--namespace", default="twinmesh", show_default=True, help="Of jobs and data sets.")
@click.option("--limit", type=click.IntRange(1, 1000), default=1000, show_default=True)
@door_options("author")
def export(door: Door, name: str, version: str, namespace: str, limit: int) -> None:
    """Print what stands on a model version, and who consumed it, as OpenLineage events, one a line.

    Exit 1 when there is more than --limit.
    """
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415
    from twinmesh_cli.openlineage import events_of  # noqa: PLC0415

    request = pb.GetModelImpactRequest(name=name, version=version, limit=limit)
    found = as_impact(call(door, lambda stub: stub.GetModelImpact(request), models_stub()))
    for event in events_of(found, namespace=namespace):
        click.echo(json.dumps(event, sort_keys=True))
    if found["truncated"]:
        click.echo("there is more: see --limit", err=True)
        raise SystemExit(1)
