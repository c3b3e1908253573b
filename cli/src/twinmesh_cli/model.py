"""`twinmesh model`: from submission to recall, and what stands on a version."""

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json, unusable
from twinmesh_cli.model_import import import_mlflow
from twinmesh_cli.model_live import live, retraining
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.times import parse_time

if TYPE_CHECKING:
    from twinmesh.governance.v1 import model_pb2

CHUNK_BYTES: Final = 1024 * 1024
MAX_ARTEFACT_BYTES: Final = 6 * 2**20


@click.group()
def model() -> None:
    """Release model versions, recall them, and say what stands on them."""


model.add_command(import_mlflow)
model.add_command(live)
model.add_command(retraining)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option(
    "--artefact",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The artefact's file; it is kept, and its SHA-256 recorded.",
)
@click.option("--digest", default="", help="Or the digest of one handed in before: sha256:HEX.")
@click.option("--asset-class", "asset_classes", multiple=True, help="Where it holds; repeatable.")
@click.option("--site", "sites", multiple=True, help="Where it holds; repeatable.")
@click.option("--back-test", default="", help="Id or address of the recorded back-test.")
@click.option("--metric", default="", help="What the back-test measured.")
@click.option("--achieved", type=float, default=0.0, help="In the metric's own unit.")
@click.option("--baseline", default="", help="The named baseline it was compared with.")
@click.option("--baseline-achieved", type=float, default=0.0, help="What the baseline achieved.")
@click.option("--data-digest", default="", help="Digest of the data it was measured on.")
@click.option("--threshold", type=float, default=0.0, help="What had to be achieved.")
@click.option("--lower-is-better", is_flag=True, help="Of the metric, for example an error.")
@click.option(
    "--training-data", default="", help="Digest of its training data, or `none: ` and why."
)
@click.option(
    "--configuration", "configurations", multiple=True, help="Where it holds; repeatable."
)
@click.option(
    "--envelope",
    "envelope",
    multiple=True,
    metavar="SIGNAL=LOW..HIGH",
    help="Operating range it holds for, SI units; repeatable.",
)
@click.option(
    "--signature",
    "signature_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file: {inputs: [{name, kind, unit, optional}], outputs: […]}.",
)
@click.option("--draft", is_flag=True, help="May still change; submit it again for good.")
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
    threshold: float,
    lower_is_better: bool,
    training_data: str,
    configurations: tuple[str, ...],
    envelope: tuple[str, ...],
    signature_file: Path | None,
    draft: bool,
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
        artefact=b"" if artefact is None else read_artefact(artefact),
        scope=model_pb2.ModelScope(
            asset_classes=asset_classes,
            sites=sites,
            configurations=configurations,
            envelope=[bound_of(text) for text in envelope],
        ),
        back_test=model_pb2.BackTest(
            reference=back_test,
            metric=metric,
            achieved=achieved,
            baseline=baseline,
            baseline_achieved=baseline_achieved,
            data_digest=data_digest,
            threshold=threshold,
            lower_is_better=lower_is_better,
        ),
        description=description,
        training_data=training_data,
        signature=signature_of(signature_file),
        draft=draft,
    )
    _show(call(door, lambda stub: stub.SubmitModel(request)), as_json=as_json)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option("--note", default="", help="Why.")
