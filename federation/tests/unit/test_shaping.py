"""The straight way of shaping an answer, and the careful one that takes over."""

import pytest
from graphql import parse

from twinmesh_federation.execution.projection import Projection
from twinmesh_federation.execution.straight import SURPRISES
from twinmesh_federation.planning.operation import normalise, select_operation
from twinmesh_federation.testing.scenario import composed

SUPERGRAPH, _ = composed(
    a="""
    type Query { t: T need: T! nodes: [Node] rows: [[Int!]]! kinds: [Kind!] }
    type T @key(fields: "id") { id: ID! name: String! kind: Kind! maybe: Kind tags: [ID!] deep: T }
    enum Kind { A B HIDDEN @inaccessible }
    interface Node { id: ID! }
    type N implements Node { id: ID! n: Int }
    type M implements Node { id: ID! m: Int! }
    """
)


def projection(query, flags=None, denied=frozenset()):
    document = parse(query)
    operation = normalise(document, select_operation(document, None), SUPERGRAPH)
    return Projection(SUPERGRAPH, operation, flags or {}, denied)


@pytest.mark.parametrize(
    ("query", "data", "shaped"),
    [
        (
            "{ t { id x: name } }",
            {"t": {"x": "n", "id": 7, "more": 1}},
            {"t": {"id": "7", "x": "n"}},
        ),
        ("{ t { kind maybe } }", {"t": {"kind": "A", "maybe": None}}, None),
        ("{ t { deep { deep { id } } } }", {"t": {"deep": {"deep": None}}}, None),
        ("{ t { tags } }", {"t": {"tags": ["1", 2]}}, {"t": {"tags": ["1", "2"]}}),
        ("{ rows kinds }", {"rows": [[1], None], "kinds": ["A", "B"]}, None),
        (
            "{ nodes { __typename ... on N { n } ... on M { id m } } }",
            {"nodes": [{"__typename": "N", "n": None}, None, {"__typename": "M", "m": 1, "id": 2}]},
            {
                "nodes": [
                    {"__typename": "N", "n": None},
                    None,
                    {"__typename": "M", "id": "2", "m": 1},
                ]
            },
        ),
        (
            "{ __typename t { __typename } }",
            {"t": {}},
            {"__typename": "Query", "t": {"__typename": "T"}},
        ),
    ],
)
def test_what_is_as_promised_is_shaped_straight(query, data, shaped):
    found = projection(query)

    assert found._straight(data) == (data if shaped is None else shaped)
    assert found.shape(data, frozenset()) == (found._straight(data), [])


@pytest.mark.parametrize(
    ("query", "data", "shaped", "paths"),
    [
        ("{ t { name } }", {"t": {"name": None}}, {"t": None}, [["t", "name"]]),
        ("{ t { name } }", {"t": {}}, {"t": None}, [["t", "name"]]),
        ("{ need { id } }", {"need": None}, None, [["need"]]),
        ("{ t { kind } }", {"t": {"kind": "HIDDEN"}}, {"t": None}, [["t", "kind"]]),
        ("{ t { maybe } }", {"t": {"maybe": "C"}}, {"t": {"maybe": None}}, [["t", "maybe"]]),
        ("{ t { tags } }", {"t": {"tags": ["1", None]}}, {"t": {"tags": None}}, [["t", "tags", 1]]),
        ("{ t { tags } }", {"t": {"tags": "12"}}, {"t": {"tags": None}}, [["t", "tags"]]),
        ("{ t { id } }", {"t": [1]}, {"t": None}, [["t"]]),
        ("{ t { id } }", {"t": {"id": True}}, {"t": None}, [["t", "id"]]),
        ("{ rows }", {"rows": [[1, None]]}, {"rows": [None]}, [["rows", 0, 1]]),
        ("{ nodes { id } }", {"nodes": [{"__typename": "T", "id": 1}]}, {"nodes": [None]},
         [["nodes", 0]]),
        ("{ nodes { id } }", {"nodes": [7]}, {"nodes": [None]}, [["nodes", 0]]),
    ],
)  # fmt: skip
def test_a_surprise_is_left_to_the_careful_way_which_names_its_place(query, data, shaped, paths):
    found = projection(query)

    with pytest.raises(SURPRISES):
        found._straight(data)
    result, errors = found.shape(data, frozenset())
    assert result == shaped
    assert [e["path"] for e in errors] == paths


def test_what_the_caller_may_not_have_is_null_both_ways():
    nullable = projection("{ t { id maybe } }", denied=frozenset({("T", "maybe")}))
    assert nullable._straight({"t": {"id": "1", "maybe": "A"}}) == {"t": {"id": "1", "maybe": None}}

    needed = projection("{ t { id kind } }", denied=frozenset({("T", "kind")}))
    assert needed.shape({"t": {"id": "1", "kind": "A"}}, frozenset()) == ({"t": None}, [])


def test_conditions_are_settled_before_code_is_written():
    query = "query ($yes: Boolean!) { t { id @include(if: $yes) name @skip(if: $yes) } }"

    assert projection(query, {"yes": True})._straight({"t": {"id": "1"}}) == {"t": {"id": "1"}}
    assert projection(query, {"yes": False})._straight({"t": {"name": "n"}}) == {"t": {"name": "n"}}
