"""Rule: a new descriptor set breaks no peer that was built with the old one."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from governance.decide.breaches import Breach
from governance.decide.compat.protobuf_mesh import RULES, compare_mesh
from governance.decide.compat.protobuf_model import Message, Schema, read_schema
from governance.decide.compat.verdict import Change
from governance.model.contracts import Bundle
from governance.model.findings import Finding

DEPRECATED_REMOVED: Final = "DEPRECATED_REMOVED"
_NOT_OURS: Final = "google/"
_HINT: Final = (
    "keep the old element and add beside it; to remove it, mark it deprecated first, and reserve "
    "its number and name when it goes"
)


def check_protobuf_changes(bundle: Bundle, previous: Bundle) -> list[Breach]:
    """Return a breach per change that the profile `mesh` refuses, and per deprecation that ends."""
    if bundle.descriptor_set == previous.descriptor_set:
        return []
    old = read_schema(previous.descriptor_set)
    changes = _changes(previous.descriptor_set, bundle.descriptor_set)
    return [_breach(bundle, old, change) for change in changes]


@lru_cache(maxsize=256)
def _changes(old: bytes, new: bytes) -> tuple[Change, ...]:
    """Compare once per pair of contents."""
    before, after = read_schema(old), read_schema(new)
    return (*compare_mesh(before, after), *_deprecated_gone(before, after))


def deprecated_elements(schema: Schema) -> dict[str, str]:
    """Return the fields and enum values that are marked deprecated; proto has no reasons."""
    fields = {
        f"{message.name}.{field.name}": ""
        for message in schema.messages.values()
        if not message.file.startswith(_NOT_OURS)
        for field in message.fields.values()
        if field.deprecated
    }
    values = {
        f"{enum.name}.{name}": ""
        for enum in schema.enums.values()
        if not enum.file.startswith(_NOT_OURS)
        for name in enum.deprecated
    }
    return fields | values


def elements_of(schema: Schema) -> set[str]:
    """Return every field and enum value of a schema."""
    fields = {f"{m.name}.{f.name}" for m in schema.messages.values() for f in m.fields.values()}
    return fields | {f"{e.name}.{value}" for e in schema.enums.values() for value in e.values}


def _deprecated_gone(old: Schema, new: Schema) -> Iterator[Change]:
    """Find what may go by the profile, since it was deprecated; by when is for others to say."""
    kept = elements_of(new)
    named = {change.path for change in compare_mesh(old, new)}
    for coordinate in sorted(deprecated_elements(old).keys() - kept):
        owner = coordinate.rpartition(".")[0]
        if coordinate not in named and (owner in new.messages or owner in new.enums):
            why = "it was deprecated; who still uses it sees its default"
            yield Change(DEPRECATED_REMOVED, coordinate, breaking=True, why=why)


def _breach(bundle: Bundle, old: Schema, change: Change) -> Breach:
    become = f" ({change.old or 'nothing'} becomes {change.new or 'nothing'})"
    shown = become if change.old or change.new else ""
    why = RULES.get(change.rule, change.why)
    finding = Finding(
        code=f"PROTO_{change.rule}",
        subject=change.path,
        message=f"{change.path}{shown}: {why}",
        hint=_HINT,
        service=bundle.service,
    )
    return Breach(finding, parts=_reached(bundle, old, change.path), coordinate=change.path)


def _reached(bundle: Bundle, schema: Schema, path: str) -> frozenset[str]:
    """Return the methods and event types through which others meet what changes."""
    owner = path.rpartition(".")[0]
    if path in schema.services:
        return frozenset(f"{path}/{method}" for method in schema.services[path])
    if owner in schema.services:
        return frozenset({f"{owner}/{path.rpartition('.')[2]}"})
    changed = path if path in schema.messages or path in schema.enums else owner
    holders = _holders(schema, changed)
    methods = {
        f"{name}/{method.name}"
        for name, service in schema.services.items()
        for method in service.values()
        if method.request in holders or method.response in holders
    }
    events = {event.type for event in bundle.events if event.message in holders}
    return frozenset(methods | events)


def _holders(schema: Schema, changed: str) -> set[str]:
    """Return every type that holds another, at any depth, and the other."""
    inside: dict[str, set[str]] = {}
    for message in schema.messages.values():
        for name in _held(message):
            inside.setdefault(name, set()).add(message.name)
    found, waiting = {changed}, [changed]
    while waiting:
        for holder in inside.get(waiting.pop(), ()):
            if holder not in found:
                found.add(holder)
                waiting.append(holder)
    return found


def _held(message: Message) -> set[str]:
    return {field.type for field in message.fields.values() if field.kind != "scalar"}
