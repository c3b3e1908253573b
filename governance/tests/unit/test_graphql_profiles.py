import pytest

from governance.decide.compat.graphql_inspector import compare_graphql_inspector
from governance.decide.compat.graphql_spec import compare_graphql_spec
from governance.decide.sdl import schema_of
from twinmesh_sdk.core.errors import InvalidInputError


def spec(old, new, **options):
    found = compare_graphql_spec(schema_of(old), schema_of(new), **options)
    return [(c.rule, c.path) for c in found if c.breaking]


def inspector(old, new, *options):
    found = compare_graphql_inspector(schema_of(old), schema_of(new), options)
    return [(c.rule, c.path) for c in found if c.breaking]


def test_dangerous_changes_break_only_when_asked():
    old, new = "type Query { a: E } enum E { A }", "type Query { a: E } enum E { A B }"

    assert spec(old, new) == []
    assert spec(old, new, dangerous=True) == [("VALUE_ADDED_TO_ENUM", "E.B")]


def test_removing_what_was_deprecated_can_be_let_pass():
    old, new = "type Query { a: Int b: Int @deprecated }", "type Query { a: Int }"

    assert inspector(old, new) == [("FIELD_REMOVED", "Query.b")]
    assert inspector(old, new, "suppressRemovalOfDeprecatedField") == []


def test_what_no_query_reaches_can_be_let_pass():
    old, new = "type Query { a: Int } type Foo { b: Int c: Int }", "type Query { a: Int }"

    assert inspector(old, new) == [("TYPE_REMOVED", "Foo")]
    assert inspector(old, new, "safeUnreachable") == []


def test_another_root_type_breaks_every_query():
    old = "schema { query: A } type A { a: Int } type B { a: Int }"
    new = "schema { query: B } type A { a: Int } type B { a: Int }"

    assert inspector(old, new) == [("SCHEMA_QUERY_TYPE_CHANGED", "schema.query")]


def test_a_subgraphs_extensions_count_as_definitions():
    old = 'extend schema @link(url: "x") extend type Asset @key(fields: "id") { id: ID! a: ID }'
    new = 'extend schema @link(url: "x") type Asset @key(fields: "id") { id: ID! }'

    assert spec(old, new) == [("FIELD_REMOVED", "Asset.a")]


@pytest.mark.parametrize(
    "sdl",
    [
        "type Query {",
        "type Query { a: Missing }",
        "type Query { a: Int @deprecated(reason: 5) }",
        "type Query { a: " + "[" * 900 + "Int" + "]" * 900 + " }",
        "{" * 3000,
        "type A " * 60000,
    ],
)
def test_what_is_no_schema_is_invalid_input(sdl):
    with pytest.raises(InvalidInputError):
        schema_of(sdl)
