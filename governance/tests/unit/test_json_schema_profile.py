import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from governance.decide.compat.json_schema import compare_json_schema
from governance.decide.compat.verdict import compatible
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, TwinError


def breaking(old, new, **options):
    return [c.rule for c in compare_json_schema(old, new, **options) if c.breaking]


def test_a_property_may_be_added_to_a_closed_content_model_only():
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    opened = {"type": "object", "properties": {}}
    more = {"properties": {"a": {"type": "string"}}}

    assert breaking(closed, closed | more) == []
    assert breaking(opened, opened | more) == ["OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"]
    assert breaking(opened, opened | more, lenient=True) == []


def test_a_required_property_needs_a_default():
    old = {"type": "object", "properties": {"a": {"type": "string"}}}
    hard = old | {"required": ["a"]}
    soft = {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}

    assert breaking(old, hard) == ["REQUIRED_ATTRIBUTE_ADDED"]
    assert breaking(soft, soft | {"required": ["a"]}) == []


def test_recursive_schemas_are_compared_to_an_end():
    tree = {
        "$ref": "#/definitions/node",
        "definitions": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"$ref": "#/definitions/node"},
                },
            }
        },
    }
    other = {
        "$ref": "#/definitions/node",
        "definitions": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "string"},
                    "next": {"$ref": "#/definitions/node"},
                },
            }
        },
    }

    assert breaking(tree, tree) == []
    assert breaking(tree, other) == ["TYPE_CHANGED"]


def test_references_lead_to_named_schemas():
    old = {"properties": {"a": {"$ref": "other.json"}}}

    assert breaking(
        old,
        old,
        old_refs={"other.json": {"type": "string"}},
        new_refs={"other.json": {"type": "null"}},
    ) == ["TYPE_CHANGED"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 3}),
        ({"type": "number"}, {"type": "integer"}),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}),
        ({"items": {"type": "string"}}, {"items": {"type": "null"}}),
        ({"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": "number"}}}),
        ({"oneOf": [{"type": "number"}, {"type": "string"}]}, {"oneOf": [{"type": "string"}]}),
        (
            {"type": "object", "properties": {"a": {"properties": {"b": {"maximum": 5}}}}},
            {"type": "object", "properties": {"a": {"properties": {"b": {"maximum": 4}}}}},
        ),
    ],
)  # fmt: skip
def test_a_witness_is_valid_before_and_not_after(old, new):
    change = next(c for c in compare_json_schema(old, new) if c.breaking)

    assert change.has_witness
    assert Draft7Validator(old).is_valid(change.witness)
    assert not Draft7Validator(new).is_valid(change.witness)


SIMPLE = st.recursive(
    st.one_of(
        st.just({}),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["string", "number", "integer", "boolean", "null"])}
        ),
        st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(0, 3)}),
        st.fixed_dictionaries({"type": st.just("number"), "minimum": st.integers(-2, 2)}),
        st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["a", 1, None]), min_size=1)}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
                "additionalProperties": st.booleans(),
            }
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(SIMPLE)
def test_a_schema_is_compatible_with_itself(schema):
    assert compatible(compare_json_schema(schema, schema))


@settings(max_examples=80, deadline=None)
@given(SIMPLE, SIMPLE)
def test_what_lenient_refuses_strict_refuses_too(old, new):
    if breaking(old, new, lenient=True, witness=False):
        assert breaking(old, new, witness=False)


@settings(max_examples=80, deadline=None)
@given(SIMPLE, SIMPLE)
def test_no_witness_contradicts_a_verdict_of_compatible(old, new):
    from governance.decide.compat.json_schema.nodes import Document  # noqa: PLC0415
    from governance.decide.compat.json_schema.witness import find_witness  # noqa: PLC0415

    if compatible(compare_json_schema(old, new)):
        found, instance = find_witness(Document(old, {}), Document(new, {}))
        assert not found, f"{instance!r} is valid before and not after"


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        3,
        {"type": "strange"},
        {"$ref": "#/nowhere"},
        {"$ref": "#/a", "a": {"$ref": "#/a"}},
        {"properties": {"a": 5}},
        "no json",
    ],
)
def test_what_is_no_schema_is_invalid_input(schema):
    with pytest.raises(InvalidInputError):
        compare_json_schema(schema, schema)


def test_deep_and_wide_schemas_end_in_an_answer_or_a_limit():
    wide = {"anyOf": [{"type": "string", "maxLength": n} for n in range(300)]}

    assert breaking(nested(60), nested(60)) == []
    with pytest.raises(TwinError):
        compare_json_schema(wide, wide)
    with pytest.raises((LimitExceededError, RecursionError)):
        compare_json_schema(nested(5000), nested(5000))
