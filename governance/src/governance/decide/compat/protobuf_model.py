"""A descriptor set as the profiles look at it: messages by name, fields by number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import DecodeError

from twinmesh_sdk.core.errors import InvalidInputError

_F = FieldDescriptorProto
SCALARS: Final = {
    _F.TYPE_DOUBLE: "double",
    _F.TYPE_FLOAT: "float",
    _F.TYPE_INT64: "int64",
    _F.TYPE_UINT64: "uint64",
    _F.TYPE_INT32: "int32",
    _F.TYPE_FIXED64: "fixed64",
    _F.TYPE_FIXED32: "fixed32",
    _F.TYPE_BOOL: "bool",
    _F.TYPE_STRING: "string",
    _F.TYPE_BYTES: "bytes",
    _F.TYPE_UINT32: "uint32",
    _F.TYPE_SFIXED32: "sfixed32",
    _F.TYPE_SFIXED64: "sfixed64",
    _F.TYPE_SINT32: "sint32",
    _F.TYPE_SINT64: "sint64",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field.

    Attributes:
        label: As written: `repeated`, `required`, `optional`, or empty.
        type: A scalar's name, or the full name of a message or enum.
        kind: `scalar`, `enum` or `message`.
        oneof: The name of the oneof it is in; empty when none.
    """

    name: str
    number: int
    label: str
    type: str
    kind: str
    oneof: str
    json_name: str
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message.

    Attributes:
        name: Full name.
        local: Name without the package.
        fields: By number.
        reserved: Reserved number ranges, end excluded.
        proto2: Whether its file is written in proto2.
    """

    name: str
    local: str
    package: str
    file: str
    fields: dict[int, Field]
    oneofs: tuple[str, ...]
    reserved: tuple[tuple[int, int], ...]
    reserved_names: frozenset[str]
    is_map: bool
    proto2: bool = False

    def reserves(self, number: int) -> bool:
        """Tell whether a number is reserved."""
        return any(start <= number < end for start, end in self.reserved)


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum: numbers by value name.

    Attributes:
        reserved: Reserved number ranges, end included.
    """

    name: str
    local: str
    file: str
    values: dict[str, int]
    deprecated: frozenset[str]
    reserved: tuple[tuple[int, int], ...]
    reserved_names: frozenset[str]

    def reserves(self, number: int) -> bool:
        """Tell whether a number is reserved."""
        return any(start <= number <= end for start, end in self.reserved)


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC."""

    name: str
    request: str
    response: str
    client_streaming: bool
    server_streaming: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything that a descriptor set defines, by full name.

    Attributes:
        packages: By file.
        roots: Files that no other file of the set imports.
    """

    messages: dict[str, Message] = field(default_factory=dict)
    enums: dict[str, Enum] = field(default_factory=dict)
    services: dict[str, dict[str, Method]] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    roots: tuple[str, ...] = ()


@lru_cache(maxsize=256)
def read_schema(descriptor_set: bytes) -> Schema:
    """Read a serialised descriptor set; parsed once per content, and so is each of its files.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        files = FileDescriptorSet.FromString(descriptor_set).file
    except DecodeError as error:
        raise InvalidInputError("the descriptor set does not parse") from error
    imported = {name for file in files for name in file.dependency}
    schema = Schema(roots=tuple(file.name for file in files if file.name not in imported))
    for file in files:
        part = _read_file(file.SerializeToString(deterministic=True))
        schema.messages.update(part.messages)
        schema.enums.update(part.enums)
        schema.services.update(part.services)
        schema.packages.update(part.packages)
    return schema


@lru_cache(maxsize=1024)
def _read_file(content: bytes) -> Schema:
    """Read one file; two sets that hold the same file share what is read here."""
    file = FileDescriptorProto.FromString(content)
    schema = Schema(packages={file.name: file.package})
    prefix = f"{file.package}." if file.package else ""
    _add_enums(schema, file, prefix, "", file.enum_type)
    for message in file.message_type:
        _add_message(schema, file, prefix, "", message)
    for service in file.service:
        schema.services[prefix + service.name] = {
            m.name: Method(
                m.name,
                m.input_type.lstrip("."),
                m.output_type.lstrip("."),
                m.client_streaming,
                m.server_streaming,
            )
            for m in service.method
        }
    return schema


def _add_message(
    schema: Schema, file: FileDescriptorProto, prefix: str, scope: str, message: DescriptorProto
) -> None:
    local = scope + message.name
    synthetic = {f.oneof_index for f in message.field if f.proto3_optional}
    schema.messages[prefix + local] = Message(
        name=prefix + local,
        local=local,
        package=file.package,
        file=file.name,
        fields={f.number: f for f in _fields(file, message)},
        oneofs=tuple(o.name for i, o in enumerate(message.oneof_decl) if i not in synthetic),
        reserved=tuple((r.start, r.end) for r in message.reserved_range),
        reserved_names=frozenset(message.reserved_name),
        is_map=message.options.map_entry,
        proto2=file.syntax in ("", "proto2"),
    )
    _add_enums(schema, file, prefix, local + ".", message.enum_type)
    for nested in message.nested_type:
        _add_message(schema, file, prefix, local + ".", nested)


def _add_enums(
    schema: Schema,
    file: FileDescriptorProto,
    prefix: str,
    scope: str,
    enums: Iterable[EnumDescriptorProto],
) -> None:
    for enum in enums:
        local = scope + enum.name
        schema.enums[prefix + local] = Enum(
            name=prefix + local,
            local=local,
            file=file.name,
            values={v.name: v.number for v in enum.value},
            deprecated=frozenset(v.name for v in enum.value if v.options.deprecated),
            reserved=tuple((r.start, r.end) for r in enum.reserved_range),
            reserved_names=frozenset(enum.reserved_name),
        )


def _fields(file: FileDescriptorProto, message: DescriptorProto) -> Iterator[Field]:
    for each in message.field:
        in_oneof = each.HasField("oneof_index") and not each.proto3_optional
        kind = "scalar"
        if each.type == _F.TYPE_ENUM:
            kind = "enum"
        elif each.type in (_F.TYPE_MESSAGE, _F.TYPE_GROUP):
            kind = "message"
        yield Field(
            name=each.name,
            number=each.number,
            label=_label(file, each, in_oneof=in_oneof),
            type=SCALARS[each.type] if kind == "scalar" else each.type_name.lstrip("."),
            kind=kind,
            oneof=message.oneof_decl[each.oneof_index].name if in_oneof else "",
            json_name=each.json_name,
            deprecated=each.options.deprecated,
        )


def _label(file: FileDescriptorProto, each: FieldDescriptorProto, *, in_oneof: bool) -> str:
    """Return the label as written: proto3's implicit presence has none, nor has a oneof's field."""
    if each.label == _F.LABEL_REPEATED:
        return "repeated"
    if each.label == _F.LABEL_REQUIRED:
        return "required"
    if in_oneof:
        return ""
    written = each.proto3_optional or file.syntax in ("", "proto2")
    return "optional" if written else ""
