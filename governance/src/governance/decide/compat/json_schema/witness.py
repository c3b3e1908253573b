"""Looking for a witness: an instance that the old schema accepts and the new one rejects.

Candidates are made from the words of both schemas (bounds and one beyond, values of enums,
properties present and absent, items of either type); whether one is a witness is for a validator
of the JSON Schema specification to say, not for us.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from referencing.exceptions import Unresolvable

from governance.decide.compat.json_schema.nodes import Document
from twinmesh_sdk.core.errors import InvalidInputError

MAX_CANDIDATES: Final = 3_000
MAX_VALUES: Final = 24
MAX_NAMES: Final = 24
MAX_DEPTH: Final = 6
MAX_ITEMS: Final = 64
MAX_TEXT: Final = 4_096
_TROUBLE: Final = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    re.error,
    Unresolvable,
)
ANYTHING: Final[tuple[Any, ...]] = ("a", 1, 0.5, True, None, [], {})
EXTRA: Final = "anything_else"

Schemas = Sequence[tuple[Document, Any]]


def find_witness(old: Document, new: Document) -> tuple[bool, Any]:
    """Return whether a witness was found, and the witness.

    Not finding one does not prove that there is none.
    """
    accepts, rejects = old.validator(), new.validator()
    schemas = [(old, old.schema), (new, new.schema)]
    for candidate in itertools.islice(_candidates(schemas, 0), MAX_CANDIDATES):
        try:
            if accepts.is_valid(candidate) and not rejects.is_valid(candidate):
                return True, candidate
        except _TROUBLE:  # a validator that stumbles over a candidate says nothing about it
            return False, None
    return False, None


def _candidates(schemas: Schemas, depth: int) -> Iterator[Any]:
    """Yield instances worth trying for a place that these schemas describe, likely ones first."""
    plain = [
        (document, part) for document, schema in schemas for part in _parts(document, schema, 0)
    ]
    yield from _listed(plain)
    yield from _numbers(plain)
    yield from _texts(plain)
    if depth < MAX_DEPTH:
        yield from _objects(plain, depth)
        yield from _arrays(plain, depth)
    yield from ANYTHING


def _parts(document: Document, schema: Any, depth: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Yield a schema and what it combines or refers to, as plain keywords."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return
    yield schema
    if isinstance(schema.get("$ref"), str):
        try:
            yield from _parts(document, document.resolve(schema["$ref"]), depth + 1)
        except InvalidInputError:
            return
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(keyword) or ():
            yield from _parts(document, part, depth + 1)
    for keyword in ("not", "if", "then", "else"):
        yield from _parts(document, schema.get(keyword), depth + 1)
    for dependent in {
        **_mapping(schema, "dependencies"),
        **_mapping(schema, "dependentSchemas"),
    }.values():
        yield from _parts(document, dependent, depth + 1)


def _listed(parts: Schemas) -> Iterator[Any]:
    for _, schema in parts:
        yield from (schema.get("enum") or ())[:MAX_VALUES]
        for keyword in ("const", "default"):
            if keyword in schema:
                yield schema[keyword]
        yield from (schema.get("examples") or ())[:MAX_VALUES]


def _numbers(parts: Schemas) -> Iterator[Any]:
    for _, schema in parts:
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            bound = schema.get(keyword)
            if isinstance(bound, int | float) and not isinstance(bound, bool):
                yield from (bound, bound - 1, bound + 1, bound - 0.5, bound + 0.5)
        step = schema.get("multipleOf")
        if isinstance(step, int | float) and step:
            yield from (step, 2 * step, 3 * step, float(Decimal(str(step)) / 2))
    yield from (1, 0, -1, 0.5, 7, 1e9)


def _texts(parts: Schemas) -> Iterator[str]:
    for _, schema in parts:
        for keyword in ("minLength", "maxLength"):
            bound = schema.get(keyword)
            if isinstance(bound, int) and 0 <= bound <= MAX_TEXT:
                yield from ("a" * bound, "a" * (bound + 1), "a" * max(0, bound - 1))
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            yield pattern.strip("^$").replace("\\", "")[:MAX_TEXT]
    yield from ("a", "", "1", "2026-01-31", "2026-01-31T08:00:00Z", "a@b.example", "aaaaaaaaaaaa")


def _objects(parts: Schemas, depth: int) -> Iterator[dict[str, Any]]:
    names = _names(parts)
    if not names and not any(_speaks_of_objects(schema) for _, schema in parts):
        return
    values = {name: _values(parts, name, depth) for name in [*names, EXTRA]}
    required = {name for _, schema in parts for name in _required(schema)}
    full = {name: values[name][0] for name in names}
    base = {name: full[name] for name in names if name in required}
    for start in ({}, base, full):
        yield start
        for name in [*names, EXTRA]:
            yield from ({**start, name: value} for value in values[name])
            yield {key: value for key, value in start.items() if key != name}
    for count in _counts(parts, "minProperties", "maxProperties"):
        yield {f"p{number}": 1 for number in range(count)}


def _arrays(parts: Schemas, depth: int) -> Iterator[list[Any]]:
    if not any(_speaks_of_arrays(schema) for _, schema in parts):
        return
    first, every = _item_schemas(parts)
    columns = [_take(schemas, depth) for schemas in first]
    anything = _take(every, depth)
    usual = [column[0] for column in columns]
    yield []
    for length in range(len(columns) + 1):
        yield usual[:length]
    for index, column in enumerate(columns):
        for value in column:
            yield [*usual[:index], value]
            yield [*usual[:index], value, *usual[index + 1 :]]
    for value in anything:
        yield [value]
        yield [*usual, value]
        yield [value, value]
    for start in itertools.product(*(column[:4] for column in columns[:4])):
        yield list(start)
        yield from ([*start, value] for value in anything[:8])
    for count in _counts(parts, "minItems", "maxItems"):
        yield [anything[0]] * count
        yield list(range(count))


def _item_schemas(parts: Schemas) -> tuple[list[Schemas], Schemas]:
    """Return the schemas of the first items, by place, and those of any item."""
    first: list[list[tuple[Document, Any]]] = []
    every: list[tuple[Document, Any]] = []
    for document, schema in parts:
        listed = [schema.get("prefixItems"), schema.get("items")]
        for each in listed:
            for index, item in enumerate(each[:MAX_ITEMS] if isinstance(each, list) else ()):
                if index == len(first):
                    first.append([])
                first[index].append((document, item))
        for keyword in ("items", "additionalItems", "unevaluatedItems", "contains"):
            every += [(document, schema[keyword])] if isinstance(schema.get(keyword), dict) else []
    return list(first), every


def _take(schemas: Schemas, depth: int) -> list[Any]:
    """Return values to try for a place, those that its first schema accepts first."""
    found = list(itertools.islice(_candidates(schemas, depth + 1), MAX_VALUES))
    found += ANYTHING
    if not schemas:
        return found
    document, schema = schemas[0]
    check = document.validator().evolve(schema=schema)
    try:
        return sorted(found, key=lambda value: not check.is_valid(value))
    except _TROUBLE:
        return found


def _values(parts: Schemas, name: str, depth: int) -> list[Any]:
    below = [
        (document, schema[keyword][name] if keyword == "properties" else schema[keyword])
        for document, schema in parts
        for keyword in ("properties", "additionalProperties", "unevaluatedProperties")
        if (keyword == "properties" and name in _mapping(schema, keyword))
        or (keyword != "properties" and isinstance(schema.get(keyword), dict))
    ]
    patterned = [
        (document, schema)
        for document, whole in parts
        for schema in _mapping(whole, "patternProperties").values()
    ]
    return _take([*below, *patterned], depth)


def _names(parts: Schemas) -> list[str]:
    found: dict[str, None] = {}
    for _, schema in parts:
        for keyword in ("properties", "dependencies", "dependentRequired", "dependentSchemas"):
            found |= dict.fromkeys(_mapping(schema, keyword))
        found |= dict.fromkeys(_required(schema))
        for pattern in _mapping(schema, "patternProperties"):
            found[pattern.strip("^$")] = None
    return list(found)[:MAX_NAMES]


def _counts(parts: Schemas, *keywords: str) -> Iterator[int]:
    for _, schema in parts:
        for keyword in keywords:
            bound = schema.get(keyword)
            if isinstance(bound, int) and 0 <= bound <= MAX_ITEMS:
                yield from {bound, bound + 1, max(0, bound - 1)}


def _speaks_of_objects(schema: dict[str, Any]) -> bool:
    return "object" in _types(schema) or any("ropert" in keyword for keyword in schema)


def _speaks_of_arrays(schema: dict[str, Any]) -> bool:
    return "array" in _types(schema) or any(
        keyword.endswith(("tems", "Contains")) or keyword == "contains" for keyword in schema
    )


def _required(schema: dict[str, Any]) -> list[str]:
    named = schema.get("required")  # a list; draft 3 had it as yes and no
    return [n for n in named if isinstance(n, str)] if isinstance(named, list) else []


def _types(schema: dict[str, Any]) -> list[Any]:
    named = schema.get("type")
    return named if isinstance(named, list) else [named]


def _mapping(schema: Any, keyword: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    value = schema.get(keyword) if isinstance(schema, dict) else None
    return value if isinstance(value, dict) else {}
