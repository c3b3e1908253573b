"""Directives together: the answer, and that no subgraph is asked once too often."""

import pytest

from twinmesh_federation.testing.scenario import answered, composed

# ------------------------------------------------------------------------- keys


async def test_keys_of_several_shapes_are_chained_in_the_fewest_steps():
    graph = composed(
        plant="""
        type Query { pump: Pump }
        type Pump @key(fields: "tag") @key(fields: "serial { maker number }") @key(fields: "id") {
          id: ID! tag: String! serial: Serial! @shareable name: String!
        }
        type Serial { maker: String! @shareable number: Int! @shareable }
        """,
        stock="""
        type Query { spare: Spare }
        type Spare @key(fields: "sku") { sku: ID! pumps: [Pump!]! }
        type Pump @key(fields: "id") @key(fields: "tag serial { number }") {
          id: ID! tag: String! serial: Serial! @shareable
          name: String! @external
          stockName: String! @requires(fields: "name")
        }
        type Serial { number: Int! @shareable maker: String! @shareable }
        """,
        makers="""
        type Pump @key(fields: "serial { maker }") { serial: Serial! @shareable warranty: Int }
        type Serial { maker: String! @shareable number: Int! @shareable }
        """,
    )
    query = "{ spare { pumps { id name stockName warranty } } }"
    data = {"spare": {"pumps": [{"id": "1", "name": "n", "stockName": "s", "warranty": 3}]}}

    sent = await answered(*graph, query, data)

    assert sent[0] == "stock"
    assert sorted(sent[1:]) == ["makers", "plant", "stock"]


async def test_an_object_whose_key_is_null_is_not_looked_up():
    graph = composed(
        a="""
        type Query { books: [Wrapper!]! }
        type Wrapper { book: Book }
        type Book @key(fields: "upc") { upc: ID }
        """,
        b='type Book @key(fields: "upc") @key(fields: "id") { upc: ID id: ID }',
        c='type Book @key(fields: "id") { id: ID author: Author } type Author { name: String }',
    )
    query = "{ books { book { upc author { name } } } }"
    data = {
        "books": [
            {"book": {"upc": "b1", "author": {"name": "A"}}},
            {"book": None},
            {"book": {"upc": None, "author": None}},
        ]
    }

    assert await answered(*graph, query, data) == ["a", "b", "c"]


async def test_a_hidden_key_still_joins():
    graph = composed(
        a='type Query { t: T } type T @key(fields: "hidden") { hidden: ID! @inaccessible a: Int }',
        b='type T @key(fields: "hidden") { hidden: ID! @inaccessible b: Int }',
    )

    assert await answered(*graph, "{ t { a b } }", {"t": {"a": 1, "b": 2}}) == ["a", "b"]


async def test_a_stub_that_cannot_be_resolved_leads_on_by_its_key():
    graph = composed(
        a="""
        type Query { a: Item }
        interface Item @key(fields: "id") { id: ID! price: Float }
        type Bread implements Item @key(fields: "id") { id: ID! price: Float crust: String }
        """,
        b="""
        type Query { b: Item }
        type Item @interfaceObject @key(fields: "id", resolvable: false) { id: ID! }
        """,
    )
    query = "{ b { __typename id price ... on Bread { crust } } }"
    data = {"b": {"__typename": "Bread", "id": "1", "price": 2.5, "crust": "c"}}

    assert await answered(*graph, query, data) == ["b", "a"]
    assert await answered(*graph, "{ b { id } }", {"b": {"id": "1"}}) == ["b"]


async def test_a_field_that_several_entities_share_is_asked_at_the_parent_that_knows_it():
    graph = composed(
        details="""
        type Product @key(fields: "id") { id: ID! category: Category @shareable }
        type Category { details: String }
        """,
        ids="""
        type Product @key(fields: "id pid") { id: ID! pid: ID! category: Category @shareable }
        type Category @key(fields: "id") { id: ID! }
        """,
        names="""
        type Product @key(fields: "id pid") { id: ID! pid: ID! name: String }
        type Category @key(fields: "id") { id: ID! name: String }
        """,
        roots="""
        type Query { product(id: ID!): Product }
        type Product @key(fields: "id") { id: ID! pid: ID! @shareable }
        """,
    )
    query = '{ product(id: "1") { id name category { id name details } } }'
    data = {
        "product": {
            "id": "1", "name": "n", "category": {"id": "c", "name": "cn", "details": "d"},
        }
    }  # fmt: skip

    sent = await answered(*graph, query, data)

    assert sent[0] == "roots"
    assert sorted(sent[1:]) == ["details", "ids", "names", "names"]


