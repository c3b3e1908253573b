"""Every keyword and rule of the profiles taken over from Confluent's registry, in own cases."""

import pytest
from jsonschema import Draft7Validator, validators

from governance.adapters.protoc import compile_protos
from governance.decide.compat.case import case_of
from governance.decide.compat.json_schema import compare_json_schema
from governance.usecases.checking import CheckCompatibility
from twinmesh_sdk.core.errors import InvalidInputError

S, N, W, B, Z = ({"type": t} for t in ("string", "number", "integer", "boolean", "null"))
OPEN = {"type": "object"}
SHUT = {"type": "object", "additionalProperties": False}
LIST = {"type": "array"}
MODERN = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def a(**keywords):
    return {k.removesuffix("_"): v for k, v in keywords.items()}


# old, new, breaking rules forward; breaking rules with old and new exchanged
KEYWORDS = [
    (S | a(maxLength=3), S | a(maxLength=5), [], ["MAX_LENGTH_DECREASED"]),
    (S | a(maxLength=3), S, [], ["MAX_LENGTH_ADDED"]),
    (S | a(minLength=5), S | a(minLength=3), [], ["MIN_LENGTH_INCREASED"]),
    (S | a(minLength=5), S, [], ["MIN_LENGTH_ADDED"]),
    (S | a(pattern="^a"), S, [], ["PATTERN_ADDED"]),
    (S | a(pattern="^a"), S | a(pattern="^b"), ["PATTERN_CHANGED"], ["PATTERN_CHANGED"]),
    (S | a(format="date"), S, [], []),
    (N | a(maximum=3), N | a(maximum=5.5), [], ["MAXIMUM_DECREASED"]),
    (N | a(maximum=3), N, [], ["MAXIMUM_ADDED"]),
    (N | a(minimum=3), N | a(minimum=-1), [], ["MINIMUM_INCREASED"]),
    (N | a(minimum=3), N, [], ["MINIMUM_ADDED"]),
    (N | a(exclusiveMaximum=3), N | a(exclusiveMaximum=4), [], ["EXCLUSIVE_MAXIMUM_DECREASED"]),
    (N | a(exclusiveMaximum=3), N, [], ["EXCLUSIVE_MAXIMUM_ADDED"]),
    (N | a(exclusiveMinimum=3), N | a(exclusiveMinimum=2), [], ["EXCLUSIVE_MINIMUM_INCREASED"]),
    (N | a(exclusiveMinimum=3), N, [], ["EXCLUSIVE_MINIMUM_ADDED"]),
    (N | a(multipleOf=10), N | a(multipleOf=5), [], ["MULTIPLE_OF_EXPANDED"]),
    (N | a(multipleOf=0.3), N | a(multipleOf=0.1), [], ["MULTIPLE_OF_EXPANDED"]),
    (N | a(multipleOf=4), N | a(multipleOf=6), ["MULTIPLE_OF_CHANGED"], ["MULTIPLE_OF_CHANGED"]),
    (N | a(multipleOf=4), N, [], ["MULTIPLE_OF_ADDED"]),
    (W, N, [], ["TYPE_NARROWED"]),
    (W, S, ["TYPE_CHANGED"], ["TYPE_CHANGED"]),
    (Z, B, ["TYPE_CHANGED"], ["TYPE_CHANGED"]),
    (S, {}, [], ["TYPE_CHANGED"]),
    (S, True, [], ["TYPE_CHANGED"]),
    (False, S, [], ["TYPE_CHANGED"]),
    (S, a(type=["string", "null"]), [], ["TYPE_CHANGED"]),
    (a(type=["string"]), S, [], []),
    (a(type=["string", "null"]), a(type=["null", "string", "integer"]), [], ["SUM_TYPE_NARROWED"]),
    (a(enum=["a"]), a(enum=["b", "a"]), [], ["ENUM_ARRAY_NARROWED"]),
    (a(enum=["a", "b"]), a(enum=["a", "c"]), ["ENUM_ARRAY_CHANGED"], ["ENUM_ARRAY_CHANGED"]),
    (a(enum=[1, "1"]), a(enum=["1", 1]), [], []),
    (a(const=1), a(const=2), ["ENUM_ARRAY_CHANGED"], ["ENUM_ARRAY_CHANGED"]),
    (a(not_=W), a(not_=N), ["NOT_TYPE_EXTENDED"], []),
    # objects
    (SHUT, SHUT | a(properties={"a": S}), [], ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"]),
    (OPEN, OPEN | a(properties={"a": S}), ["OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"], []),
    (OPEN, OPEN | a(properties={"a": {}}), [], []),
    (SHUT, SHUT | a(properties={"a": False}), [], []),
    (
        SHUT,
        SHUT | a(properties={"a": S}, required=["a"]),
        ["REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"],
        ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
    ),
    (
        SHUT,
        SHUT | a(properties={"a": S | a(default="")}, required=["a"]),
        [],
        ["PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
    ),
    (
        OPEN | a(patternProperties={"^i": W}),
        OPEN | a(patternProperties={"^i": W}, properties={"i1": N}),
        [],
        ["TYPE_NARROWED", "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ),
    (
        OPEN | a(additionalProperties=S),
        OPEN | a(additionalProperties=S, properties={"a": W}),
        ["TYPE_CHANGED", "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
        ["TYPE_CHANGED", "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ),
    (SHUT, OPEN, [], ["ADDITIONAL_PROPERTIES_REMOVED"]),
    (OPEN | a(additionalProperties=S), OPEN, [], ["ADDITIONAL_PROPERTIES_NARROWED"]),
    (
        OPEN | a(additionalProperties=W),
        OPEN | a(additionalProperties=N),
        [],
        ["TYPE_NARROWED"],
    ),
    (
        OPEN | a(properties={"a": S}, required=["a"]),
        OPEN | a(properties={"a": S}),
        [],
        ["REQUIRED_ATTRIBUTE_ADDED"],
    ),
    (
        OPEN | a(properties={"a": S | a(default="x")}, required=["a"]),
        OPEN | a(properties={"a": S | a(default="x")}),
        [],
        [],
    ),
    (OPEN | a(maxProperties=2), OPEN | a(maxProperties=3), [], ["MAX_PROPERTIES_DECREASED"]),
    (OPEN | a(maxProperties=2), OPEN, [], ["MAX_PROPERTIES_ADDED"]),
    (OPEN | a(minProperties=2), OPEN | a(minProperties=1), [], ["MIN_PROPERTIES_INCREASED"]),
    (OPEN | a(minProperties=2), OPEN, [], ["MIN_PROPERTIES_ADDED"]),
    (OPEN | a(dependencies={"a": ["b"]}), OPEN, [], ["DEPENDENCY_ARRAY_ADDED"]),
    (
        OPEN | a(dependencies={"a": ["b", "c"]}),
        OPEN | a(dependencies={"a": ["b"]}),
        [],
        ["DEPENDENCY_ARRAY_EXTENDED"],
    ),
    (
        OPEN | a(dependencies={"a": ["b"]}),
        OPEN | a(dependencies={"a": ["c"]}),
        ["DEPENDENCY_ARRAY_CHANGED"],
        ["DEPENDENCY_ARRAY_CHANGED"],
    ),
    (OPEN | a(dependencies={"a": OPEN}), OPEN, [], ["DEPENDENCY_SCHEMA_ADDED"]),
    (
        MODERN | OPEN | a(dependentRequired={"a": ["b"]}),
        MODERN | OPEN,
        [],
        ["DEPENDENCY_ARRAY_ADDED"],
    ),
    (
        MODERN | OPEN | a(dependentSchemas={"a": a(maxProperties=1)}),
        MODERN | OPEN | a(dependentSchemas={"a": a(maxProperties=2)}),
        [],
        ["MAX_PROPERTIES_DECREASED"],
    ),
    (
        MODERN | OPEN | a(unevaluatedProperties=False),
        MODERN | OPEN,
        [],
        ["ADDITIONAL_PROPERTIES_REMOVED"],
    ),
    # arrays
    (LIST | a(items=W), LIST | a(items=N), [], ["TYPE_NARROWED"]),
    (LIST | a(items=W), LIST, [], ["SCHEMA_ADDED"]),
    (LIST | a(items=[S, W]), LIST | a(items=[S]), [], ["ITEM_ADDED_TO_OPEN_CONTENT_MODEL"]),
    (
        LIST | a(items=[S], additionalItems=False),
        LIST | a(items=[S, W], additionalItems=False),
        [],
        ["ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
    ),
    (
        LIST | a(items=[S], additionalItems=W),
        LIST | a(items=[S, N], additionalItems=W),
        [],
        ["TYPE_NARROWED", "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"],
    ),
    (
        LIST | a(items=[S], additionalItems=False),
        LIST | a(items=[S]),
        [],
        ["ADDITIONAL_ITEMS_REMOVED"],
    ),
    (
        LIST | a(items=[S], additionalItems=W),
        LIST | a(items=[S]),
        [],
        ["ADDITIONAL_ITEMS_NARROWED"],
    ),
    (
        MODERN | LIST | a(prefixItems=[S], items=False),
        MODERN | LIST | a(prefixItems=[S, W], items=False),
        [],
        ["ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL"],
    ),
    (LIST | a(maxItems=2), LIST | a(maxItems=3), [], ["MAX_ITEMS_DECREASED"]),
    (LIST | a(maxItems=2), LIST, [], ["MAX_ITEMS_ADDED"]),
    (LIST | a(minItems=2), LIST | a(minItems=1), [], ["MIN_ITEMS_INCREASED"]),
    (LIST | a(minItems=2), LIST, [], ["MIN_ITEMS_ADDED"]),
    (LIST | a(uniqueItems=True), LIST, [], ["UNIQUE_ITEMS_ADDED"]),
    # combinations
    (S, a(oneOf=[S, W]), [], ["TYPE_CHANGED"]),
    (S, a(anyOf=[W, S]), [], ["TYPE_CHANGED"]),
    (S, a(allOf=[S]), [], []),
    (a(allOf=[S, a(minLength=2)]), S, [], ["TYPE_CHANGED"]),
    (a(oneOf=[S, W]), a(anyOf=[S, W]), [], ["COMBINED_TYPE_CHANGED"]),
    (a(allOf=[OPEN, S]), a(anyOf=[OPEN, S]), [], ["COMBINED_TYPE_CHANGED"]),
    (a(oneOf=[S]), a(allOf=[S]), [], []),
    (a(oneOf=[S, W]), a(oneOf=[W, S, B]), [], ["SUM_TYPE_NARROWED"]),
    (a(allOf=[OPEN, S]), a(allOf=[OPEN]), [], ["PRODUCT_TYPE_EXTENDED"]),
    (
        a(oneOf=[S, W]),
        a(oneOf=[B, W]),
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED"],
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED"],
    ),
    # references
    (
        a(properties={"p": W}),
        a(properties={"p": {"$ref": "#/$defs/p"}}) | {"$defs": {"p": N}},
        [],
        ["TYPE_NARROWED"],
    ),
    (
        MODERN | {"$ref": "#/$defs/p", "maxLength": 3, "$defs": {"p": S}},
        MODERN | {"$ref": "#/$defs/p", "maxLength": 5, "$defs": {"p": S}},
        [],
        ["COMBINED_TYPE_SUBSCHEMAS_CHANGED"],
    ),
]


def validator(schema):
    return validators.validator_for(schema, default=Draft7Validator)(schema)


def breaking(old, new, *, lenient=False):
    return [c for c in compare_json_schema(old, new, lenient=lenient) if c.breaking]


@pytest.mark.parametrize(("old", "new", "forth", "back"), KEYWORDS)
def test_a_keyword_may_widen_and_not_narrow(old, new, forth, back):
    assert [c.rule for c in breaking(old, new)] == forth
    assert [c.rule for c in breaking(new, old)] == back


@pytest.mark.parametrize(("old", "new", "_forth", "_back"), KEYWORDS)
def test_a_witness_is_one(old, new, _forth, _back):
    for one, other in ((old, new), (new, old)):
        for change in breaking(one, other):
            if change.has_witness:
                assert validator(one).is_valid(change.witness)
                assert not validator(other).is_valid(change.witness)


def test_a_witness_is_found_for_nearly_every_narrowing():
    narrowed = [
        changes
        for old, new, _, _ in KEYWORDS
        for changes in (breaking(old, new), breaking(new, old))
        if changes
    ]
    found = [changes for changes in narrowed if changes[0].has_witness]

    assert len(found) >= 0.9 * len(narrowed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (OPEN, SHUT),
        (OPEN, OPEN | a(additionalProperties=S)),
        (OPEN, OPEN | a(properties={"a": S})),
        (OPEN, OPEN | a(properties={"a": S | a(default="")}, required=["a"])),
        (
            OPEN | a(additionalProperties=S),
            OPEN | a(additionalProperties=S, properties={"a": W}),
        ),
    ],
)
def test_the_lenient_policy_looks_away_from_the_open_part(old, new):
    rules = [c.rule for c in breaking(old, new, lenient=True)]

    assert breaking(old, new) != []
    assert [r for r in rules if r != "TYPE_CHANGED"] == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"properties": 5},
        {"properties": {"a": 3}},
        {"allOf": {}},
        {"enum": 7},
        {"maximum": "x"},
        {"maximum": float("inf")},
        {"multipleOf": 0},
        {"minLength": -1},
        {"$ref": 4},
        {"items": 3},
        {"dependentRequired": {"a": "b"}},
        {"$ref": "#/definitions/none"},
        [],
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema):
    with pytest.raises(InvalidInputError):
        compare_json_schema(schema, {"type": "string"})


# -- Protobuf ----------------------------------------------------------------------------------

HEAD = 'syntax = "proto3"; package p; '
FIELDS = [
    ("int32 a = 1;", "uint64 a = 1;", [], []),
    ("int32 a = 1;", "bool renamed = 1;", [], []),
    ("int32 a = 1;", "E a = 1;", [], []),
    ("sint32 a = 1;", "sint64 a = 1;", [], []),
    ("sint32 a = 1;", "int32 a = 1;", ["FIELD_SCALAR_KIND_CHANGED"], ["FIELD_SCALAR_KIND_CHANGED"]),
    ("fixed32 a = 1;", "sfixed32 a = 1;", [], []),
    ("fixed64 a = 1;", "sfixed64 a = 1;", [], []),
    ("float a = 1;", "double a = 1;", ["FIELD_SCALAR_KIND_CHANGED"], ["FIELD_SCALAR_KIND_CHANGED"]),
    ("string a = 1;", "bytes a = 1;", [], []),
    ("string a = 1;", "N a = 1;", ["FIELD_KIND_CHANGED"], ["FIELD_KIND_CHANGED"]),
    ("N a = 1;", "map<string, N> a = 1;", ["FIELD_KIND_CHANGED"], ["FIELD_KIND_CHANGED"]),
    ("N a = 1;", "O a = 1;", ["FIELD_NAMED_TYPE_CHANGED"], ["FIELD_NAMED_TYPE_CHANGED"]),
    ("map<string, int32> a = 1;", "map<string, int64> a = 1;", [], []),
    (
        "map<string, int32> a = 1;",
        "map<int32, int32> a = 1;",
        ["FIELD_SCALAR_KIND_CHANGED"],
        ["FIELD_SCALAR_KIND_CHANGED"],
    ),
    ("", "string a = 1;", [], []),
    ("repeated N a = 1;", "N a = 1;", [], []),
    ("repeated string a = 1;", "optional string a = 1;", [], []),
    (
        "repeated int32 a = 1;",
        "optional int32 a = 1;",
        ["FIELD_NUMERIC_LABEL_CHANGED"],
        ["FIELD_NUMERIC_LABEL_CHANGED"],
    ),
    ("string a = 1;", "oneof x { string a = 1; }", [], []),
    (
        "string a = 1; string b = 2;",
        "oneof x { string a = 1; string b = 2; }",
        ["MULTIPLE_FIELDS_MOVED_TO_ONEOF"],
        [],
    ),
    (
        "string a = 1; oneof x { string b = 2; }",
        "oneof x { string a = 1; string b = 2; }",
        ["FIELD_MOVED_TO_EXISTING_ONEOF"],
        [],
    ),
    (
        "oneof x { string a = 1; string b = 2; }",
        "oneof x { string a = 1; }",
        ["ONEOF_FIELD_REMOVED"],
        [],
    ),
    ("oneof x { string a = 1; string b = 2; }", "oneof y { string a = 1; string b = 2; }", [], []),
]


def by(profile, old, new):
    case = {"format": "protobuf", "mode": "BACKWARD", "old": old, "new": new}
    return [
        c.rule
        for c in CheckCompatibility(compile_protos, None, None)(case_of(case, profile=profile))
    ]


def message(fields):
    extra = "message N { string n = 1; } message O { string n = 1; } enum E { Z = 0; }"
    return f"{HEAD} message M {{ {fields} }} {extra}"


@pytest.mark.parametrize(("old", "new", "forth", "back"), FIELDS)
def test_a_field_may_become_what_its_bytes_can_be_read_as(old, new, forth, back):
    assert by("confluent", message(old), message(new)) == forth
    assert by("confluent", message(new), message(old)) == back


def test_a_package_or_message_may_not_go_and_an_enum_may():
    old = "message M { message Inner {} } enum E { Z = 0; }"

    assert by("confluent", HEAD + old, HEAD + "message M {}") == ["MESSAGE_REMOVED"]
    assert by("confluent", HEAD + old, HEAD + "message M { message Inner {} }") == []
    assert by("confluent", HEAD + old, 'syntax = "proto3"; package q; ' + old) == [
        "PACKAGE_CHANGED"
    ]


def test_required_fields_neither_come_nor_go():
    plain = 'syntax = "proto2"; message M { optional string a = 1; }'
    more = 'syntax = "proto2"; message M { optional string a = 1; required string b = 2; }'

    assert by("confluent", plain, more) == ["REQUIRED_FIELD_ADDED"]
    assert by("confluent", more, plain) == ["REQUIRED_FIELD_REMOVED"]


APICURIO = [
    ("string a = 1;", "string a = 1; string b = 2;", [], ["REMOVED_WITHOUT_RESERVATION"]),
    (
        "string a = 1;",
        'reserved 1; reserved "a";',
        [],
        ["RESERVATION_REMOVED"] * 2 + ["RESERVED_USED"],
    ),
    ("string a = 1;", 'reserved 1, "a";', [], ["RESERVATION_REMOVED"] * 2 + ["RESERVED_USED"]),
    ("string a = 1;", "reserved 1;", ["REMOVED_WITHOUT_RESERVATION"], None),
    ("string a = 1;", "string b = 1;", ["REMOVED_WITHOUT_RESERVATION", "NAME_CHANGED"], None),
    ("string a = 1;", "string a = 2;", ["FIELD_NUMBER_CHANGED"], ["FIELD_NUMBER_CHANGED"]),
    ("string a = 1;", "bytes a = 1;", ["FIELD_TYPE_CHANGED"], ["FIELD_TYPE_CHANGED"]),
    ("string a = 1;", "repeated string a = 1;", ["FIELD_LABEL_CHANGED"], ["FIELD_LABEL_CHANGED"]),
    ("reserved 2 to 9;", "reserved 2 to 4, 5 to max;", [], ["RESERVATION_REMOVED"]),
    ("reserved 2 to 9;", "reserved 2 to 9; string a = 1;", [], ["REMOVED_WITHOUT_RESERVATION"]),
]


@pytest.mark.parametrize(("old", "new", "forth", "back"), APICURIO)
def test_apicurio_looks_at_names_and_reservations(old, new, forth, back):
    assert by("apicurio", message(old), message(new)) == forth
    assert back is None or by("apicurio", message(new), message(old)) == back


def test_apicurio_keeps_methods_and_enum_values():
    old = HEAD + "enum E { Z = 0; Y = 1; } message A {} service S { rpc R(A) returns (A); }"

    assert by("apicurio", old, old.replace("Y", "X")) == ["NAME_CHANGED"]
    assert by("apicurio", old, old.replace("Y = 1;", "")) == ["REMOVED_WITHOUT_RESERVATION"]
    assert by("apicurio", old, old.replace("returns (", "returns (stream ")) == ["METHOD_CHANGED"]
    assert by("apicurio", old, old.replace("rpc R(A) returns (A);", "")) == ["METHOD_REMOVED"]
