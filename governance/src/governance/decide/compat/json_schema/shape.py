"""Refusing what is no JSON Schema before anything is compared."""

import math
from typing import Any, Final

from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

MAX_SCHEMAS: Final = 20_000
MAX_DEPTH: Final = 200
MAX_NUMBER: Final = 10**300

TYPES: Final = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
_ONE: Final = (
    "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties",
    "contains", "propertyNames", "not", "if", "then", "else",
)  # fmt: skip
_LISTED: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = (
    "properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies",
)  # fmt: skip
_COUNTS: Final = (
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "minContains", "maxContains",
)  # fmt: skip
_NUMBERS: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", *_COUNTS,
)  # fmt: skip
_TEXTS: Final = ("pattern", "format", "$ref", "$schema", "$id", "$anchor")


def check_shape(schema: Any) -> None:  # noqa: ANN401 - any JSON value
    """Walk every place where a schema stands, and refuse what is none.

    Raises:
        InvalidInputError: A keyword holds what it cannot; the message names the place.
        LimitExceededError: There are too many schemas, or they are nested too deeply.
    """
    waiting: list[tuple[Any, str, int]] = [(schema, "#", 0)]
    seen = 0
    while waiting:
        each, place, depth = waiting.pop()
        seen += 1
        if seen > MAX_SCHEMAS or depth > MAX_DEPTH:
            raise LimitExceededError(
                f"a document has at most {MAX_SCHEMAS} schemas, nested {MAX_DEPTH} deep"
            )
        if isinstance(each, bool):
            continue
        if not isinstance(each, dict):
            raise InvalidInputError(f"{place}: a JSON Schema is an object, true or false")
        _check_values(each, place)
        waiting += [(s, f"{place}/{at}", depth + 1) for at, s in _below(each, place)]


def _below(schema: dict[str, Any], place: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [
        (keyword, schema[keyword]) for keyword in _ONE if keyword in schema
    ]
    for keyword in _LISTED:
        if keyword in schema:
            listed = _is(schema[keyword], list, f"{place}/{keyword}", "a list of schemas")
            found += [(f"{keyword}/{index}", each) for index, each in enumerate(listed)]
    for keyword in _NAMED:
        if keyword in schema:
            named = _is(schema[keyword], dict, f"{place}/{keyword}", "an object of schemas")
            found += [
                (f"{keyword}/{name}", each)
                for name, each in named.items()
                if not (keyword == "dependencies" and isinstance(each, list))
            ]
    items = schema.get("items")
    if isinstance(items, list):
        found += [(f"items/{index}", each) for index, each in enumerate(items)]
    elif items is not None:
        found.append(("items", items))
    return found


def _check_values(schema: dict[str, Any], place: str) -> None:
    _check_type(schema.get("type", []), f"{place}/type")
    for keyword in ("enum", "required", "examples"):
        if keyword in schema and not (keyword == "required" and isinstance(schema[keyword], bool)):
            _is(schema[keyword], list, f"{place}/{keyword}", "a list")
    for keyword in _TEXTS:
        if keyword in schema:
            _is(schema[keyword], str, f"{place}/{keyword}", "text")
    _check_numbers(schema, place)
    for name, value in _pairs(schema, "dependentRequired", place):
        _is(value, list, f"{place}/dependentRequired/{name}", "a list of names")


def _check_type(named: Any, place: str) -> None:  # noqa: ANN401 - any JSON value
    for each in named if isinstance(named, list) else [named]:
        if not isinstance(each, str) or each not in TYPES:
            raise InvalidInputError(
                f"{place}: no type {str(each)[:40]!r} in JSON Schema",
                hint=f"one of {', '.join(sorted(TYPES))}",
            )


def _check_numbers(schema: dict[str, Any], place: str) -> None:
    for keyword in _NUMBERS:
        value = schema.get(keyword)
        if value is None or (isinstance(value, bool) and keyword.startswith("exclusive")):
            continue  # draft 4 has the exclusive bounds as yes and no
        if isinstance(value, bool) or not _finite(value):
            raise InvalidInputError(f"{place}/{keyword} is a number, not {str(value)[:40]!r}")
        if keyword in _COUNTS and value < 0:
            raise InvalidInputError(f"{place}/{keyword} is not below 0")
        if keyword == "multipleOf" and value <= 0:
            raise InvalidInputError(f"{place}/multipleOf is above 0")


def _finite(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if isinstance(value, int):
        return abs(value) < MAX_NUMBER
    return isinstance(value, float) and math.isfinite(value)


def _pairs(schema: dict[str, Any], keyword: str, place: str) -> list[tuple[str, Any]]:
    if keyword not in schema:
        return []
    return list(_is(schema[keyword], dict, f"{place}/{keyword}", "an object").items())


def _is(value: Any, kind: type, place: str, words: str) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, kind):
        raise InvalidInputError(f"{place} is {words}, not {str(value)[:40]!r}")
    return value