@click.option(
    "--expires",
    default="",
    metavar="TIME",
    help="Wall time (RFC 3339) after which it cannot be activated; by default in a year.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def approve(door: Door, name: str, version: str, note: str, expires: str, *, as_json: bool) -> None:
    """Approve a model version: by a second person, not its author."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh_sdk.wire import timestamp  # noqa: PLC0415

    request = pb.ApproveModelRequest(
        name=name, version=version, note=note, expires_at=timestamp(_time(expires))
    )
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

    start = timestamp(_time(effective_from))
    request = pb.ActivateModelRequest(name=name, version=version, effective_from=start)
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
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def shadow(door: Door, name: str, version: str, *, as_json: bool) -> None:
    """Let an approved version run beside the active one, without deciding."""
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415

    request = pb.ShadowModelRequest(name=name, version=version)
    _show(call(door, lambda stub: stub.ShadowModel(request), models_stub()), as_json=as_json)


@model.command("rollback")
@click.argument("name")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def rollback(door: Door, name: str, version: str, *, as_json: bool) -> None:
    """End an active version: the one before it decides again. Lists what it leaves behind."""
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415

    request = pb.RollBackModelRequest(name=name, version=version)
    done = call(door, lambda stub: stub.RollBackModel(request), models_stub())
    if as_json:
        print_json(
            {
                "model": _as_json(done.model),
                "again": _as_json(done.again),
                "affected": [_message(each) for each in done.affected],
            }
        )
        return
    click.echo(_line(done.model))
    click.echo(_line(done.again))
    for each in done.affected:
        click.echo(_output(each))


@model.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True, help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("reviewer")
def recall(door: Door, name: str, version: str, reason: str, *, as_json: bool) -> None:
    """Let a version decide nothing more, and list what stood on it and who consumed it.

    Exit 1 when a twin has not withdrawn it in time: the recall stands, repeat it to wait on.
    """
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415

    request = pb.RecallModelRequest(name=name, version=version, reason=reason)
    done = call(door, lambda stub: stub.RecallModel(request), models_stub())
    if as_json:
        print_json(
            {
                "changed": done.changed,
                "model": _as_json(done.model),
                "acknowledged_by": list(done.acknowledged_by),
                "waiting_for": list(done.waiting_for),
                **as_impact(done),
            }
        )
    else:
        click.echo(_line(done.model) + ("" if done.changed else " (as before)"))
        for service in done.acknowledged_by:
            click.echo(f"withdrawn by {service}")
        for service in done.waiting_for:
            click.echo(f"NOT YET withdrawn by {service}")
        _list_impact(done)
    if done.waiting_for:
        raise SystemExit(1)


@model.command()
@click.argument("name")
@click.argument("version")
@click.option("--limit", type=click.IntRange(1, 1000), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def impact(door: Door, name: str, version: str, limit: int, *, as_json: bool) -> None:
    """Say which decisions stand on a version, and who consumed what it derived."""
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415

    request = pb.GetModelImpactRequest(name=name, version=version, limit=limit)
    found = call(door, lambda stub: stub.GetModelImpact(request), models_stub())
    if as_json:
        print_json({"name": name, "version": version, **as_impact(found)})
    else:
        _list_impact(found)


@model.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def alarms(door: Door, *, as_json: bool) -> None:
    """List processes that run other versions than the schedule says. Exit 1 when there is one."""
    from twinmesh.governance.v1 import model_service_pb2 as pb  # noqa: PLC0415

    found = call(
        door, lambda stub: stub.ListModelAlarms(pb.ListModelAlarmsRequest()), models_stub()
    )
    if as_json:
        print_json([_message(each) for each in found.alarms])
    for each in () if as_json else found.alarms:
        click.echo(
            f"{each.service}@{each.instance}: {each.model} runs {', '.join(each.running) or 'none'}"
            f", should run {', '.join(each.expected) or 'none'}"
        )
    if found.alarms:
        raise SystemExit(1)


@model.command()
@click.argument("name")
@click.argument("time", default="")
@click.option("--asset-class", default="", help="Class of the asset.")
@click.option("--site", default="", help="Site of the asset.")
@click.option("--configuration", default="", help="Configuration version of the asset.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def at(  # noqa: PLR0917 - one argument per option
    door: Door,
    name: str,
    time: str,
    asset_class: str,
    site: str,
    configuration: str,
    *,
    as_json: bool,
) -> None:
    """Say which version decides at a plant TIME (RFC 3339), by default now."""
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh_sdk.wire import timestamp  # noqa: PLC0415

    request = pb.GetModelAtRequest(
        name=name,
        at=timestamp(_time(time)),
        asset_class=asset_class,
        site=site,
        configuration=configuration,
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


def models_stub() -> Any:  # noqa: ANN401 - the stub's class
    """Return the class of the stub that these commands call."""
    from twinmesh.governance.v1.model_service_pb2_grpc import ModelServiceStub  # noqa: PLC0415

    return ModelServiceStub


def read_artefact(artefact: Path) -> bytes:
    """Return an artefact's bytes.

    Raises:
        click.UsageError: It is too large for this door.
    """
    if artefact.stat().st_size > MAX_ARTEFACT_BYTES:
        raise click.UsageError(f"an artefact has at most {MAX_ARTEFACT_BYTES} bytes")
    return artefact.read_bytes()


def bound_of(text: str) -> "model_pb2.ModelBound":
    """Return the bound in `SIGNAL=LOW..HIGH`.

    Raises:
        click.UsageError: It is none.
    """
    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    signal, _, values = text.partition("=")
    low, _, high = values.partition("..")
    try:
        return model_pb2.ModelBound(signal=signal, low=float(low), high=float(high))
    except ValueError as error:
        raise click.UsageError(f"{text!r} is not SIGNAL=LOW..HIGH") from error


def signature_of(file: Path | None) -> "model_pb2.ModelSchema":
    """Return the signature in a JSON file; an empty one without a file.

    Raises:
        click.UsageError: It is none.
    """
    from google.protobuf.json_format import ParseDict, ParseError  # noqa: PLC0415

    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    signature = model_pb2.ModelSchema()
    if file is None:
        return signature
    try:
        return ParseDict(json.loads(file.read_text("utf-8")), signature)
    except (ValueError, ParseError) as error:
        raise click.UsageError(f"{file} is no signature: {error}") from error


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except TwinError as error:
        raise unusable(error) from error


def _message(message: Any) -> dict[str, Any]:  # noqa: ANN401 - any message
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    made: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return made


def _receipt(message: Any) -> dict[str, Any]:  # noqa: ANN401 - a receipt
    made = _message(message)
    made["door"] = made.get("door", "").removeprefix("DOOR_")
    made["count"] = int(made.get("count", 0))
    return made


def as_impact(found: Any) -> dict[str, Any]:  # noqa: ANN401 - any answer with an impact
    """Return an impact as plain data."""
    return {
        "outputs": [_message(each) for each in found.outputs],
        "consumers": [_receipt(each) for each in found.receipts],
        "truncated": found.truncated,
    }


def _output(each: "model_pb2.DerivedOutput") -> str:
    return (
        f"{each.state:9} {each.output_type} {each.output_id} v{each.output_version} "
        f"about {each.subject} since {each.at.ToJsonString()} (model {each.model_version})"
    )


def _list_impact(found: Any) -> None:  # noqa: ANN401 - any answer with an impact
    for each in found.outputs:
        click.echo(_output(each))
    for each in found.receipts:
        told = _receipt(each)
        click.echo(
            f"consumed by {told['client']} ({told['door']}): {told['output_type']} "
            f"{told['output_id']} v{each.output_version}, {each.count}x, last {told['last_at']}"
        )
    if found.truncated:
        click.echo("there is more: see --limit")
    if not found.outputs and not found.receipts:
        click.echo("no decision is known that stands on it, and nobody who consumed one", err=True)


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
