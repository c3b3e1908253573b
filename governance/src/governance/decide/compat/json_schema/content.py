"""The content model of objects and arrays: what may be there beside what is named."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from governance.decide.compat.json_schema.nodes import Node
from twinmesh_sdk.core.errors import InvalidInputError

MAX_PATTERN_CHARS: Final = 1000


@dataclass(frozen=True, slots=True)
class Rest:
    """What else may be there.

    Attributes:
        allowed: Whether anything may.
        schema: What it must be; None for anything.
    """

    allowed: bool
    schema: Node | None


def rest_of(node: Node, *keywords: str) -> Rest:
    """Return what the first of these keywords that is present says; nothing said allows all."""
    for keyword in keywords:
        value = node.raw.get(keyword)
        if isinstance(value, bool):
            return Rest(value, None)
        if isinstance(value, dict):
            return Rest(allowed=True, schema=node.child(value))
    return Rest(allowed=True, schema=None)


class ObjectContent:
    """What an object schema says about properties."""

    def __init__(self, node: Node) -> None:
        raw = node.raw
        self.properties = {
            name: node.child(schema) for name, schema in _mapping(raw, "properties").items()
        }
        self.patterns = {
            pattern: node.child(schema)
            for pattern, schema in _mapping(raw, "patternProperties").items()
        }
        required = raw.get("required")
        self.required = set(map(str, required)) if isinstance(required, list) else set()
        self.rest = rest_of(node, "additionalProperties", "unevaluatedProperties")
        self.needs: dict[str, set[str]] = {}
        self.implies: dict[str, Node] = {}
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, value in _mapping(raw, keyword).items():
                if isinstance(value, list):
                    self.needs[name] = set(map(str, value))
                else:
                    self.implies[name] = node.child(value)

    @property
    def open(self) -> bool:
        """Whether any further property may be there, with any value."""
        return not self.patterns and self.rest.allowed and self.rest.schema is None

    def covering(self, name: str) -> Node | None:
        """Return the schema that a property has without being named."""
        for pattern, schema in self.patterns.items():
            if _compiled(pattern).search(name):
                return schema
        return self.rest.schema


class ArrayContent:
    """What an array schema says about items."""

    def __init__(self, node: Node) -> None:
        raw = node.raw
        items, prefix = raw.get("items"), raw.get("prefixItems")
        self.every: Node | None = None
        self.first: list[Node] = []
        if node.document.modern:
            if isinstance(prefix, list):
                self.first = [node.child(schema) for schema in prefix]
                self.rest = rest_of(node, "items", "unevaluatedItems")
            elif isinstance(items, dict):
                self.every = node.child(items)
                self.rest = rest_of(node, "unevaluatedItems")
            else:
                self.rest = rest_of(node, "items", "unevaluatedItems")
            return
        if isinstance(items, list):
            self.first = [node.child(schema) for schema in items]
        elif items is not None:
            self.every = node.child(items)
        self.rest = rest_of(node, "additionalItems")

    @property
    def open(self) -> bool:
        """Whether any further item may be there, with any value."""
        return self.rest.allowed and self.rest.schema is None


def _mapping(raw: Any, keyword: str) -> dict[str, Any]:  # noqa: ANN401 - keywords of a schema
    value = raw.get(keyword)
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise InvalidInputError(f"a pattern has at most {MAX_PATTERN_CHARS} characters")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidInputError(f"{pattern[:60]!r} is no regular expression") from error
