"""What two versions of a subgraph both serve."""

import pytest
from graphql import build_ast_schema, parse
from hypothesis import given
from hypothesis import strategies as st

from governance.decide.common_sdl import both_serve
from governance.decide.sdl import schema_of

FIELDS = ["a: Int", "b(x: Int): Int", "b(x: Int!): Int", "c: Other", "d(i: In): String", "e: Kind"]
OTHERS = ["x: Int", "y: String"]
VALUES = ["ONE", "TWO", "THREE"]
INPUTS = ["p: Int", "q: Int!", "r: String"]


def fields(sdl, name):
    kind = schema_of(sdl).type_map.get(name)
    return {f: str(d.type) for f, d in kind.fields.items()} if kind else {}


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("type Query { a: Int b: Int }", "type Query { a: Int c: Int }", {"a": "Int"}),
        ("type Query { a: Int! b: Int }", "type Query { a: Int b: Int }", {"b": "Int"}),
        ("type Query { a(x: Int): Int }", "type Query { a: Int }", {"a": "Int"}),
        ("type Query { a(x: Int!): Int z: Int }", "type Query { a: Int z: Int }", {"z": "Int"}),
        (
            "type Query { a: T z: Int } type T { b: Int }",
            "type Query { a: T z: Int } type T { c: Int }",
            {"z": "Int"},
        ),
        ("extend type Query { a: Int }", "type Query { a: Int }", {"a": "Int"}),
        ("type Query { a: Int }", "type Query { b: Int }", {}),
        ("type Query { a: Int }", "", {}),
    ],
)  # fmt: skip
def test_only_what_both_serve_is_left(one, other, common):
    assert fields(both_serve([one, other]), "Query") == common


def test_an_argument_that_one_lacks_cannot_be_asked_for():
    common = both_serve(["type Query { a(x: Int, y: Int): Int }", "type Query { a(y: Int): Int }"])

    assert list(schema_of(common).query_type.fields["a"].args) == ["y"]


def test_a_key_goes_with_its_field_and_the_link_stays():
    link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])'
    one = f'{link} type Pump @key(fields: "id") @key(fields: "tag") {{ id: ID! tag: String }}'
    other = f'{link} type Pump @key(fields: "id") {{ id: ID! }}'

    common = both_serve([one, other])

    assert "@link" in common
    assert 'fields: "id"' in common
    assert "tag" not in common


def test_a_single_version_is_served_in_its_own_words():
    assert (
        both_serve(["type Query { a: Int } # as written"]) == "type Query { a: Int } # as written"
    )


def unique(choices):
    return st.sets(st.sampled_from(choices), min_size=1).map(
        lambda chosen: list({c.split("(")[0].split(":")[0]: c for c in sorted(chosen)}.values())
    )


@st.composite
def sdls(draw):
    return (
        f"type Query {{ {' '.join(draw(unique(FIELDS)))} }} "
        f"type Other {{ {' '.join(draw(unique(OTHERS)))} }} "
        f"enum Kind {{ {' '.join(sorted(draw(st.sets(st.sampled_from(VALUES), min_size=1))))} }} "
        f"input In {{ {' '.join(draw(unique(INPUTS)))} }}"
    )


@given(sdls(), sdls())
def test_what_is_left_is_a_schema_that_both_can_answer(one, other):
    common = both_serve([one, other])
    if not common:
        return
    schema = build_ast_schema(parse(common))
    for side in (one, other):
        whole = schema_of(side)
        for kind in schema.type_map.values():
            if kind.name.startswith("__") or not hasattr(kind, "fields"):
                continue
            there = whole.type_map[kind.name].fields
            for name, definition in kind.fields.items():
                assert str(there[name].type) == str(definition.type)
                for argument, given_ in getattr(definition, "args", {}).items():
                    assert str(there[name].args[argument].type) == str(given_.type)
                needed = {
                    argument
                    for argument, each in getattr(there[name], "args", {}).items()
                    if str(each.type).endswith("!")
                }
                assert needed <= getattr(definition, "args", {}).keys()