# ----------------------------------------------------------------- requirements


async def test_requirements_build_on_requirements():
    graph = composed(
        a="""
        type Query { product: Product }
        type Product @key(fields: "id") { id: ID! price: Float! weight: Float! }
        """,
        b="""
        type Product @key(fields: "id") {
          id: ID! price: Float! @external taxed: Float! @requires(fields: "price")
        }
        """,
        c="""
        type Product @key(fields: "id") {
          id: ID! taxed: Float! @external weight: Float! @external
          shipped: Float! @requires(fields: "taxed weight")
        }
        """,
    )

    sent = await answered(*graph, "{ product { shipped } }", {"product": {"shipped": 3.5}})

    assert sent == ["a", "b", "c"]


async def test_a_requirement_of_the_same_subgraph_is_met_by_another_round():
    graph = composed(
        a="""
        type Query { p: P }
        type P @key(fields: "id") { id: ID! x: Int b: Int @external ab: Int @requires(fields: "b") }
        """,
        b="""
        type P @key(fields: "id") {
          id: ID! x: Int @external b: Int @requires(fields: "x")
          ab: Int @external c: Int @requires(fields: "ab")
        }
        """,
    )

    assert await answered(*graph, "{ p { c } }", {"p": {"c": 1}}) == ["a", "b", "a", "b"]
    assert await answered(*graph, "{ p { ab x } }", {"p": {"ab": 1, "x": 2}}) == ["a", "b", "a"]


async def test_one_field_required_with_two_arguments_is_represented_twice_in_one_request():
    graph = composed(
        a="""
        type Query { ps: [P!]! }
        type P @key(fields: "id") { id: ID! price(in: Unit!): Int! } enum Unit { EUR CHF }
        """,
        b="""
        enum Unit { EUR CHF }
        type P @key(fields: "id") {
          id: ID! price(in: Unit!): Int! @external
          cheap: Boolean @requires(fields: "price(in: EUR)")
          alpine: Boolean @requires(fields: "price(in: CHF)")
        }
        """,
    )
    query = "query ($u: Unit!) { ps { price(in: $u) cheap alpine } }"
    data = {"ps": [{"price": n, "cheap": True, "alpine": None} for n in (4, 5)]}

    assert await answered(*graph, query, data, {"u": "CHF"}) == ["a", "b"]


async def test_nested_requirements_with_arguments_do_not_meet_the_clients_aliases():
    graph = composed(
        a="""
        type Query { post: Post }
        type Post @key(fields: "id") { id: ID! comments(limit: Int!): [Comment] }
        type Comment @key(fields: "id") { id: ID! at: String }
        """,
        b="""
        type Post @key(fields: "id") {
          id: ID! comments(limit: Int!): [Comment] @external
          author: String @requires(fields: "comments(limit: 3) { id at }")
        }
        type Comment @key(fields: "id") { id: ID! at: String @external }
        """,
    )
    query = "{ post { comments(limit: 1) { id: at at: id } author } }"
    data = {"post": {"comments": [{"id": "today", "at": "1"}], "author": "x"}}

    assert await answered(*graph, query, data) == ["a", "b"]


async def test_a_requirement_under_fragments_asks_for_all_that_they_name():
    graph = composed(
        a="""
        type Query { entity: Entity }
        type Entity @key(fields: "id") { id: ID! data: Foo }
        interface Foo { foo: String! }
        interface Bar implements Foo { foo: String! bar: String! }
        type Baz implements Foo & Bar @shareable { foo: String! bar: String! baz: String! }
        type Qux implements Foo & Bar @shareable { foo: String! bar: String! qux: String! }
        """,
        b="""
        type Query { other: Entity @shareable }
        interface Foo { foo: String! }
        interface Bar implements Foo { foo: String! bar: String! }
        type Baz implements Foo & Bar @shareable { foo: String! bar: String! baz: String! }
        type Qux implements Foo & Bar @shareable { foo: String! bar: String! qux: String! }
        type Entity @key(fields: "id") {
          id: ID! data: Foo @external
          requirer: String! @requires(
            fields: "data { foo ... on Bar { bar ... on Baz { baz } ... on Qux { qux } } }"
          )
        }
        """,
    )
    query = "{ entity { requirer data { __typename ... on Baz { foo } } } }"
    data = {"entity": {"requirer": "r", "data": {"__typename": "Baz", "foo": "f"}}}

    assert await answered(*graph, query, data) == ["a", "b"]
    assert await answered(*graph, "{ other { requirer } }", {"other": {"requirer": "r"}}) == [
        "b", "a", "b",
    ]  # fmt: skip


