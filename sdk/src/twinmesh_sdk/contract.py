"""A service's contract: its charter, the schemas it serves, the events it publishes and consumes.

The digest defined here is the only one: start-up, `contract push` and governance compute it alike.
"""

import hashlib
import importlib
import json
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import yaml
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.events import EventType

if TYPE_CHECKING:
    from twinmesh.governance.v1.contract_pb2 import ContractBundle, ModelSignature

MAX_CHARTER_BYTES: Final = 256 * 1024
_WELL_KNOWN: Final = "google/protobuf/"
_PACKAGE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\.v[1-9][a-z0-9]*")


@dataclass(frozen=True, slots=True)
class EventDeclaration:
    """An event type and the protobuf message that its payload is."""

    type: EventType
    message: str


@dataclass(frozen=True, slots=True)
class EventSchema:
    """The message of an event type, and the digest of the schema that this process holds."""

    message: str
    digest: str

    @property
    def dataschema(self) -> str:
        """The value of `ce-dataschema`."""
        return f"{self.message}#{self.digest}"


@dataclass(frozen=True, slots=True)
class Contract:
    """One service version's contract, content-addressed by `digest`.

    Attributes:
        charter: The whole of twin.yaml.
        sdl: The subgraph's schema; empty when the service has none.
        descriptor_set: Serialised `FileDescriptorSet` with all imports; may be empty.
        event_schemas: By event type that this service publishes.
        consumes: Event types of others that it handles.
    """

    service: str
    version: str
    charter: Mapping[str, Any]
    sdl: str
    descriptor_set: bytes
    events: tuple[EventDeclaration, ...]
    consumes: tuple[str, ...]
    digest: str
    event_schemas: Mapping[str, EventSchema] = field(default_factory=dict)

    @classmethod
    def load(cls, package: str) -> Self:
        """Read the `contract/` folder of an importable package, for example `energy_twin`.

        Raises:
            NotFoundError: There is no `contract/twin.yaml`.
            InvalidInputError: It cannot be read, or names a protobuf package that does not import.
        """
        return cls.read(files(package) / "contract")

    @classmethod
    def read(cls, folder: Traversable | Path) -> Self:
        """Read a `contract/` folder: `twin.yaml` and the schema that it names.

        Raises:
            NotFoundError: There is no `twin.yaml`, or not the schema that it names.
            InvalidInputError: It cannot be read, or names a protobuf package that does not import.
        """
        charter = read_charter(_text(folder / "twin.yaml"))
        manifest = charter.get("contract")
        if not isinstance(manifest, Mapping):
            raise InvalidInputError("twin.yaml needs a `contract` section")
        subgraph = manifest.get("subgraph")
        sdl = _text(folder / str(subgraph)) if subgraph else ""
        return cls.of(charter, sdl, descriptor_set(_texts(manifest, "protos")))

    @classmethod
    def of(cls, charter: Mapping[str, Any], sdl: str, descriptors: bytes) -> Self:
        """Make a contract of its parts, as governance receives them.

        Raises:
            InvalidInputError: The charter lacks a name, a version or a readable manifest, or an
                event's message is not in the descriptor set.
        """
        service, version = charter.get("name"), charter.get("version")
        if not isinstance(service, str) or not isinstance(version, str):
            raise InvalidInputError("twin.yaml needs `name` and `version` as text")
        manifest = charter.get("contract")
        if not isinstance(manifest, Mapping):
            raise InvalidInputError("twin.yaml needs a `contract` section")
        events = _events(manifest)
        return cls(
            service=service,
            version=version,
            charter=charter,
            sdl=sdl,
            descriptor_set=descriptors,
            events=events,
            consumes=_texts(manifest, "consumes"),
            digest=bundle_digest(
                service=service,
                version=version,
                charter=charter,
                sdl=sdl,
                descriptors=descriptors,
                events=events,
            ),
            event_schemas={
                e.type: EventSchema(e.message, event_schema_digest(descriptors, e.message))
                for e in events
            },
        )

    @property
    def kind(self) -> str:
        """`domain` or `foundation`."""
        return str(self.charter.get("kind", ""))

    def to_pb(self, *, subgraph_url: str = "") -> "ContractBundle":
        """Return the message with which it is pushed to governance."""
        from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415 - only pushers need it

        return contract_pb2.ContractBundle(
            service=self.service,
            version=self.version,
            charter_json=canonical_json(self.charter),
            sdl=self.sdl,
            descriptor_set=self.descriptor_set,
            events=[
                contract_pb2.EventDeclaration(type=e.type, message=e.message) for e in self.events
            ],
            subgraph_url=subgraph_url,
            digest=self.digest,
            models=[_signature(model) for model in _models(self.charter)],
        )


