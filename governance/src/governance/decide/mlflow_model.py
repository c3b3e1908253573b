"""Read what MLflow wrote about a model, so that it can enter as a draft. Needs no MLflow.

Of a model's folder two files are understood: `MLmodel`, and `registered_model_meta` where the model
was fetched from MLflow's registry. The rest is the artefact, and is not looked into: a pickle must
not be opened to be registered.

Source:
    MLflow documentation, "MLflow Models" (storage format, model signature), releases 2 and 3.
"""

import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from governance.model.releases import ModelField, ModelSchema
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

MAX_DOCUMENT_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20
MAX_FILES: Final = 500
MAX_PATH: Final = 200
MAX_FLAVORS: Final = 32
_TEXT: Final = 200
_KINDS: Final = frozenset(
    {"boolean", "integer", "long", "float", "double", "string", "binary", "datetime"}
)
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """What a model's folder says about it.

    Attributes:
        name: Ours, made of the registered one or of its folder; empty where it has none.
        version: `1.N.0` for version N of MLflow's registry; empty where it was never registered.
        run_id: The run that logged it; empty where there was none.
        schema: Inputs and outputs; units where the model's `metadata.units` names them.
    """

    name: str
    version: str
    run_id: str
    model_uuid: str
    mlflow_version: str
    flavors: tuple[str, ...]
    schema: ModelSchema

    @property
    def description(self) -> str:
        """Where it came from, in words."""
        parts = [f"Imported from MLflow {self.mlflow_version}".strip()]
        if self.run_id:
            parts.append(f"run {self.run_id}")
        if self.model_uuid:
            parts.append(f"model {self.model_uuid}")
        parts.append(f"flavors {', '.join(self.flavors)}")
        return "; ".join(parts) + "."


class _Loader(yaml.SafeLoader):
    """Plain data only, and each of it once: an alias can stand for a million copies."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - PyYAML's own
        if self.check_event(yaml.AliasEvent):
            raise InvalidInputError("the file has YAML aliases, which MLflow does not write")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidInputError(f"the file is nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


# Times stay the texts that they are.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_mlmodel(document: bytes, registered: bytes = b"") -> MlflowModel:
    """Read the file `MLmodel`, and `registered_model_meta` where there is one.

    Raises:
        InvalidInputError: One is not what MLflow writes; the message names the place.
        LimitExceededError: One is too large.
    """
    said = _mapping(document, "MLmodel")
    meta = _mapping(registered, "registered_model_meta") if registered else {}
    flavors = said.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise InvalidInputError("MLmodel names no flavors, so it is no MLflow model")
    if len(flavors) > MAX_FLAVORS or any(not isinstance(f, str) for f in flavors):
        raise InvalidInputError(f"MLmodel names at most {MAX_FLAVORS} flavors")
    units = _units(said.get("metadata"))
    return MlflowModel(
        name=_name(_text(meta, "model_name") or _text(said, "artifact_path")),
        version=_version(meta.get("model_version")),
        run_id=_text(said, "run_id"),
        model_uuid=_text(said, "model_uuid"),
        mlflow_version=_text(said, "mlflow_version"),
        flavors=tuple(sorted(flavor[:_TEXT] for flavor in flavors)),
        schema=_schema(said.get("signature"), units),
    )


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a folder as one artefact: the same files give the same bytes, wherever they lay.

    Args:
        files: By path within the folder, with slashes.

    Raises:
        InvalidInputError: A path leads out of the folder.
        LimitExceededError: There are too many.
    """
    if not 0 < len(files) <= MAX_FILES:
        raise LimitExceededError(f"a model's folder holds 1 to {MAX_FILES} files")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            parts = path.split("/")
            if len(path) > MAX_PATH or path.startswith("/") or {"", ".", ".."} & set(parts):
                raise InvalidInputError(f"{path[:80]!r} is no path within a folder")
            entry = tarfile.TarInfo(path)  # no owner, no time
            entry.size = len(files[path])
            entry.mode = 0o644
            tar.addfile(entry, io.BytesIO(files[path]))
    return archive.getvalue()


