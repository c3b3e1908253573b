"""What a supergraph carries on, in the words that other routers read."""

import pytest
from graphql import build_schema, parse

from twinmesh_federation import CompositionFailed, Subgraph, compose, load_supergraph
from twinmesh_federation.composition.federation_spec import MINOR_OF

NAMES = ", ".join(f'"@{n}"' for n, since in MINOR_OF.items() if since <= 9)
V2 = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [{NAMES}])\n'


def composed(**sdls):
    result = compose([Subgraph(n, f"http://{n}/graphql", V2 + s) for n, s in sdls.items()])
    assert not isinstance(result, CompositionFailed), result.errors
    return result


@pytest.mark.parametrize(
    ("applied", "link"),
    [
        ('@tag(name: "public")', "tag/v0.3"),
        ("@inaccessible", "inaccessible/v0.2"),
        ("@authenticated", "authenticated/v0.1"),
        ('@requiresScopes(scopes: [["a", "b"], ["c"]])', "requiresScopes/v0.1"),
        ('@policy(policies: [["p"]])', "policy/v0.1"),
        ("@cost(weight: 5)", "cost/v0.1"),
        ("@listSize(assumedSize: 10)", "cost/v0.1"),
        ('@deprecated(reason: "old")', None),
    ],
)
def test_a_directive_is_carried_on_with_its_definition_and_link(applied, link):
    text = composed(a=f"type Query {{ y: Int x: [Int] {applied} }}").supergraph_sdl
    name = applied.split("(")[0][1:]

    assert applied.split("(")[0] in text.split("type Query")[1]
    if link is not None:
        assert f"https://specs.apollo.dev/{link}" in text
        assert f"directive @{name}" in text
    parse(text)


def test_requirements_of_access_in_two_subgraphs_both_hold():
    text = composed(
        a='type Query { x: Int @shareable @requiresScopes(scopes: [["a"], ["b"]]) }',
        b='type Query { x: Int @shareable @requiresScopes(scopes: [["c"]]) }',
    ).supergraph_sdl

    assert '@requiresScopes(scopes: [["a", "c"], ["b", "c"]])' in text


def test_a_composed_directive_is_carried_on_under_its_link():
    own = """
    extend schema @link(url: "https://example.test/units/v1.2", import: ["@unit"])
      @composeDirective(name: "@unit")
    directive @unit(name: String!) on FIELD_DEFINITION
    type Query { power: Float @unit(name: "W") }
    """
    text = composed(a=own).supergraph_sdl

    assert '@link(url: "https://example.test/units/v1.2", import: ["@unit"])' in text
    assert 'power: Float @unit(name: "W")' in text.replace(" @join__field(graph: A)", "")
    assert "directive @unit(name: String!)" in text


def test_joins_say_who_resolves_what_and_how():
    result = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! n: Int m: Int }',
        b="""
        type T @key(fields: "id") {
          id: ID! n: Int @override(from: "a", label: "moved") m: Int @external
          sum: Int @requires(fields: "m")
        }
        """,
    )
    text = result.supergraph_sdl

    assert "https://specs.apollo.dev/join/v0.4" in text
    assert '@join__graph(name: "b", url: "http://b/graphql")' in text
    assert '@join__type(graph: B, key: "id")' in text
    assert '@join__field(graph: B, override: "a", overrideLabel: "moved")' in text
    assert "@join__field(graph: B, external: true)" in text
    assert '@join__field(graph: B, requires: "m")' in text


def test_what_was_composed_reads_back_as_it_was_and_hides_what_is_hidden():
    result = composed(
        a="type Query { x: Int hidden: Int @inaccessible e: E } enum E { A B @inaccessible }",
    )
    again = load_supergraph(result.supergraph_sdl)

    assert again.api_sdl == result.supergraph.api_sdl
    assert again.types.keys() == result.supergraph.types.keys()
    public = build_schema(again.api_sdl)
    assert set(public.query_type.fields) == {"x", "e"}
    assert list(public.type_map["E"].values) == ["A"]
