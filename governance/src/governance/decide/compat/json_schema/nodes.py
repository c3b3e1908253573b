"""JSON Schema as the registry's rules look at it: every schema is of exactly one kind.

A schema with keywords of several kinds is their `allOf`. Children are read when asked for and
once each, so that recursive schemas are finite and a node is itself wherever it is met.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

from governance.decide.compat.json_schema.shape import check_shape
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

MAX_DEPTH: Final = 200
MAX_REFS: Final = 64


class Kind(StrEnum):
    """What a schema is."""

    EMPTY = "empty"
    FALSE = "false"
    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    ARRAY = "array"
    OBJECT = "object"
    ENUM = "enum"
    CONST = "const"
    NOT = "not"
    CONDITIONAL = "conditional"
    COMBINED = "combined"


_TYPES: Final = {
    "string": Kind.STRING,
    "integer": Kind.NUMBER,
    "number": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "null": Kind.NULL,
    "array": Kind.ARRAY,
    "object": Kind.OBJECT,
}
_SNIFFED: Final = {
    Kind.STRING: {"minLength", "maxLength", "pattern", "format"},
    Kind.NUMBER: {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    Kind.ARRAY: {
        "items", "additionalItems", "prefixItems", "unevaluatedItems", "minItems", "maxItems",
        "uniqueItems", "contains", "minContains", "maxContains",
    },
    Kind.OBJECT: {
        "properties", "required", "minProperties", "maxProperties", "dependencies",
        "dependentRequired", "dependentSchemas", "patternProperties", "additionalProperties",
        "unevaluatedProperties", "propertyNames",
    },
}  # fmt: skip
_CRITERIA: Final = ("allOf", "anyOf", "oneOf")
_MODERN: Final = ("2019-09", "2020-12")


@dataclass(eq=False, slots=True)
class Node:
    """A schema of one kind.

    Attributes:
        raw: The keywords; empty for `true` and `false`.
        integer: For numbers: only whole ones.
        criterion: For combined ones: allOf, anyOf or oneOf.
        parts: For combined ones: what is combined.
    """

    document: "Document"
    kind: Kind
    raw: Mapping[str, Any]
    integer: bool = False
    criterion: str = ""
    parts: tuple["Node", ...] = ()

    def child(self, schema: Any) -> "Node":  # noqa: ANN401 - any JSON value that is a schema
        """Return the node of a schema below this one."""
        return self.document.node(schema)

    @property
    def has_default(self) -> bool:
        """Whether it names a default."""
        return "default" in self.raw

    def fingerprint(self) -> str:
        """Return a text equal for schemas that say the same."""
        if self.kind is Kind.COMBINED:
            return f"{self.criterion}[{','.join(p.fingerprint() for p in self.parts)}]"
        return f"{self.kind}{self.integer}{json.dumps(self.raw, sort_keys=True, default=str)}"


class Document:
    """One schema with everything that it refers to."""

    def __init__(self, schema: Any, references: Mapping[str, Any]) -> None:  # noqa: ANN401
        self.schema = _decoded(schema)
        self.references = {name: _decoded(value) for name, value in references.items()}
        for each in (self.schema, *self.references.values()):
            check_shape(each)
        self.modern = isinstance(self.schema, dict) and any(
            draft in str(self.schema.get("$schema", "")) for draft in _MODERN
        )
        self._nodes: dict[int, Node] = {}
        self._kept: list[Any] = []
        self._depth = 0
        self._validator: Any = None

    def validator(self) -> Any:  # noqa: ANN401 - jsonschema's classes are made at run time
        """Return a validator of the JSON Schema specification; made once."""
        if self._validator is None:
            from jsonschema import Draft7Validator, validators  # noqa: PLC0415 - slow to import
            from referencing import Registry  # noqa: PLC0415
            from referencing.jsonschema import DRAFT7, DRAFT202012  # noqa: PLC0415

            specification = DRAFT202012 if self.modern else DRAFT7
            registry: Any = Registry().with_resources(
                (name, specification.create_resource(schema))
                for name, schema in self.references.items()
            )
            kind = validators.validator_for(self.schema, default=Draft7Validator)
            self._validator = kind(self.schema, registry=registry)
        return self._validator

    def root(self) -> Node:
        """Return the whole schema."""
        return self.node(self.schema)

    def node(self, schema: Any) -> Node:  # noqa: ANN401 - any JSON value that is a schema
        """Return the node of a schema of this document, the same one each time.

        Raises:
            InvalidInputError: It is no schema, or a `$ref` leads nowhere.
            LimitExceededError: It is nested too deeply.
        """
        if isinstance(schema, bool):
            return Node(self, Kind.EMPTY if schema else Kind.FALSE, {})
        if not isinstance(schema, dict):
            raise InvalidInputError("a JSON Schema is an object, true or false")
        known = self._nodes.get(id(schema))
        if known is None:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise LimitExceededError(f"a schema is nested at most {MAX_DEPTH} deep")
            known = self._read(schema)
            self._depth -= 1
            self._nodes[id(schema)] = known
            self._kept.append(schema)  # an id is its object's only while the object lives
        return known

    def _read(self, raw: dict[str, Any]) -> Node:
        if "$ref" in raw:
            target = self.node(self.resolve(raw["$ref"]))
            beside = {k: v for k, v in raw.items() if k != "$ref"}
            if not (self.modern and self._says_something(beside)):
                return target
            rest = self._plain(beside)
            return Node(self, Kind.COMBINED, raw, criterion="allOf", parts=(target, rest))
        return self._plain(raw)

    def _says_something(self, raw: dict[str, Any]) -> bool:
        return self._plain(raw).kind is not Kind.EMPTY

    def _plain(self, raw: dict[str, Any]) -> Node:
        parts: list[Node] = []
        if isinstance(raw.get("enum"), list):
            parts.append(Node(self, Kind.ENUM, raw))
        for criterion in _CRITERIA:
            if isinstance(raw.get(criterion), list):
                combined = tuple(self.node(part) for part in raw[criterion])
                parts.append(Node(self, Kind.COMBINED, raw, criterion=criterion, parts=combined))
        parts += self._typed(raw)
        if "not" in raw:
            parts.append(Node(self, Kind.NOT, raw))
        if "const" in raw:
            parts.append(Node(self, Kind.CONST, raw))
        if {"if", "then", "else"} & raw.keys():
            parts.append(Node(self, Kind.CONDITIONAL, raw))
        if not parts:
            return Node(self, Kind.EMPTY, raw)
        if len(parts) == 1:
            return parts[0]
        return Node(self, Kind.COMBINED, raw, criterion="allOf", parts=tuple(parts))

    def _typed(self, raw: dict[str, Any]) -> list[Node]:
        named = raw.get("type")
        if isinstance(named, str):
            return [self._of_type(named, raw)]
        if isinstance(named, list):
            kinds = tuple(self._of_type(str(name), raw) for name in named)
            return [Node(self, Kind.COMBINED, raw, criterion="anyOf", parts=kinds)]
        return [Node(self, kind, raw) for kind, words in _SNIFFED.items() if words & raw.keys()]

    def _of_type(self, name: str, raw: dict[str, Any]) -> Node:
        if name not in _TYPES:
            raise InvalidInputError(f"no type {name[:40]!r} in JSON Schema")
        return Node(self, _TYPES[name], raw, integer=name == "integer")

    def resolve(self, reference: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Follow a `$ref` within the document, to an `$id`, or to a named further schema.

        Raises:
            InvalidInputError: It leads nowhere, or to itself.
        """
        if not isinstance(reference, str):
            raise InvalidInputError("$ref must be text")
        seen: set[str] = set()
        while True:
            if reference in seen or len(seen) > MAX_REFS:
                raise InvalidInputError(f"$ref {reference[:80]!r} leads to itself")
            seen.add(reference)
            base, _, fragment = reference.partition("#")
            found = self._pointed(self._based(base, reference), fragment, reference)
            if isinstance(found, dict) and isinstance(found.get("$ref"), str) and not self.modern:
                reference = found["$ref"]
                continue
            return found

    def _based(self, base: str, reference: str) -> Any:  # noqa: ANN401 - any JSON value
        if not base:
            return self.schema
        if base in self.references:
            return self.references[base]
        by_id = _identified(self.schema, base)
        if by_id is None:
            raise InvalidInputError(f"$ref {reference[:80]!r} leads nowhere")
        return by_id

    @staticmethod
    def _pointed(value: Any, fragment: str, reference: str) -> Any:  # noqa: ANN401
        if fragment and not fragment.startswith("/"):
            found = _anchored(value, fragment)
            if found is None:
                raise InvalidInputError(f"$ref {reference[:80]!r} leads nowhere")
            return found
        for step in fragment.split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise InvalidInputError(f"$ref {reference[:80]!r} leads nowhere")
        return value


def _decoded(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a schema as a value; text is read as JSON."""
    if not isinstance(schema, str):
        return schema
    try:
        return json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("a JSON Schema given as text must be JSON") from error


def _subschemas(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    found, waiting = [], [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found.append(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return found


def _identified(value: Any, base: str) -> Any:  # noqa: ANN401 - any JSON value
    for each in _subschemas(value):
        own = each.get("$id", each.get("id"))
        if isinstance(own, str) and (own.rstrip("#") == base or own.rsplit("/", 1)[-1] == base):
            return each
    return None


def _anchored(value: Any, name: str) -> Any:  # noqa: ANN401 - any JSON value
    for each in _subschemas(value):
        if name in (each.get("$anchor"), str(each.get("$id", "")).removeprefix("#")):
            return each
    return None
