"""Profile `mesh` for Protobuf, the default: bytes, JSON and generated code keep working.

Messages travel as bytes between services, as JSON to people and other systems, and as generated
classes through code; a change is compatible when none of the three notices. What nobody should
use any more can go: first marked `deprecated`, then removed with its number and name reserved.
"""

from collections.abc import Iterator
from typing import Final

from governance.decide.compat.protobuf_model import Enum, Field, Message, Method, Schema
from governance.decide.compat.verdict import Change

WELL_KNOWN: Final = "google/protobuf/"

RULES: Final = {
    "MESSAGE_REMOVED": "code that names the message no longer compiles, data has no reader",
    "MESSAGE_MOVED_TO_FILE": "generated code is imported by its file's path",
    "ENUM_REMOVED": "code that names the enum no longer compiles",
    "ENUM_MOVED_TO_FILE": "generated code is imported by its file's path",
    "SERVICE_REMOVED": "callers get UNIMPLEMENTED",
    "METHOD_REMOVED": "callers get UNIMPLEMENTED",
    "METHOD_TYPES_CHANGED": "callers send or expect another message",
    "METHOD_STREAMING_CHANGED": "callers use another kind of call",
    "FIELD_REMOVED": "readers see its default where they saw a value",
    "FIELD_NUMBER_REUSED": "the number was reserved: old bytes would be read as something else",
    "FIELD_NAME_REUSED": "the name was reserved: old JSON would be read as something else",
    "FIELD_RENAMED": "JSON and code use the name",
    "FIELD_JSON_NAME_CHANGED": "JSON uses the name",
    "FIELD_TYPE_CHANGED": "bytes, JSON or code hold another type",
    "FIELD_CARDINALITY_CHANGED": "one value is not a list, in bytes, JSON and code",
    "FIELD_PRESENCE_LOST": "readers cannot tell unset from zero any more",
    "FIELD_ONEOF_CHANGED": "setting another case clears the field, or no longer does",
    "REQUIRED_FIELD_ADDED": "data written before lacks the field and is refused",
    "REQUIRED_FIELD_REMOVED": "readers that require the field refuse data without it",
    "RESERVATION_REMOVED": "a number or name that old data uses could be given another meaning",
    "ENUM_VALUE_REMOVED": "JSON and code that name the value fail",
    "ENUM_VALUE_RENAMED": "JSON and code use the name",
}
"""Every rule of the profile, and whom it protects."""


def compare_mesh(old: Schema, new: Schema) -> list[Change]:
    """Return the breaking changes between two sets of files; Google's own are left out."""
    return [*_messages(old, new), *_enums(old, new), *_services(old, new)]


def _change(rule: str, path: str, old: str = "", new: str = "") -> Change:
    return Change(rule, path, breaking=True, old=old, new=new, why=RULES[rule])


def _messages(old: Schema, new: Schema) -> Iterator[Change]:
    for name, before in old.messages.items():
        if before.file.startswith(WELL_KNOWN) or before.is_map:
            continue
        after = new.messages.get(name)
        if after is before:
            continue  # read from the same file: see `read_schema`
        if after is None:
            yield _change("MESSAGE_REMOVED", name)
            continue
        if after.file != before.file:
            yield _change("MESSAGE_MOVED_TO_FILE", name, before.file, after.file)
        yield from _fields(before, after, old, new)
        yield from _reservations(before, after)


def _fields(before: Message, after: Message, old: Schema, new: Schema) -> Iterator[Change]:
    for number, field in before.fields.items():
        path = f"{before.name}.{field.name}"
        other = after.fields.get(number)
        if other is None:
            yield from _removed(field, after, path)
        else:
            yield from _same_field(field, other, path, old, new)
    for number, field in after.fields.items():
        if number in before.fields:
            continue
        path = f"{after.name}.{field.name}"
        if field.label == "required":
            yield _change("REQUIRED_FIELD_ADDED", path, "", field.type)
        if before.reserves(number):
            yield _change("FIELD_NUMBER_REUSED", path, f"reserved {number}", field.name)
        elif field.name in before.reserved_names:
            yield _change("FIELD_NAME_REUSED", path, f"reserved {field.name}", str(number))


