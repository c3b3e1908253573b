"""Profile `confluent` for Protobuf: what Confluent's Schema Registry accepts as backward.

It guards data on a topic, not code: names, enums and removed fields may change; a message may not
go, a scalar may not change its wire group, numeric labels may not change, and fields may not
become exclusive that were not. Only the first file counts; what it imports is compared where a
field leads there.

Source: Confluent Platform documentation, "Formats, Serializers, and Deserializers: Protobuf
compatibility rules", and the registry's published behaviour (pull request 3004: the package).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from governance.decide.compat.protobuf_model import Field, Message, Schema
from governance.decide.compat.verdict import Change

GROUPS: Final = {
    "int32": "integer",
    "int64": "integer",
    "uint32": "integer",
    "uint64": "integer",
    "bool": "integer",
    "sint32": "zigzag",
    "sint64": "zigzag",
    "string": "text",
    "bytes": "text",
    "fixed32": "fixed32",
    "sfixed32": "fixed32",
    "fixed64": "fixed64",
    "sfixed64": "fixed64",
    "float": "float",
    "double": "double",
}
"""Scalars that share an encoding; enums count as integers.

Source: protobuf.dev, language guide (proto3), "Updating a message type".
"""

_WHY: Final = {
    "PACKAGE_CHANGED": "the full names of all messages change",
    "MESSAGE_REMOVED": "readers of data with this message have nothing to read it with",
    "FIELD_KIND_CHANGED": "scalar, message and map have different encodings",
    "FIELD_SCALAR_KIND_CHANGED": "the two types have different encodings",
    "FIELD_NAMED_TYPE_CHANGED": "the field leads to another message",
    "FIELD_NUMERIC_LABEL_CHANGED": "packed and single numbers have different encodings",
    "REQUIRED_FIELD_ADDED": "data written before lacks the field",
    "REQUIRED_FIELD_REMOVED": "readers that require the field refuse data without it",
    "ONEOF_FIELD_REMOVED": "a case that was set reads as unset",
    "MULTIPLE_FIELDS_MOVED_TO_ONEOF": "data that sets several of them loses all but the last",
    "FIELD_MOVED_TO_EXISTING_ONEOF": "data that sets several of them loses all but the last",
}


def compare_confluent(old: Schema, new: Schema, *, old_file: str, new_file: str) -> list[Change]:
    """Return the changes between two files, imports reached through fields included.

    Args:
        old: The old file and what it imports.
        new: The new file and what it imports.
        old_file: Name of the file that was registered.
        new_file: Name of the file to register.
    """
    return _Comparison(old, new).files(old_file, new_file)


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[str, str]] = set()

    def files(self, old_file: str, new_file: str) -> list[Change]:
        changes: list[Change] = []
        before, after = self._old.packages[old_file], self._new.packages[new_file]
        if before != after:
            changes.append(_change("PACKAGE_CHANGED", "#/", before, after))
        old = {m.local: m for m in self._old.messages.values() if m.file == old_file}
        new = {m.local: m for m in self._new.messages.values() if m.file == new_file}
        gone = {local for local in old.keys() - new.keys() if not old[local].is_map}
        changes += [
            _change("MESSAGE_REMOVED", _path(local))
            for local in sorted(gone)
            if _parent(local) not in gone
        ]
        for local in sorted(old.keys() & new.keys()):
            if old[local].is_map or new[local].is_map:
                continue  # compared where their field is
            changes += self.messages(old[local], new[local])
        return changes

    def messages(self, old: Message, new: Message) -> list[Change]:
        """Compare two messages once: recursion ends where it began."""
        if (old.name, new.name) in self._seen:
            return []
        self._seen.add((old.name, new.name))
        path = _path(old.local)
        changes = [*_exclusions(old, new, path), *_oneof_cases(old, new, path)]
        for number in sorted(old.fields.keys() | new.fields.keys()):
            before, after = old.fields.get(number), new.fields.get(number)
            place = f"{path}/{number}"
            if before is None:
                changes += _appeared(after, place)
            elif after is None:
                if before.label == "required":
                    changes.append(_change("REQUIRED_FIELD_REMOVED", place, before.name))
            else:
                changes += self.fields(before, after, place)
        return changes

    def fields(self, old: Field, new: Field, path: str) -> list[Change]:
        """Compare what two fields of one number may hold."""
        before, after = self._kind(old, self._old), self._kind(new, self._new)
        if before != after:
            return [_change("FIELD_KIND_CHANGED", path, old.type, new.type)]
        if before == "scalar":
            return _scalars(old, new, path)
        one = self._old.messages.get(old.type)
        other = self._new.messages.get(new.type)
        if one is None or other is None:
            same = old.type == new.type
            return [] if same else [_change("FIELD_NAMED_TYPE_CHANGED", path, old.type, new.type)]
        if before == "map":
            return [
                change
                for number in (1, 2)
                for change in self.fields(
                    _unlabelled(one.fields[number]), _unlabelled(other.fields[number]), path
                )
            ]
        if one.local != other.local:
            return [_change("FIELD_NAMED_TYPE_CHANGED", path, one.local, other.local)]
        return self.messages(one, other)

    @staticmethod
    def _kind(field: Field, schema: Schema) -> str:
        if field.kind in {"scalar", "enum"}:
            return "scalar"
        message = schema.messages.get(field.type)
        return "map" if message is not None and message.is_map else "message"


def _scalars(old: Field, new: Field, path: str) -> list[Change]:
    before, after = _group(old), _group(new)
    if before != after:
        return [_change("FIELD_SCALAR_KIND_CHANGED", path, old.type, new.type)]
    if old.label and new.label and old.label != new.label and before != "text":
        return [_change("FIELD_NUMERIC_LABEL_CHANGED", path, old.label, new.label)]
    return []


def _exclusions(old: Message, new: Message, path: str) -> Iterator[Change]:
    """Find oneofs that make exclusive what was not: fields that come from different places."""
    for oneof in new.oneofs:
        known = [
            old.fields[f.number]
            for f in new.fields.values()
            if f.oneof == oneof and f.number in old.fields
        ]
        alone = [f for f in known if not f.oneof]
        groups = {f.oneof for f in known if f.oneof}
        place = f"{path}/{oneof}"
        if len(alone) > 1:
            yield _change("MULTIPLE_FIELDS_MOVED_TO_ONEOF", place)
        elif len(alone) + len(groups) > 1:
            yield _change("FIELD_MOVED_TO_EXISTING_ONEOF", place)


def _oneof_cases(old: Message, new: Message, path: str) -> Iterator[Change]:
    """Find cases that went, while their oneof stays."""
    for field in old.fields.values():
        if field.oneof in new.oneofs and field.oneof and field.number not in new.fields:
            yield _change("ONEOF_FIELD_REMOVED", f"{path}/{field.oneof}/{field.number}", field.name)


def _appeared(field: Field | None, path: str) -> list[Change]:
    if field is not None and field.label == "required":
        return [_change("REQUIRED_FIELD_ADDED", path, "", field.name)]
    return []


def _group(field: Field) -> str:
    return "integer" if field.kind == "enum" else GROUPS[field.type]


def _unlabelled(field: Field) -> Field:
    return replace(field, label="", oneof="")


def _parent(local: str) -> str:
    return local.rpartition(".")[0]


def _path(local: str) -> str:
    return "#/" + local.replace(".", "/")


def _change(rule: str, path: str, old: str = "", new: str = "") -> Change:
    return Change(rule, path, breaking=True, old=old, new=new, why=_WHY[rule])