def read_charter(text: str) -> dict[str, Any]:
    """Read twin.yaml: plain YAML whose values JSON can hold.

    Raises:
        InvalidInputError: It is too large, no YAML, no mapping, or holds what JSON cannot.
    """
    if len(text.encode()) > MAX_CHARTER_BYTES:
        raise InvalidInputError(f"a charter has at most {MAX_CHARTER_BYTES} bytes")
    try:
        charter = _parse(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInputError(f"twin.yaml is no YAML: {error}") from error
    if not isinstance(charter, dict):
        raise InvalidInputError("twin.yaml must be a mapping")
    canonical_json(charter)
    return charter


def _parse(text: str) -> object:
    """Read YAML without aliases, by which a small file could become a large value."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=loader)):
        raise InvalidInputError("twin.yaml must not use YAML aliases")
    return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8.

    Raises:
        InvalidInputError: It holds something that JSON cannot, such as a date or a NaN.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"not expressible as JSON: {error}", hint="put dates and versions in quotes"
        ) from error


def bundle_digest(
    *,
    service: str,
    version: str,
    charter: Mapping[str, Any],
    sdl: str,
    descriptors: bytes,
    events: Iterable[EventDeclaration],
) -> str:
    """Return the digest of a contract: SHA-256 in hexadecimal. Addresses are no part of it."""
    parts = {
        "service": service,
        "version": version,
        "charter": hashlib.sha256(canonical_json(charter)).hexdigest(),
        "sdl": hashlib.sha256(sdl.encode()).hexdigest(),
        "descriptors": _digest_of(_files_of(descriptors).values()),
        "events": sorted([e.type, e.message] for e in events),
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def event_schema_digest(descriptors: bytes, message: str) -> str:
    """Return the digest of the file that defines `message`, and of all that it imports.

    Google's well-known types are left out: they differ in nothing but the runtime's version.

    Raises:
        InvalidInputError: The set does not define it.
    """
    by_name = _files_of(descriptors)
    home = next((f.name for f in by_name.values() if _defines(f, message)), None)
    if home is None:
        raise InvalidInputError(
            f"event message {message[:120]!r} is in none of the contract's protos",
            hint="list its package under contract.protos in twin.yaml",
        )
    reached: dict[str, FileDescriptorProto] = {}
    waiting = [home]
    while waiting:
        name = waiting.pop()
        if name not in reached and name in by_name:
            reached[name] = by_name[name]
            waiting.extend(by_name[name].dependency)
    return _digest_of(reached.values())


def descriptor_set(packages: Iterable[str]) -> bytes:
    """Return the serialised `FileDescriptorSet` of protobuf packages, imports included.

    Built from the generated modules, so it needs no compiler and is equal in every process.

    Args:
        packages: For example `twinmesh.maintenance.v1`.

    Raises:
        InvalidInputError: A package has no generated modules here.
    """
    found: dict[str, FileDescriptorProto] = {}
    for package in packages:
        for module in _generated_modules(package):
            _collect(module.DESCRIPTOR, found)
    ordered = FileDescriptorSet(file=[found[name] for name in sorted(found)])
    return ordered.SerializeToString(deterministic=True)


def _generated_modules(package: str) -> list[Any]:
    fault = InvalidInputError(f"no generated code for the protobuf package {package[:80]!r}")
    if not _PACKAGE.fullmatch(package):
        raise fault
    try:
        home = importlib.import_module(package)
    except ImportError as error:
        raise fault from error
    places = getattr(home, "__path__", ())
    names = sorted(m.name for m in pkgutil.iter_modules(places) if m.name.endswith("_pb2"))
    if not names:
        raise fault
    return [importlib.import_module(f"{package}.{name}") for name in names]


def _collect(file: FileDescriptor, found: dict[str, FileDescriptorProto]) -> None:
    if file.name in found:
        return
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    found[file.name] = proto
    for dependency in file.dependencies:
        _collect(dependency, found)


def _files_of(descriptors: bytes) -> dict[str, FileDescriptorProto]:
    """Return the files of a set by name, without Google's well-known types."""
    try:
        parsed = FileDescriptorSet.FromString(descriptors)
    except DecodeError as error:
        raise InvalidInputError("the descriptor set cannot be read") from error
    return {f.name: f for f in parsed.file if not f.name.startswith(_WELL_KNOWN)}


def _digest_of(protos: Iterable[FileDescriptorProto]) -> str:
    digest = hashlib.sha256()
    for proto in sorted(protos, key=lambda f: f.name):
        data = proto.SerializeToString(deterministic=True)
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def _defines(file: FileDescriptorProto, message: str) -> bool:
    prefix = f"{file.package}." if file.package else ""
    return any(prefix + kind.name == message for kind in file.message_type)


def _events(manifest: Mapping[str, Any]) -> tuple[EventDeclaration, ...]:
    declared = manifest.get("events") or ()
    if not isinstance(declared, list | tuple):
        raise InvalidInputError("contract.events must be a list")
    events = []
    for item in declared:
        if not isinstance(item, Mapping) or set(item) != {"type", "message"}:
            raise InvalidInputError("each of contract.events needs `type` and `message`")
        events.append(EventDeclaration(EventType(str(item["type"])), str(item["message"])))
    if len({e.type for e in events}) != len(events):
        raise InvalidInputError("contract.events names a type twice")
    return tuple(events)


def _models(charter: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the charter says of models; its shape is for governance to check."""
    manifest = charter.get("contract")
    declared = manifest.get("models") if isinstance(manifest, Mapping) else None
    listed = declared if isinstance(declared, list) else []
    return [model for model in listed if isinstance(model, Mapping)]


def _signature(model: Mapping[str, Any]) -> "ModelSignature":
    from twinmesh.governance.v1 import contract_pb2  # noqa: PLC0415 - only pushers need it

    def ports(key: str) -> "list[contract_pb2.ModelPort]":
        declared = model.get(key)
        return [
            contract_pb2.ModelPort(
                name=str(port["name"]),
                unit=str(port.get("unit", "")),
                optional=bool(port.get("optional", False)),
            )
            for port in (declared if isinstance(declared, list) else [])
            if isinstance(port, Mapping) and "name" in port
        ]

    return contract_pb2.ModelSignature(
        name=str(model.get("name", "")), inputs=ports("inputs"), outputs=ports("outputs")
    )


def _texts(manifest: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = manifest.get(name) or ()
    if not isinstance(values, list | tuple) or not all(isinstance(v, str) for v in values):
        raise InvalidInputError(f"contract.{name} must be a list of names")
    return tuple(values)


def _text(file: Traversable | Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotFoundError(f"the contract has no {file.name}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file.name} is not UTF-8") from error
