"""Odd and hostile schemas in every pair: a profile answers, or refuses by name."""

import itertools

import pytest

from governance.adapters.protoc import compile_protos
from governance.decide.compat.case import case_of
from governance.usecases.checking import CheckCompatibility
from twinmesh_sdk.core.errors import TwinError

GRAPHQL = [
    "",
    "# c",
    "type Query { a: Int }",
    "type Query",
    "type Query { a: Unknown }",
    "union U = A | B",
    "type A type A",
    "enum E",
    "enum E { A A }",
    "input I { a: I! }",
    'type Query { a(x: Int = "s"): Int }',
    "directive @a(x: Int = 3) repeatable on FIELD",
    "directive @a on NOWHERE",
    "extend type Query { b: Int }",
    "schema { query: Q }",
    "schema { query: Q } type Q { a: Int }",
    "scalar Int",
    "scalar S @specifiedBy(url: 3)",
    "interface A implements B { a: Int } interface B implements A { a: Int }",
    "type Query { a: Int @deprecated(reason: 3) }",
    "type __X { a: Int }",
    "enum E { true }",
    "input I @oneOf { a: Int }",
    "query { a }",
    "fragment f on A { a }",
    "{ a }",
    'extend schema @link(url: "x")',
    "extend enum E { X }",
    "type Query { a: [[Int!]!]! }",
    '"""d""" type Query { """d""" a("""d""" x: Int): Int }',
    "type Query { a(x: E = NOPE): Int } enum E { A }",
    "type Query { a(x: I = {b: {c: 1}}): Int } input I { b: Int }",
    "type A implements Missing { a: Int }",
    "extend union U = A",
]
JSON = [
    True,
    False,
    {},
    [],
    1,
    "x",
    None,
    {"type": []},
    {"type": ["string", "string"]},
    {"enum": []},
    {"enum": [{"a": [1]}, None, 1.5]},
    {"const": None},
    {"not": {}},
    {"allOf": []},
    {"anyOf": [True, False]},
    {"items": True},
    {"items": []},
    {"prefixItems": [True]},
    {"properties": {"": {}}},
    {"patternProperties": {"[": {}}},
    {"patternProperties": {"\\p{L}": {}}},
    {"required": [1]},
    {"required": True},
    {"dependencies": {"a": ["b"], "c": {}}},
    {"dependencies": {"a": "b"}},
    {"dependentSchemas": {"a": True}},
    {"if": {}, "then": {"type": "string"}},
    {"$ref": "#"},
    {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}},
    {"$ref": "http://x/y"},
    {"$id": "http://x/y", "properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}},
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$anchor": "z", "properties": {"n": {"$ref": "#z"}}}},
    },
    {"exclusiveMinimum": True, "minimum": 3},
    {"multipleOf": 0.0001},
    {"minimum": -1e308},
    {"type": "integer", "minimum": 10**400},
    {"pattern": "(?<a>x)"},
    {"contains": {"type": "string"}, "minContains": 2},
    {"propertyNames": {"pattern": "^a"}},
    {"unevaluatedProperties": False},
    {"default": {}},
    {"title": 5},
    {"format": "nope"},
    {"$schema": 5},
    {"$schema": "urn:none"},
    {"maxLength": 1.0},
    {"minItems": 2.5},
    {"uniqueItems": "yes"},
    {"additionalProperties": []},
    {"nullable": True, "type": "string"},
    {"definitions": {"a": 5}},
    {"type": "object", "properties": {"a": {"$ref": "other.json#/x"}}},
]
PROTOBUF = [
    "",
    "message",
    'syntax = "proto3"; message A {}',
    'syntax = "proto2"; message A { optional group G = 1 { optional int32 a = 1; } }',
    'syntax = "proto2"; message A { extensions 100 to 200; } extend A { optional int32 x = 100; }',
    'edition = "2023"; message A { int32 a = 1; }',
    'syntax="proto3"; enum E { option allow_alias = true; A = 0; B = 0; }',
    'syntax="proto3"; enum E { A = 1; }',
    'syntax="proto3"; message A { map<string, A> a = 1; reserved 3, "x"; reserved 5 to max; }',
    'syntax="proto3"; import "missing.proto"; message A{}',
    'syntax="proto3"; service S { rpc R(stream A) returns (stream A); } message A {}',
    'syntax="proto3"; package a.b; message A { message B { enum C { Z = 0; } C c = 1; } '
    "B b = 1; oneof o { int32 x = 2; } }",
    "\x00",
    'syntax="proto3"; message A { int32 a = 1; int32 b = 1; }',
    'syntax="proto3"; import "google/protobuf/timestamp.proto"; '
    "message A { google.protobuf.Timestamp t = 1; }",
]
PAIRS = [
    ("graphql", "graphql-spec", GRAPHQL),
    ("graphql", "graphql-inspector+safeUnreachable+suppressRemovalOfDeprecatedField", GRAPHQL),
    ("json-schema", "confluent-strict", JSON),
    ("protobuf", "mesh", PROTOBUF),
    ("protobuf", "confluent", PROTOBUF),
    ("protobuf", "apicurio", PROTOBUF),
]


@pytest.mark.parametrize(("kind", "profile", "schemas"), PAIRS, ids=lambda value: str(value)[:40])
def test_every_pair_gets_an_answer_or_a_refusal(kind, profile, schemas):
    check = CheckCompatibility(compile_protos, None, None)
    answered = refused = 0
    for old, new in itertools.product(schemas, schemas):
        case = {"format": kind, "mode": "BACKWARD", "old": old, "new": new}
        try:
            check(case_of(case, profile=profile))
            answered += 1
        except TwinError:
            refused += 1

    assert answered > 0
    assert refused > 0
