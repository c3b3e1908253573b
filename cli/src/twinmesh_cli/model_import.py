"""`twinmesh model import-mlflow`: a folder that MLflow wrote enters as a draft."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from twinmesh_cli.governance_door import Door, call, door_options, print_json, unusable
from twinmesh_sdk.core.errors import InvalidInputError, TwinError

if TYPE_CHECKING:
    from governance.decide.mlflow_model import MlflowModel
    from governance.model.releases import ModelField
    from twinmesh.governance.v1 import governance_service_pb2 as service_pb2
    from twinmesh.governance.v1 import model_pb2

MAX_FOLDER_BYTES: Final = 6 * 2**20 - 512 * 1024
"""A submission carries 6 MiB; an archive adds some hundred bytes per file."""

MAX_ENTRIES: Final = 2_000
DESCRIBES: Final = "MLmodel"
REGISTERED: Final = "registered_model_meta"


@click.command("import-mlflow")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", default="", help="The model's name; by default made of MLflow's.")
@click.option(
    "--version",
    default="",
    help="Semantic version; by default 1.N.0 for version N of MLflow's registry.",
)
@click.option("--asset-class", "asset_classes", multiple=True, help="Where it holds; repeatable.")
@click.option(
    "--training-data", default="", help="Digest of its training data, or `none: ` and why."
)
@click.option("--dry-run", is_flag=True, help="Say what would be submitted; ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@door_options("author")
def import_mlflow(  # noqa: PLR0917 - one argument per option
    door: Door,
    folder: Path,
    name: str,
    version: str,
    asset_classes: tuple[str, ...],
    training_data: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Submit a folder with an MLmodel file as a draft.

    Nothing in it is run or opened but MLmodel and registered_model_meta. The whole folder is the
    artefact. What a release needs beyond that, the back-test first of all, is added when the draft
    is submitted for good.
    """
    from governance.decide.mlflow_model import packed, read_mlmodel  # noqa: PLC0415
    from twinmesh.governance.v1 import governance_service_pb2 as pb  # noqa: PLC0415
    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    try:
        files = read_folder(folder)
        if DESCRIBES not in files:
            raise InvalidInputError(
                f"{folder} has no file {DESCRIBES}", hint="give the folder that MLflow wrote it to"
            )
        found = read_mlmodel(files[DESCRIBES], files.get(REGISTERED, b""))
        artefact = packed(files)
    except TwinError as error:
        raise unusable(error) from error
    if not (name or found.name):
        raise click.UsageError("MLmodel gives the model no name that can be used: give --name")
    if not (version or found.version):
        raise click.UsageError("the model was never registered with MLflow: give --version")
    request = pb.SubmitModelRequest(
        name=name or found.name,
        version=version or found.version,
        artefact_digest=f"sha256:{hashlib.sha256(artefact).hexdigest()}",
        artefact=artefact,
        scope=model_pb2.ModelScope(asset_classes=asset_classes),
        description=found.description,
        training_data=training_data,
        signature=_signature(found),
        draft=True,
    )
    if not dry_run:
        call(door, lambda stub: stub.SubmitModel(request))
    _show(request, as_json=as_json, dry_run=dry_run)


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return a folder's files by their path in it.

    Raises:
        InvalidInputError: It is too large, or has links: what they lead to is not part of it.
    """
    files: dict[str, bytes] = {}
    size = 0
    for path in _entries(folder):
        if path.is_symlink() or not path.is_file():
            raise InvalidInputError(f"{path} is no plain file")
        size += path.stat().st_size
        if size > MAX_FOLDER_BYTES:
            raise InvalidInputError(
                f"{folder} holds more than {MAX_FOLDER_BYTES} bytes",
                hint="leave out what is not needed to predict, such as input_example.json",
            )
        files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _entries(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        seen += len(folders) + len(names)
        if seen > MAX_ENTRIES:
            raise InvalidInputError(f"{folder} holds more than {MAX_ENTRIES} files and folders")
        linked = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (Path(place) / name for name in sorted([*names, *linked]))


def _signature(found: "MlflowModel") -> "model_pb2.ModelSchema":
    from twinmesh.governance.v1 import model_pb2  # noqa: PLC0415

    def written(fields: "Sequence[ModelField]") -> list[model_pb2.ModelField]:
        return [
            model_pb2.ModelField(name=f.name, kind=f.kind, unit=f.unit, optional=f.optional)
            for f in fields
        ]

    return model_pb2.ModelSchema(
        inputs=written(found.schema.inputs), outputs=written(found.schema.outputs)
    )


def _show(request: "service_pb2.SubmitModelRequest", *, as_json: bool, dry_run: bool) -> None:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    request.ClearField("artefact")
    if as_json:
        said = MessageToDict(request, preserving_proto_field_name=True)
        print_json({**said, "submitted": not dry_run})
        return
    done = "would enter as DRAFT" if dry_run else "DRAFT"
    click.echo(f"{request.name} {request.version} {done} {request.artefact_digest}")
    click.echo(request.description)