async def test_what_is_provided_also_meets_a_requirement():
    graph = composed(
        a="""
        type Query { p: P @provides(fields: "size") }
        type P @key(fields: "id") {
          id: ID! size: Int @external area: Int @requires(fields: "size")
        }
        """,
        b='type P @key(fields: "id") { id: ID! size: Int @shareable }',
    )

    sent = await answered(*graph, "{ p { area } }", {"p": {"area": 4}})

    assert set(sent) <= {"a"}


# -------------------------------------------------------------------- overrides


async def test_an_overridden_requirement_is_read_from_its_new_owner():
    graph = composed(
        a="""
        type Query { t: T }
        type T @key(fields: "id") { id: ID! name: String }
        """,
        b='type T @key(fields: "id") { id: ID! name: String @override(from: "a") }',
        c="""
        type T @key(fields: "id") {
          id: ID! name: String @external upper: String @requires(fields: "name")
        }
        """,
    )

    sent = await answered(*graph, "{ t { name upper } }", {"t": {"name": "n", "upper": "N"}})
    assert sent == ["a", "b", "c"]


@pytest.mark.parametrize("on", [True, False])
async def test_a_label_decides_for_a_root_field_and_for_what_follows(on):
    graph = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! name: String }',
        b="""
        type Query { t: T @override(from: "a", label: "moved") }
        type T @key(fields: "id") { id: ID! size: Int }
        """,
    )

    sent = await answered(
        *graph, "{ t { name size } }", {"t": {"name": "n", "size": 1}},
        labels=frozenset({"moved"}) if on else frozenset(),
    )  # fmt: skip

    assert sent == (["b", "a"] if on else ["a", "b"])


async def test_overriding_a_subgraph_that_is_not_there_changes_nothing():
    graph = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! }',
        b='type T @key(fields: "id") { id: ID! name: String @override(from: "gone") }',
    )

    assert await answered(*graph, "{ t { name } }", {"t": {"name": "n"}}) == ["a", "b"]


# --------------------------------------------------------------- abstract types


async def test_union_members_that_differ_are_asked_only_where_they_are_known():
    graph = composed(
        a="""
        type Query { media: Media @shareable viewer: Viewer @shareable }
        union Media = Book | Song
        type Book { title: String! @shareable }
        type Song { title: String! @shareable }
        type Viewer { media: Media @shareable }
        """,
        b="""
        type Query { media: Media @shareable viewer: Viewer @shareable }
        union Media = Book | Movie
        type Book { title: String! @shareable }
        type Movie { title: String! @shareable }
        type Viewer { media: Media @shareable b: String }
        """,
    )
    query = "{ media { __typename ... on Book { title } ... on Movie { title } } viewer { b } }"
    data = {"media": {"__typename": "Book", "title": "t"}, "viewer": {"b": "v"}}

    assert len(await answered(*graph, query, data)) <= 2


async def test_a_union_and_an_interface_of_the_same_types_are_kept_apart():
    graph = composed(
        a="""
        type Query { media: Media item: Priced }
        union Media = Book | Movie
        interface Priced { price: Int }
        type Book implements Priced @key(fields: "id") { id: ID! price: Int title: String }
        type Movie @key(fields: "id") { id: ID! }
        """,
        b="""
        type Movie @key(fields: "id") { id: ID! title: String length: Int }
        type Book @key(fields: "id") { id: ID! pages: Int }
        """,
    )
    query = """
    {
      media {
        ... on Priced { price ... on Book { pages } }
        ... on Movie { title length }
      }
      item { price ... on Book { title } }
    }
    """
    data = {"media": {"title": "m", "length": 90}, "item": {"price": 3, "title": "b"}}

    assert await answered(*graph, query, data) == ["a", "b"]


