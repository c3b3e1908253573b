import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.adapters.protoc import compile_protos
from governance.decide.compat.case import MAIN
from governance.decide.compat.protobuf_confluent import GROUPS, compare_confluent
from governance.decide.compat.protobuf_mesh import RULES, compare_mesh
from governance.decide.compat.protobuf_model import read_schema
from governance.decide.compat.verdict import compatible
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

HEAD = 'syntax = "proto3"; package a.v1; '


def schema(text):
    return read_schema(compile_protos({MAIN: HEAD + text}))


def mesh(old, new):
    return [change.rule for change in compare_mesh(schema(old), schema(new))]


def confluent(old, new):
    found = compare_confluent(schema(old), schema(new), old_file=MAIN, new_file=MAIN)
    return [change.rule for change in found]


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("message M { string a = 1; }", "", ["MESSAGE_REMOVED"]),
        ("message M { string a = 1; }", "message M {}", ["FIELD_REMOVED"]),
        (
            "message M { string a = 1; }",
            'message M { reserved 1; reserved "a"; }',
            ["FIELD_REMOVED"],
        ),
        (
            "message M { string a = 1 [deprecated = true]; }",
            "message M {}",
            ["FIELD_REMOVED"],
        ),
        (
            "message M { string a = 1 [deprecated = true]; }",
            'message M { reserved 1; reserved "a"; }',
            [],
        ),
        ("message M { string a = 1; }", "message M { string b = 1; }", ["FIELD_RENAMED"]),
        (
            "message M { string a = 1; }",
            'message M { string a = 1 [json_name = "x"]; }',
            ["FIELD_JSON_NAME_CHANGED"],
        ),
        ("message M { int32 a = 1; }", "message M { int64 a = 1; }", ["FIELD_TYPE_CHANGED"]),
        (
            "message M { int32 a = 1; }",
            "message M { repeated int32 a = 1; }",
            ["FIELD_CARDINALITY_CHANGED"],
        ),
        (
            "message M { optional int32 a = 1; }",
            "message M { int32 a = 1; }",
            ["FIELD_PRESENCE_LOST"],
        ),
        ("message M { int32 a = 1; }", "message M { optional int32 a = 1; }", []),
        (
            "message M { int32 a = 1; }",
            "message M { oneof x { int32 a = 1; } }",
            ["FIELD_ONEOF_CHANGED"],
        ),
        ("message M { reserved 2; }", "message M { int32 a = 2; }", ["FIELD_NUMBER_REUSED"]),
        ('message M { reserved "a"; }', "message M { int32 a = 2; }", ["FIELD_NAME_REUSED"]),
        ("message M { reserved 2 to 4; }", "message M { reserved 2; }", ["RESERVATION_REMOVED"]),
        ("message M { reserved 2; }", "message M { reserved 1 to 9; }", []),
        ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; }", ["ENUM_VALUE_REMOVED"]),
        ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; B = 1; }", ["ENUM_VALUE_RENAMED"]),
        ("enum E { Z = 0; }", "enum E { Z = 0; A = 1; }", []),
        (
            "enum E { Z = 0; A = 1 [deprecated = true]; }",
            'enum E { Z = 0; reserved 1; reserved "A"; }',
            [],
        ),
        (
            "message M {} service S { rpc Do(M) returns (M); }",
            "message M {} service S {}",
            ["METHOD_REMOVED"],
        ),
        (
            "message M {} message N {} service S { rpc Do(M) returns (M); }",
            "message M {} message N {} service S { rpc Do(M) returns (stream N); }",
            ["METHOD_TYPES_CHANGED", "METHOD_STREAMING_CHANGED"],
        ),
        ("message M {}", "message M { string a = 1; } message N {}", []),
        (
            "message M { map<string, int32> a = 1; }",
            "message M { map<string, string> a = 1; }",
            ["FIELD_TYPE_CHANGED"],
        ),
    ],
)  # fmt: skip
def test_the_mesh_profile_names_what_breaks_whom(old, new, rules):
    assert mesh(old, new) == rules
    assert set(rules) <= set(RULES)