def _removed(field: Field, after: Message, path: str) -> Iterator[Change]:
    """A field may go when it was deprecated before, and its number and name are reserved."""
    if field.label == "required":
        yield _change("REQUIRED_FIELD_REMOVED", path, field.type)
        return
    reserved = after.reserves(field.number) and field.name in after.reserved_names
    if not (field.deprecated and reserved):
        yield _change("FIELD_REMOVED", path, field.type)


def _same_field(
    field: Field, other: Field, path: str, old: Schema, new: Schema
) -> Iterator[Change]:
    if field.name != other.name:
        yield _change("FIELD_RENAMED", path, field.name, other.name)
    elif field.json_name != other.json_name:
        yield _change("FIELD_JSON_NAME_CHANGED", path, field.json_name, other.json_name)
    before, after = _type(field, old), _type(other, new)
    if before != after:
        yield _change("FIELD_TYPE_CHANGED", path, before, after)
    if field.oneof != other.oneof:
        yield _change("FIELD_ONEOF_CHANGED", path, field.oneof, other.oneof)
    elif field.label != other.label:
        yield from _label(field, other, path)


def _label(field: Field, other: Field, path: str) -> Iterator[Change]:
    labels = {field.label, other.label}
    if "repeated" in labels:
        yield _change("FIELD_CARDINALITY_CHANGED", path, field.label, other.label)
    elif other.label == "required":
        yield _change("REQUIRED_FIELD_ADDED", path, field.label, other.label)
    elif field.label == "required":
        yield _change("REQUIRED_FIELD_REMOVED", path, field.label, other.label)
    elif field.kind != "message" and not other.label:
        yield _change("FIELD_PRESENCE_LOST", path, field.label, other.label)


def _type(field: Field, schema: Schema) -> str:
    message = schema.messages.get(field.type)
    if message is not None and message.is_map:
        key, value = message.fields[1], message.fields[2]
        return f"map<{key.type}, {value.type}>"
    return field.type


def _reservations(before: Message, after: Message) -> Iterator[Change]:
    """A number or name that was reserved stays so. One in use again is reported as reused."""
    used = {field.name for field in after.fields.values()}
    for start, end in before.reserved:
        kept = any(s <= start and end <= e for s, e in after.reserved)
        if not kept and not any(start <= number < end for number in after.fields):
            yield _change("RESERVATION_REMOVED", before.name, f"{start} to {end - 1}")
    for name in sorted(before.reserved_names - after.reserved_names - used):
        yield _change("RESERVATION_REMOVED", before.name, name)


def _enums(old: Schema, new: Schema) -> Iterator[Change]:
    for name, before in old.enums.items():
        if before.file.startswith(WELL_KNOWN):
            continue
        after = new.enums.get(name)
        if after is before:
            continue
        if after is None:
            yield _change("ENUM_REMOVED", name)
            continue
        if after.file != before.file:
            yield _change("ENUM_MOVED_TO_FILE", name, before.file, after.file)
        yield from _values(before, after)


def _values(before: Enum, after: Enum) -> Iterator[Change]:
    numbers = {number: name for name, number in reversed(after.values.items())}
    for value, number in before.values.items():
        if after.values.get(value) == number:
            continue
        path = f"{before.name}.{value}"
        if number in numbers:
            yield _change("ENUM_VALUE_RENAMED", path, value, numbers[number])
            continue
        reserved = after.reserves(number) and value in after.reserved_names
        if not (value in before.deprecated and reserved):
            yield _change("ENUM_VALUE_REMOVED", path, str(number))


def _services(old: Schema, new: Schema) -> Iterator[Change]:
    for name, before in old.services.items():
        after = new.services.get(name)
        if after is before:
            continue
        if after is None:
            yield _change("SERVICE_REMOVED", name)
            continue
        for method in before.values():
            path = f"{name}.{method.name}"
            if method.name not in after:
                yield _change("METHOD_REMOVED", path)
            else:
                yield from _method(method, after[method.name], path)


def _method(before: Method, after: Method, path: str) -> Iterator[Change]:
    if (before.request, before.response) != (after.request, after.response):
        yield _change(
            "METHOD_TYPES_CHANGED",
            path,
            f"{before.request} -> {before.response}",
            f"{after.request} -> {after.response}",
        )
    one = (before.client_streaming, before.server_streaming)
    if one != (after.client_streaming, after.server_streaming):
        yield _change("METHOD_STREAMING_CHANGED", path)