async def test_one_key_may_mean_two_fields_in_two_branches():
    graph = composed(
        a="""
        type Query { nodes: [Node!]! }
        union Node = A | B
        type A @key(fields: "id") { id: ID! }
        type B @key(fields: "id") { id: ID! }
        """,
        b="""
        type A @key(fields: "id") { id: ID! one: String two: String }
        type B @key(fields: "id") { id: ID! one: String two: String }
        """,
    )
    query = "{ nodes { ... on A { x: one y: two } ... on B { x: two y: one } } }"
    data = {"nodes": [{"x": "a1", "y": "a2"}, {"x": "b2", "y": "b1"}]}

    assert await answered(*graph, query, data) == ["a", "b"]


async def test_one_key_may_mean_two_fields_of_an_interface_object():
    graph = composed(
        a="""
        type Query { nodes: [Node!]! }
        interface Node @key(fields: "id") { id: ID! }
        type A implements Node @key(fields: "id") { id: ID! own: String }
        type B implements Node @key(fields: "id") { id: ID! }
        """,
        b='type Node @key(fields: "id") @interfaceObject { id: ID! one: String two: String }',
    )
    query = "{ nodes { one ... on A { x: one y: own } ... on B { x: two } } }"
    data = {"nodes": [{"one": "a1", "x": "a1", "y": "o"}, {"one": "b1", "x": "b2"}]}

    assert await answered(*graph, query, data) == ["a", "b"]


async def test_the_type_of_an_interface_object_is_asked_of_who_knows():
    graph = composed(
        a="""
        type Query { a: Node }
        interface Node @key(fields: "id") { id: ID! }
        type A implements Node @key(fields: "id") { id: ID! }
        """,
        b="""
        type Query { b: [Node!]! }
        type Node @key(fields: "id") @interfaceObject { id: ID! score: Int }
        """,
    )
    data = {"b": [{"__typename": "A", "score": 1}, {"__typename": "A", "score": 2}]}

    assert await answered(*graph, "{ b { __typename score } }", data) == ["b", "a"]
    assert await answered(*graph, "{ b { score } }", {"b": [{"score": 1}]}) == ["b"]


async def test_an_interface_object_requires_what_another_provides():
    graph = composed(
        a="""
        type Query { nodes: [Node!]! }
        interface Node @key(fields: "id") { id: ID! }
        type A implements Node @key(fields: "id") { id: ID! }
        type B implements Node @key(fields: "id") { id: ID! b: Int }
        """,
        b='type Node @key(fields: "id") @interfaceObject { id: ID! score: Int }',
        c="""
        type Node @key(fields: "id") @interfaceObject {
          id: ID! score: Int @external rank: Int @requires(fields: "score")
        }
        """,
    )
    query = "{ nodes { rank ... on B { b score } } }"
    data = {"nodes": [{"rank": 1}, {"rank": 2, "b": 3, "score": 4}]}

    assert await answered(*graph, query, data) == ["a", "b", "c"]


async def test_interfaces_within_interfaces_keep_their_fields():
    graph = composed(
        a="""
        type Query { products: [Product] similar(id: ID!): [Product] }
        interface Node { id: ID! }
        interface Product implements Node { id: ID! dimensions: Size createdBy: User }
        type Size { width: Int height: Int }
        type User { email: ID! name: String }
        type Oven implements Product & Node @key(fields: "id") {
          id: ID! dimensions: Size createdBy: User warranty: Int
        }
        type Toaster implements Product & Node @key(fields: "id") {
          id: ID! dimensions: Size createdBy: User
        }
        """,
        b="""
        interface Product { id: ID! reviewsCount: Int! reviews: [Review!]! }
        type Oven implements Product @key(fields: "id") {
          id: ID! reviewsCount: Int! reviews: [Review!]!
        }
        type Toaster implements Product @key(fields: "id") {
          id: ID! reviewsCount: Int! reviews: [Review!]!
        }
        type Review { id: Int! body: String! product: Product }
        """,
    )
    query = """
    {
      similar(id: "p1") {
        id
        reviews { product { id ... on Oven { warranty } ... on Toaster { dimensions { width } } } }
      }
    }
    """
    data = {
        "similar": [
            {
                "id": "p1",
                "reviews": [
                    {"product": {"id": "p1", "warranty": 1}},
                    {"product": {"id": "p2", "dimensions": {"width": 4}}},
                ],
            }
        ]
    }

    assert await answered(*graph, query, data) == ["a", "b", "a"]


