"""Objects at a path, their representations, and merging what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from twinmesh_federation.planning.plan import EntityCase, EntityEntry, Path, RepresentationField
from twinmesh_federation.planning.tree import Rename

Data = dict[str, Any]
MISSING = object()


def objects_at(data: Data, path: Path) -> list[Data]:
    """Return the objects that a path leads to."""
    level: list[Any] = [data]
    for segment in path:
        if not isinstance(segment, str):
            level = [o for o in level if o.get("__typename") in segment]
        elif segment == "@":
            level = [item for items in level if isinstance(items, list) for item in items]
            level = [item for item in level if item is not None]
        else:
            level = [v for o in level if (v := o.get(segment)) is not None]
    return [o for o in level if isinstance(o, dict)]


def located(data: Data, path: Path) -> Iterator[tuple[Data, list[str | int]]]:
    """Yield the objects at a path as `objects_at` does, each with its place in the answer."""
    level: list[tuple[Any, list[str | int]]] = [(data, [])]
    for segment in path:
        following: list[tuple[Any, list[str | int]]] = []
        for value, at in level:
            if not isinstance(segment, str):
                if value.get("__typename") in segment:
                    following.append((value, at))
            elif segment == "@":
                if isinstance(value, list):
                    following.extend((v, [*at, n]) for n, v in enumerate(value) if v is not None)
            elif (found := value.get(segment)) is not None:
                following.append((found, [*at, segment]))
        level = following
    for value, at in level:
        if isinstance(value, dict):
            yield value, at


@dataclass(slots=True, eq=False)
class Lookup:
    """What one entry asks: distinct representations, and the objects each is for."""

    entry: EntityEntry
    representations: list[Data] = field(default_factory=list)
    targets: list[list[Data]] = field(default_factory=list)
    index: dict[object, int] = field(default_factory=dict)


Gather = Callable[[list[Data], Lookup], None]
"""Adds the objects that a case concerns to a look-up, each distinct representation once."""


def compile_case(case: EntityCase) -> Gather:
    """Compile a case into a function from objects to what is looked up for them."""
    names = tuple(f.name for f in case.representation)
    flat = all(f.below is None and f.on is None for f in case.representation)
    if flat and len(names) == 1 and not case.by_runtime_type:
        return _gather_by_text(case, names[0], case.representation[0].data_key)
    represent = _represent(case)

    def gather(objects: list[Data], lookup: Lookup) -> None:
        for found in objects:
            representation = represent(found)
            if representation is not None:
                _add(found, representation, lookup)

    return gather


def _gather_by_text(case: EntityCase, name: str, data_key: str) -> Gather:
    """Compile the most frequent case: one field makes the key, and its value is a string."""
    types, typename = case.types, case.typename
    represent = _represent(case)

    def gather(objects: list[Data], lookup: Lookup) -> None:
        index, targets = lookup.index, lookup.targets
        for found in objects:
            value = found.get(data_key)
            if value.__class__ is not str:
                representation = represent(found)
                if representation is not None:
                    _add(found, representation, lookup)
                continue
            if types is not None and found.get("__typename") not in types:
                continue
            key = (typename, name, value)
            at = index.get(key)
            if at is None:
                index[key] = len(targets)
                lookup.representations.append({"__typename": typename, name: value})
                targets.append([found])
            else:
                targets[at].append(found)

    return gather


def _add(found: Data, representation: Data, lookup: Lookup) -> None:
    key: object = None
    if len(representation) == 2:
        (_, typename), (name, value) = representation.items()
        if value.__class__ is str:
            key = (typename, name, value)
    if key is None:
        key = orjson.dumps(representation)
    at = lookup.index.get(key)
    if at is None:
        at = lookup.index[key] = len(lookup.representations)
        lookup.representations.append(representation)
        lookup.targets.append([])
    lookup.targets[at].append(found)


def _represent(case: EntityCase) -> Callable[[Data], Data | None]:
    """Compile a case into a function from an object to its representation, None for no look-up."""
    fields = tuple(_compile_field(f) for f in case.representation)
    types, typename, by_runtime_type = case.types, case.typename, case.by_runtime_type

    def represent(source: Data) -> Data | None:
        if types is not None and source.get("__typename") not in types:
            return None
        name = source.get("__typename", typename) if by_runtime_type else typename
        representation: Data = {"__typename": name}
        for apply in fields:
            if not apply(source, representation):
                return None
        return representation

    return represent


def _compile_field(item: RepresentationField) -> Callable[[Data, Data], bool]:  # noqa: C901 - one closure per kind of field, hot
    name, data_key, key_part, on = item.name, item.data_key, item.key_part, item.on
    below = tuple(_compile_field(b) for b in item.below) if item.below is not None else None

    def copy(value: Any) -> Any:  # noqa: ANN401 - JSON
        assert below is not None
        if isinstance(value, list):
            items = [None if v is None else copy(v) for v in value]
            return MISSING if any(i is MISSING for i in items) else items
        if not isinstance(value, dict):
            return MISSING
        copied: Data = {}
        if (typename := value.get("__typename")) is not None:
            copied["__typename"] = typename
        for apply in below:
            if not apply(value, copied):
                return MISSING
        return copied

    def apply(source: Data, into: Data) -> bool:
        if on is not None and source.get("__typename") not in on:
            return True
        value = source.get(data_key, MISSING)
        if value is MISSING:
            return False
        if value is None:
            into[name] = None
            return not key_part
        if below is not None:
            value = copy(value)
            if value is MISSING:
                return False
            if name in into:
                merge(into[name], value)
                return True
        into[name] = value
        return True

    return apply


def merge(target: Any, source: Any) -> None:  # noqa: ANN401 - JSON
    """Merge a result into what is known; lists by index, as both show the same field."""
    if isinstance(target, dict) and isinstance(source, dict):
        for key, value in source.items():
            known = target.get(key)
            if known is None:
                target[key] = value
            elif isinstance(value, (dict, list)):
                merge(known, value)
            elif key == "__typename" and value is not None:
                target[key] = value
    elif isinstance(target, list) and isinstance(source, list):
        for index, value in enumerate(source[: len(target)]):
            if target[index] is None:
                target[index] = value
            elif isinstance(value, (dict, list)):
                merge(target[index], value)


def undo_aliases(value: Any, renames: tuple[Rename, ...]) -> None:  # noqa: ANN401 - JSON
    """Give fields back the key that the client knows, deepest first."""
    for path, alias, key in sorted(renames, key=lambda r: -len(r[0])):
        for found in _walk(value, path):
            if alias in found:
                found[key] = found.pop(alias)


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[Data]:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif isinstance(value, dict):
        if not path:
            yield value
        elif (below := value.get(path[0])) is not None:
            yield from _walk(below, path[1:])