def _mapping(document: bytes, what: str) -> dict[str, Any]:
    if len(document) > MAX_DOCUMENT_BYTES:
        raise LimitExceededError(f"{what} has at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        value = yaml.load(document, Loader=_Loader)  # noqa: S506 - a safe loader made narrower
    except InvalidInputError as error:
        raise InvalidInputError(f"{what}: {error}") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"{what} is no YAML: {str(error)[:_TEXT]}") from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{what} is no mapping")
    return value


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    if value is None:
        return ""
    if not isinstance(value, str | int) or len(str(value)) > _TEXT:
        raise InvalidInputError(f"{key} is no short text")
    return str(value)


def _name(text: str) -> str:
    """Return a model's name made of any text; empty where none can be."""
    plain = _NOT_IN_A_NAME.sub("-", text.rsplit("/", 1)[-1].lower()).strip("-")
    return plain[:64].strip("-") if plain[:1].isalpha() else ""


def _version(registered: object) -> str:
    number = str(registered) if isinstance(registered, str | int) else ""
    return f"1.{int(number)}.0" if re.fullmatch(r"[0-9]{1,9}", number) else ""


def _units(metadata: object) -> dict[str, str]:
    units = metadata.get("units") if isinstance(metadata, dict) else None
    if units is None:
        return {}
    if not isinstance(units, dict) or any(
        not isinstance(part, str) or len(part) > _TEXT for pair in units.items() for part in pair
    ):
        raise InvalidInputError("metadata.units maps the names of fields to UCUM codes")
    return units


def _schema(signature: object, units: Mapping[str, str]) -> ModelSchema:
    if signature is None:
        return ModelSchema()
    if not isinstance(signature, dict):
        raise InvalidInputError("signature is no mapping")
    return ModelSchema(
        inputs=_fields(signature.get("inputs"), "inputs", units),
        outputs=_fields(signature.get("outputs"), "outputs", units),
    )


def _fields(text: object, what: str, units: Mapping[str, str]) -> tuple[ModelField, ...]:
    if text is None:
        return ()
    if not isinstance(text, str):
        raise InvalidInputError(f"signature.{what} is no JSON text")
    try:
        columns = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"signature.{what} is no JSON") from error
    if not isinstance(columns, list) or any(not isinstance(c, dict) for c in columns):
        raise InvalidInputError(f"signature.{what} is no list of columns")
    return tuple(_field(c, f"{what}[{i}]", i, units) for i, c in enumerate(columns))


def _field(column: dict[str, Any], where: str, index: int, units: Mapping[str, str]) -> ModelField:
    name = column.get("name", str(index))  # MLflow leaves the only column, or tensor, unnamed
    if not isinstance(name, str) or not name:
        raise InvalidInputError(f"signature.{where} has a name that is no text")
    optional = column.get("required") is False or column.get("optional") is True
    return ModelField(
        name=name,
        kind=_kind(column, where, depth=0),
        unit=units.get(name, ""),
        optional=optional,
    )


def _kind(column: object, where: str, *, depth: int) -> str:
    """Return the kind of a column in one word: `double`, `array<long>`, `tensor<float32>[-1,4]`."""
    if not isinstance(column, dict) or depth > MAX_DEPTH:
        raise InvalidInputError(f"signature.{where} has a type that is not understood")
    kind = column.get("type")
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    if kind == "tensor":
        return _tensor(column.get("tensor-spec"), where)
    if kind in {"array", "map"}:
        inner = column.get("items" if kind == "array" else "values")
        return f"{kind}<{_kind(inner, where, depth=depth + 1)}>"
    if kind == "object":
        properties = column.get("properties")
        if isinstance(properties, dict) and properties:
            said = (
                f"{name}{'?' if _optional(inner) else ''}:{_kind(inner, where, depth=depth + 1)}"
                for name, inner in sorted(properties.items())
            )
            return f"object<{','.join(said)}>"
    raise InvalidInputError(f"signature.{where} has the type {str(kind)[:40]!r}, not understood")


def _optional(column: object) -> bool:
    return isinstance(column, dict) and column.get("required") is False


def _tensor(spec: object, where: str) -> str:
    if isinstance(spec, dict):
        dtype, shape = spec.get("dtype"), spec.get("shape")
        numbers = isinstance(shape, list) and all(type(n) is int for n in shape)
        if isinstance(dtype, str) and re.fullmatch(r"[a-z0-9_<>|]{1,40}", dtype) and numbers:
            return f"tensor<{dtype}>[{','.join(map(str, shape or ()))}]"
    raise InvalidInputError(f"signature.{where} has no tensor-spec with dtype and shape")