# ------------------------------------------------------------- version 1 schemas


async def test_externals_of_version_1_are_read_where_they_are_owned():
    graph = composed(
        header="",
        inventory="""
        extend type Product @key(fields: "id") { id: ID! @external dimensions: String @external
          estimate: Int @requires(fields: "dimensions") }
        """,
        products="""
        type Query { products: [Product] }
        type Product @key(fields: "id") { id: ID! dimensions: String price: Int }
        """,
        prices="""
        type Query { cheapest: Product @provides(fields: "price") }
        extend type Product @key(fields: "id") { id: ID! @external price: Int @external }
        """,
    )

    data = {"products": [{"estimate": 1, "price": 2}]}
    assert await answered(*graph, "{ products { estimate price } }", data) == [
        "products", "inventory",
    ]  # fmt: skip
    assert await answered(*graph, "{ cheapest { price } }", {"cheapest": {"price": 1}}) == [
        "prices"
    ]
    assert await answered(*graph, "{ cheapest { estimate } }", {"cheapest": {"estimate": 1}}) == [
        "prices", "products", "inventory",
    ]  # fmt: skip


# --------------------------------------------------------- inputs and conditions


async def test_an_input_is_what_all_subgraphs_know_of_it():
    graph = composed(
        a="""
        type Query { find(by: Filter): [T!] }
        input Filter { first: Int limit: Int } type T @key(fields: "id") { id: ID! }
        """,
        b="""
        type T @key(fields: "id") { id: ID! rank(by: Filter): Int }
        input Filter { first: Int after: ID }
        """,
    )
    supergraph, _ = graph
    assert set(supergraph.api_schema.type_map["Filter"].fields) == {"first"}
    query = "query ($f: Filter) { find(by: $f) { rank(by: {first: 2}) } }"

    sent = await answered(*graph, query, {"find": [{"rank": 1}]}, {"f": {"first": 1}})

    assert sent == ["a", "b"]


@pytest.mark.parametrize("yes", [True, False])
@pytest.mark.parametrize("no", [True, False])
async def test_conditions_hold_at_every_level(yes, no):
    graph = composed(
        a='type Query { t: T u: T } type T @key(fields: "id") { id: ID! a: Int next: T }',
        b='type T @key(fields: "id") { id: ID! b: Int deep: D } type D { d: Int e: Int }',
    )
    query = """
    query ($yes: Boolean!, $no: Boolean!) {
      t @include(if: $yes) {
        ...Both @skip(if: $no)
        next { ... @include(if: $yes) @skip(if: $no) { b } ...Both }
      }
      u @skip(if: $yes) { ... on T @include(if: $no) { deep { d e @skip(if: $no) } } }
    }
    fragment Both on T { a deep @include(if: $yes) { d @skip(if: $no) e } }
    """
    deep = {"e": 2} if no else {"d": 1, "e": 2}
    both = {"a": 1} | ({"deep": deep} if yes else {})
    data = {}
    expected = ["a"]
    if yes:
        below = both | ({} if no else {"b": 3})
        data["t"] = (both if not no else {}) | {"next": below}
        expected = ["a", "b"]
    else:
        data["u"] = {"deep": {"d": 1}} if no else {}
        expected = ["a", "b"] if no else ["a"]

    sent = await answered(*graph, query, data, {"yes": yes, "no": no})

    assert sent == expected


async def test_mutations_of_several_subgraphs_wait_for_each_other_and_their_look_ups_do_not():
    graph = composed(
        a="""
        type Query { t: T }
        type Mutation { addA(n: Int!): T! stopA: Int! }
        type T @key(fields: "id") { id: ID! a: Int }
        """,
        b="""
        type Mutation { addB(n: Int!): T! }
        type T @key(fields: "id") { id: ID! b: Int }
        """,
    )
    query = """
    mutation ($n: Int!) {
      addA(n: $n) { a b }
      stopA
      addB(n: 2) { a b }
      again: addA(n: 3) { a }
    }
    """
    data = {
        "addA": {"a": 1, "b": 2}, "stopA": 1, "addB": {"a": 3, "b": 4}, "again": {"a": 5},
    }  # fmt: skip

    sent = await answered(*graph, query, data, {"n": 1})

    assert sorted(sent) == ["a", "a", "a", "b", "b"]
    assert sent[0] == "a"
