import json

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from asset_registry import wire
from asset_registry.model import AliasKey, AssetFact, Interval, RelationFact, RelationKind
from asset_registry.model.facts import MAX_ATTRIBUTES_CHARS, canonical_json
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId

PUMP = AssetId("ast_01J0000000000000000000000A")

json_objects = st.dictionaries(
    st.text(max_size=5).filter(lambda t: "\0" not in t),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=4,
)


@given(json_objects)
def test_attributes_have_one_form_and_survive_the_wire(attributes):
    try:
        text = canonical_json(json.dumps(attributes))
    except InvalidInputError:
        return
    assert canonical_json(text) == text
    assert wire.attributes_from_pb(ParseDict(json.loads(text), Struct())) == text


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "1" * (MAX_ATTRIBUTES_CHARS + 1),
        '{"a":' * 9 + "1" + "}" * 9,
        "[" * 5000,
    ],
)
def test_attributes_that_no_reader_could_take_are_refused(text):
    with pytest.raises(InvalidInputError):
        canonical_json(text)


@pytest.mark.parametrize("text", ["", " P-101", "P-101\n", "x" * 201, "a\u202eb"])
def test_a_name_is_one_bounded_printable_line(text):
    with pytest.raises(InvalidInputError):
        AssetFact(PUMP, text, "pump")
    with pytest.raises(InvalidInputError):
        AliasKey("cmms", text)


def test_an_asset_is_not_related_to_itself():
    with pytest.raises(InvalidInputError, match="itself"):
        RelationFact(PUMP, PUMP, RelationKind.PART_OF)


@pytest.mark.parametrize("bounds", [(5, 5, 1), (5, 4, 1), (5, 6, 9, 9)])
def test_an_empty_interval_is_refused(bounds):
    with pytest.raises(InvalidInputError):
        Interval(*bounds)
