"""`twinmesh model`: submit, approve, activate, retire and list model versions."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json, unusable
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.times import parse_time

if TYPE_CHECKING:
    from twinmesh.governance.v1 import model_pb2

CHUNK_BYTES: Final = 1024 * 1024


@click.group()
def model() -> None:
    """Submit, approve, activate, retire and list model versions."""


@model.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--artefact",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The artefact's file; its SHA-256 is recorded.",
)
@click.option("--digest", default="", help="Or its digest: sha256:HEX.")
@click.option("--asset-class", "asset_classes", multiple=True, help="Where it holds; repeatable.")
@click.option("--site", "sites", multiple=True, help="Where it holds; repeatable.")
@click.option("--back-test", default="", help="Id or address of the recorded back-test.")
@click.option("--metric", default="", help="What the back-test measured.")
@click.option("--achieved", type=float, default=0.0, help="In the metric's own unit.")
@click.option("--baseline", default="", help="The named baseline it was compared with.")
@click.option("--baseline-achieved", type=float, default=0.0, help="What the baseline achieved.")
@click.option("--data-digest", default="", help="Digest of the data it was measured on.")
@click.option("--description", default="", help="The author's words.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def submit(  # noqa: PLR0917 - one argument per option
    door: Door,
    name: str,
    version: str,
    artefact: Path | None,
    digest: str,
    asset_classes: tuple[str, ...],
    sites: tuple[str, ...],
    back_test: str,
    metric: str,
    achieved: float,
    baseline: str,
    baseline_achieved: float,
    data_digest: str,
    description: str,
    *,
    as_json: bool,
) -> None:
    """Submit a model version as its author."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    if (artefact is None) == (not digest):
        raise click.UsageError("give --artefact FILE or --digest sha256:HEX")
    request = pb.SubmitModelRequest(
        name=name,
        version=version,
        artefact_digest=digest if artefact is None else digest_of(artefact),
        scope=model_pb2.ModelScope(asset_classes=asset_classes, sites=sites),
        back_test=model_pb2.BackTest(
            reference=back_test,
            metric=metric,
            achieved=achieved,
            baseline=baseline,
            baseline_achieved=baseline_achieved,
            data_digest=data_digest,
        ),
        description=description,
    )
    _show(call(door, lambda stub: stub.SubmitModel(request)), as_json=as_json)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option("--note", default="", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def approve(door: Door, name: str, version: str, note: str, *, as_json: bool) -> None:
    """Approve a model version: by a second person, not its author."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    request = pb.ApproveModelRequest(name=name, version=version, note=note)
    _show(call(door, lambda stub: stub.ApproveModel(request)), as_json=as_json)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--from",
    "effective_from",
    default="",
    metavar="TIME",
    help="Plant time (RFC 3339) from which it decides; by default now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def activate(door: Door, name: str, version: str, effective_from: str, *, as_json: bool) -> None:
    """Make an approved version the active one for its scope; its predecessor ends then."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh_sdk.wire import timestamp  # noqa: PLC0415

    try:
        start = parse_time(effective_from) if effective_from else None
    except TwinError as error:
        raise unusable(error) from error
    request = pb.ActivateModelRequest(name=name, version=version, effective_from=timestamp(start))
    _show(call(door, lambda stub: stub.ActivateModel(request)), as_json=as_json)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def retire(door: Door, name: str, version: str, *, as_json: bool) -> None:
    """End a model version."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    request = pb.RetireModelRequest(name=name, version=version)
    _show(call(door, lambda stub: stub.RetireModel(request)), as_json=as_json)


@model.command()
@click.argument("name")
@click.argument("time", default="")
@click.option("--asset-class", default="", help="Class of the asset.")
@click.option("--site", default="", help="Site of the asset.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def at(door: Door, name: str, time: str, asset_class: str, site: str, *, as_json: bool) -> None:
    """Say which version decides at a plant TIME (RFC 3339), by default now."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh_sdk.wire import timestamp  # noqa: PLC0415

    try:
        moment = parse_time(time) if time else None
    except TwinError as error:
        raise unusable(error) from error
    request = pb.GetModelAtRequest(
        name=name, at=timestamp(moment), asset_class=asset_class, site=site
    )
    found = call(door, lambda stub: stub.GetModelAt(request)).model
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo(_line(found))


@model.command("list")
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def list_(door: Door, name: str, *, as_json: bool) -> None:
    """List model versions, newest first."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415

    found = call(door, lambda stub: stub.ListModels(pb.ListModelsRequest(name=name)))
    if as_json:
        print_json([_as_json(each) for each in found.models])
        return
    for each in found.models:
        click.echo(_line(each))


def digest_of(artefact: Path) -> str:
    """Return an artefact's digest, read in bounded pieces."""
    digest = hashlib.sha256()
    with artefact.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def _show(answer: Any, *, as_json: bool) -> None:  # noqa: ANN401 - any answer with a model
    if as_json:
        print_json({"changed": answer.changed, "model": _as_json(answer.model)})
        return
    click.echo(_line(answer.model) + ("" if answer.changed else " (as before)"))


def _state(value: int) -> str:
    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    return model_pb2.ModelState.Name(value).removeprefix("MODEL_STATE_")  # type: ignore[arg-type]


def _line(each: "model_pb2.ModelVersion") -> str:
    since = f" from {each.effective_from.ToJsonString()}" if each.HasField("effective_from") else ""
    until = f" to {each.effective_to.ToJsonString()}" if each.HasField("effective_to") else ""
    approved = f", approved by {each.approved_by}" if each.approved_by else ""
    return (
        f"{each.name} {each.version}: {_state(each.state)}{since}{until} "
        f"(by {each.submitted_by}{approved})"
    )


def _as_json(each: "model_pb2.ModelVersion") -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    made: dict[str, Any] = MessageToDict(each, preserving_proto_field_name=True)
    made["state"] = _state(each.state)
    return made