def test_the_registrys_profile_lets_pass_what_only_code_would_notice():
    old = "message M { string a = 1; int32 n = 2; } enum E { Z = 0; A = 1; }"
    new = "message M { string b = 1; bool n = 2; string more = 3; } enum E { Z = 0; }"

    assert confluent(old, new) == []
    assert len(mesh(old, new)) == 3


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        (
            "message M { int32 a = 1; }",
            "message M { sint32 a = 1; }",
            ["FIELD_SCALAR_KIND_CHANGED"],
        ),
        ("message M { int32 a = 1; }", "message M { M a = 1; }", ["FIELD_KIND_CHANGED"]),
        ("message M { M a = 1; }", "message M { map<string, M> a = 1; }", ["FIELD_KIND_CHANGED"]),
        (
            "message M { optional int32 a = 1; }",
            "message M { repeated int32 a = 1; }",
            ["FIELD_NUMERIC_LABEL_CHANGED"],
        ),
        ("message A {} message M { A a = 1; }", "message M {}", ["MESSAGE_REMOVED"]),
        (
            "message M { oneof x { int32 a = 1; int32 b = 2; } }",
            "message M { oneof x { int32 a = 1; } }",
            ["ONEOF_FIELD_REMOVED"],
        ),
        (
            "message M { int32 a = 1; int32 b = 2; }",
            "message M { oneof x { int32 a = 1; int32 b = 2; } }",
            ["MULTIPLE_FIELDS_MOVED_TO_ONEOF"],
        ),
        (
            "message M { oneof x { int32 a = 1; int32 b = 2; } }",
            "message M { oneof y { int32 a = 1; int32 b = 2; } }",
            [],
        ),
    ],
)  # fmt: skip
def test_the_registrys_profile_guards_bytes(old, new, rules):
    assert confluent(old, new) == rules


def test_another_package_is_another_message_for_the_registry():
    old = read_schema(compile_protos({MAIN: 'syntax = "proto3"; package a; message M {}'}))
    new = read_schema(compile_protos({MAIN: 'syntax = "proto3"; package b; message M {}'}))

    found = compare_confluent(old, new, old_file=MAIN, new_file=MAIN)

    assert [change.rule for change in found] == ["PACKAGE_CHANGED"]


TYPES = st.sampled_from(["string", "int32", "int64", "bool", "double", "bytes"])
NAMES = st.sampled_from(["a", "b", "c", "d"])
FIELDS = st.dictionaries(
    st.integers(1, 5), st.tuples(st.sampled_from(["", "optional ", "repeated "]), TYPES, NAMES)
).filter(lambda fields: len({name for _, _, name in fields.values()}) == len(fields))


def message(fields):
    lines = (f"{label}{kind} {name} = {n};" for n, (label, kind, name) in fields.items())
    return f"message M {{ {' '.join(lines)} }}"


@settings(max_examples=60, deadline=None)
@given(FIELDS)
def test_a_schema_is_compatible_with_itself(fields):
    assert mesh(message(fields), message(fields)) == []
    assert confluent(message(fields), message(fields)) == []


@settings(max_examples=60, deadline=None)
@given(FIELDS, FIELDS)
def test_what_the_mesh_lets_pass_the_registry_lets_pass_too(old, new):
    before, after = schema(message(old)), schema(message(new))
    if compatible(compare_mesh(before, after)):
        assert compatible(compare_confluent(before, after, old_file=MAIN, new_file=MAIN))


@settings(max_examples=60, deadline=None)
@given(TYPES, TYPES)
def test_for_the_registry_types_of_one_encoding_are_one(old, new):
    same = GROUPS[old] == GROUPS[new]
    rules = confluent(f"message M {{ {old} a = 1; }}", f"message M {{ {new} a = 1; }}")

    assert rules == ([] if same else ["FIELD_SCALAR_KIND_CHANGED"])


@pytest.mark.parametrize("path", ["../x.proto", "/etc/x.proto", "x.txt"])
def test_sources_stay_in_their_folder(path):
    with pytest.raises(InvalidInputError):
        compile_protos({path: 'syntax = "proto3";'})


def test_source_that_does_not_compile_says_where():
    with pytest.raises(InvalidInputError, match=r"x\.proto:1"):
        compile_protos({"x.proto": "message {"})


def test_the_amount_of_source_is_bounded():
    with pytest.raises(LimitExceededError):
        compile_protos({"x.proto": " " * 5_000_000})
