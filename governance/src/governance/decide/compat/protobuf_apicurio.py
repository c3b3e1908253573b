"""Profile `apicurio` for Protobuf: what Apicurio Registry accepts as backward.

It looks at names: a field keeps its number, type and label for as long as its name is there, a
number keeps its name, and what goes leaves its name and its number reserved. Messages and services
may come; a field goes only with both reservations.

Source: Apicurio Registry's documentation, "Content rules", and its published behaviour; its rules
go back to protolock's.
"""

from collections.abc import Iterator
from typing import Final

from governance.decide.compat.protobuf_model import Enum, Field, Message, Method, Schema
from governance.decide.compat.verdict import Change

WELL_KNOWN: Final = "google/protobuf/"

_WHY: Final = {
    "RESERVED_USED": "old data may hold something else under it",
    "RESERVATION_REMOVED": "it could be given another meaning",
    "REMOVED_WITHOUT_RESERVATION": "its name or number could be given another meaning",
    "FIELD_NUMBER_CHANGED": "bytes written before hold it under another number",
    "FIELD_TYPE_CHANGED": "bytes written before hold another type",
    "FIELD_LABEL_CHANGED": "readers expect it as it was labelled",
    "NAME_CHANGED": "JSON and code use the name",
    "METHOD_REMOVED": "callers get UNIMPLEMENTED",
    "METHOD_CHANGED": "callers send or expect another message",
    "REQUIRED_FIELD_ADDED": "data written before lacks the field",
}


def compare_apicurio(old: Schema, new: Schema) -> list[Change]:
    """Return the breaking changes between two sets of files."""
    return [*_messages(old, new), *_enums(old, new), *_services(old, new)]


def _messages(old: Schema, new: Schema) -> Iterator[Change]:
    after = {m.local: m for m in new.messages.values() if _counts(m)}
    for before in old.messages.values():
        if not _counts(before):
            continue
        other = after.get(before.local)
        yield from _reserved(before, other)
        yield from _gone(before, other)
        if other is not None:
            yield from _kept(before, other, old, new)


def _counts(message: Message) -> bool:
    return not message.is_map and not message.file.startswith(WELL_KNOWN)


def _reserved(before: Message, after: Message | None) -> Iterator[Change]:
    names = after.reserved_names if after else frozenset()
    for name in sorted(before.reserved_names - names):
        yield _change("RESERVATION_REMOVED", before.local, name)
    for start, end in before.reserved:
        if not _covered(start, end, after.reserved if after else ()):
            yield _change("RESERVATION_REMOVED", before.local, f"{start} to {end - 1}")
    for field in after.fields.values() if after else ():
        if before.reserves(field.number) or field.name in before.reserved_names:
            yield _change("RESERVED_USED", f"{before.local}.{field.name}", "", str(field.number))


def _covered(start: int, end: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    """Tell whether every number of a range is in one of the ranges."""
    for first, last in sorted(ranges):
        if first <= start < last:
            start = last
    return start >= end


def _gone(before: Message, after: Message | None) -> Iterator[Change]:
    """A field that goes leaves its name reserved, and its number reserved or in use."""
    kept = {f.name for f in after.fields.values()} if after else set()
    for field in before.fields.values():
        if field.name in kept:
            continue
        named = after is not None and field.name in after.reserved_names
        numbered = after is not None and (
            after.reserves(field.number) or field.number in after.fields
        )
        if not (named and numbered):
            yield _change(
                "REMOVED_WITHOUT_RESERVATION", f"{before.local}.{field.name}", str(field.number)
            )


def _kept(before: Message, after: Message, old: Schema, new: Schema) -> Iterator[Change]:
    by_name = {f.name: f for f in after.fields.values()}
    known = {f.name for f in before.fields.values()}
    for field in before.fields.values():
        path = f"{before.local}.{field.name}"
        if same := by_name.get(field.name):
            yield from _same_name(field, same, path, old, new)
        if (other := after.fields.get(field.number)) is not None and other.name != field.name:
            yield _change("NAME_CHANGED", path, field.name, other.name)
    for field in after.fields.values():
        if before.proto2 and field.label == "required" and field.name not in known:
            yield _change("REQUIRED_FIELD_ADDED", f"{before.local}.{field.name}", "", field.type)


def _same_name(field: Field, other: Field, path: str, old: Schema, new: Schema) -> Iterator[Change]:
    if field.number != other.number:
        yield _change("FIELD_NUMBER_CHANGED", path, str(field.number), str(other.number))
    one, two = _type(field, old), _type(other, new)
    if one != two:
        yield _change("FIELD_TYPE_CHANGED", path, one, two)
    # A map is written without a label, whatever its descriptor says.
    if field.label != other.label and not one.startswith("map<") and not two.startswith("map<"):
        yield _change("FIELD_LABEL_CHANGED", path, field.label, other.label)


def _type(field: Field, schema: Schema) -> str:
    message = schema.messages.get(field.type)
    if message is not None and message.is_map:
        return f"map<{message.fields[1].type}, {message.fields[2].type}>"
    return field.type


def _enums(old: Schema, new: Schema) -> Iterator[Change]:
    after = {e.local: e for e in new.enums.values()}
    for before in old.enums.values():
        other = after.get(before.local)
        if other is not None and not before.file.startswith(WELL_KNOWN):
            yield from _constants(before, other)


def _constants(before: Enum, after: Enum) -> Iterator[Change]:
    numbers = set(after.values.values())
    for name, number in before.values.items():
        path = f"{before.local}.{name}"
        if name in after.values:
            if after.values[name] != number:
                yield _change("FIELD_NUMBER_CHANGED", path, str(number), str(after.values[name]))
        elif number in numbers:
            yield _change("NAME_CHANGED", path, name)
        else:
            yield _change("REMOVED_WITHOUT_RESERVATION", path, str(number))


def _services(old: Schema, new: Schema) -> Iterator[Change]:
    for name, before in old.services.items():
        after: dict[str, Method] = new.services.get(name, {})
        for method in before.values():
            if method.name not in after:
                yield _change("METHOD_REMOVED", f"{name}.{method.name}")
            elif after[method.name] != method:
                yield _change("METHOD_CHANGED", f"{name}.{method.name}")


def _change(rule: str, path: str, old: str = "", new: str = "") -> Change:
    return Change(rule, path, breaking=True, old=old, new=new, why=_WHY[rule])
