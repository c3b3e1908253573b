"""What each directive means for an answer, on subgraphs that know the expected one."""

import pytest

from twinmesh_federation.testing.scenario import answered, composed


async def test_a_requirement_with_arguments_is_fetched_apart_from_the_clients_own():
    graph = composed(
        a="""
        type Query { product: Product }
        type Product @key(fields: "id") { id: ID! price(currency: String!): Float! }
        """,
        b="""
        type Product @key(fields: "id") {
          id: ID!
          price(currency: String!): Float! @external
          shipping: Float! @requires(fields: "price(currency: \\"USD\\")")
          insurance: Float! @requires(fields: "price(currency: \\"CHF\\")")
        }
        """,
    )
    query = '{ product { price(currency: "EUR") shipping insurance } }'

    sent = await answered(
        *graph, query, {"product": {"price": 1.5, "shipping": 2.0, "insurance": 3.0}}
    )

    assert sent[0] == "a"
    assert set(sent[1:]) == {"b"}


async def test_a_requirement_reads_fragments_of_a_union():
    graph = composed(
        a="""
        type Query { thing: Thing }
        union Data = Foo | Bar
        type Foo { foo: String } type Bar { bar: String }
        type Thing @key(fields: "id") { id: ID! data: Data }
        """,
        b="""
        union Data = Foo | Bar
        type Foo { foo: String @external } type Bar { bar: String @external }
        type Thing @key(fields: "id") {
          id: ID!
          data: Data @external
          sum: String @requires(fields: "data { __typename ... on Foo { foo } ... on Bar { bar } }")
        }
        """,
    )

    assert await answered(*graph, "{ thing { sum } }", {"thing": {"sum": "x"}}) == ["a", "b"]


async def test_a_requirement_reads_a_field_of_an_interface():
    graph = composed(
        a="""
        type Query { user: User }
        interface Address { id: ID! }
        type Home implements Address @key(fields: "id") { id: ID! city: String }
        type Work implements Address @key(fields: "id") { id: ID! city: String }
        type User @key(fields: "id") { id: ID! address: Address }
        """,
        b="""
        interface Address { id: ID! }
        type Home implements Address @key(fields: "id") { id: ID! }
        type Work implements Address @key(fields: "id") { id: ID! }
        type User @key(fields: "id") {
          id: ID!
          address: Address @external
          city: String @requires(fields: "address { id }")
        }
        """,
    )

    assert await answered(*graph, "{ user { city } }", {"user": {"city": "x"}}) == ["a", "b"]


async def test_what_an_interface_field_provides_is_not_fetched_again():
    graph = composed(
        a="""
        type Query { media: Media @provides(fields: "animals { name }") }
        interface Media { id: ID! animals: [Animal] }
        interface Animal { id: ID! name: String }
        type Dog implements Animal { id: ID! @external name: String @external }
        type Book implements Media @key(fields: "id") { id: ID! animals: [Animal] @shareable }
        """,
        b="""
        interface Animal { id: ID! name: String }
        type Dog implements Animal @key(fields: "id") {
          id: ID! @shareable name: String @shareable age: Int
        }
        interface Media { id: ID! animals: [Animal] }
        type Book implements Media @key(fields: "id") { id: ID! animals: [Animal] @shareable }
        """,
    )

    sent = await answered(
        *graph, "{ media { animals { name } } }", {"media": {"animals": [{"name": "Fido"}]}}
    )

    assert sent == ["a"]


async def test_what_a_union_field_provides_is_not_fetched_again():
    graph = composed(
        a="""
        type Query { media: [Media] @provides(fields: "... on Book { title }") }
        union Media = Book | Movie
        type Book @key(fields: "id") { id: ID! title: String @external }
        type Movie @key(fields: "id") { id: ID! }
        """,
        b="""
        type Book @key(fields: "id") { id: ID! title: String @shareable }
        type Movie @key(fields: "id") { id: ID! title: String }
        """,
    )
    query = "{ media { ... on Book { title } ... on Movie { title } } }"

    sent = await answered(*graph, query, {"media": [{"title": "A"}]})
    assert sent == ["a"]


async def test_nested_provisions_reach_through_levels():
    graph = composed(
        a="""
        type Query { product: Product @provides(fields: "category { owner { name } }") }
        type Product @key(fields: "id") { id: ID! category: Category @external }
        type Category @key(fields: "id") { id: ID! owner: Person @external }
        type Person @key(fields: "id") { id: ID! name: String @external }
        """,
        b="""
        type Product @key(fields: "id") { id: ID! category: Category @shareable }
        type Category @key(fields: "id") { id: ID! owner: Person @shareable }
        type Person @key(fields: "id") { id: ID! name: String @shareable }
        """,
    )

    sent = await answered(
        *graph,
        "{ product { category { owner { name } } } }",
        {"product": {"category": {"owner": {"name": "n"}}}},
    )

    assert sent == ["a"]


async def test_keys_lead_from_one_to_the_next():
    graph = composed(
        a="""
        type Query { a: A }
        type A @key(fields: "id") { id: ID! }
        """,
        b="""
        type A @key(fields: "id") @key(fields: "two { id }") @key(fields: "code") {
          id: ID! code: String! two: Two
        }
        type Two @key(fields: "id") { id: ID! }
        """,
        c="""
        type A @key(fields: "two { id }") { two: Two @shareable name: String }
        type Two @key(fields: "id") { id: ID! }
        """,
        d='type A @key(fields: "code") { code: String! size: Int }',
    )

    sent = await answered(*graph, "{ a { name size } }", {"a": {"name": "n", "size": 1}})

    assert sent[:2] == ["a", "b"]
    assert sorted(sent[2:]) == ["c", "d"]


async def test_a_key_that_is_not_resolvable_is_never_looked_up():
    graph = composed(
        a="""
        type Query { a: Thing }
        type Thing @key(fields: "id") { id: ID! name: String }
        """,
        b="""
        type Query { b: Thing }
        type Thing @key(fields: "id", resolvable: false) { id: ID! }
        """,
    )

    assert await answered(*graph, "{ b { name } }", {"b": {"name": "n"}}) == ["b", "a"]
    assert await answered(*graph, "{ a { id } b { id } }", {"a": {"id": "1"}, "b": {"id": "2"}})


async def test_mutations_run_in_order_and_are_completed_by_look_ups():
    graph = composed(
        a="""
        type Query { product: Product }
        type Mutation { addProduct(name: String!): Product! }
        type Product @key(fields: "id") { id: ID! name: String! }
        """,
        b="""
        type Mutation { delete: Int! addCategory(name: String!): Category! }
        type Category @key(fields: "id") { id: ID! name: String! }
        type Product @key(fields: "id") { id: ID! expensive: Boolean! }
        """,
    )
    query = """
    mutation {
      one: addCategory(name: "x") { name }
      two: addProduct(name: "y") { name expensive }
      three: delete
      four: delete
      five: addProduct(name: "z") { name }
    }
    """
    data = {
        "one": {"name": "x"},
        "two": {"name": "y", "expensive": True},
        "three": 3,
        "four": 3,
        "five": {"name": "z"},
    }

    sent = await answered(*graph, query, data)

    assert sorted(sent) == ["a", "a", "b", "b", "b"]
    assert [s for s in sent if s == "a"] == ["a", "a"]
    assert sent[:2] == ["b", "a"]


async def test_an_interface_object_can_require_a_field_of_the_interface():
    graph = composed(
        a="""
        type Query { users: [Named!]! }
        interface Named @key(fields: "id") { id: ID! name: String }
        type User implements Named @key(fields: "id") { id: ID! name: String age: Int }
        """,
        b="""
        type Query { others: [Named!]! }
        type Named @key(fields: "id") @interfaceObject {
          id: ID! name: String @external username: String @requires(fields: "name")
        }
        """,
    )

    assert await answered(
        *graph, "{ users { id username } }", {"users": [{"id": "1", "username": "u"}]}
    ) == ["a", "b"]
    assert await answered(*graph, "{ others { username } }", {"others": [{"username": "u"}]}) == [
        "b",
        "a",
        "b",
    ]
    assert await answered(
        *graph,
        "{ users { ... on User { age username } } }",
        {"users": [{"age": 1, "username": "u"}]},
    ) == ["a", "b"]


async def test_an_interface_object_serves_types_that_only_a_third_subgraph_tells_apart():
    graph = composed(
        a="""
        type Query { product: Product }
        interface Product @key(fields: "id") { id: ID! name: String }
        type Bread implements Product @key(fields: "id") { id: ID! name: String crust: String }
        """,
        b='type Product @key(fields: "id") @interfaceObject { id: ID! reviews: [Review!]! }\n'
        "type Review { id: ID! product: Product! }",
        c='type Product @key(fields: "id") @interfaceObject { id: ID! price: Int }',
    )
    query = (
        "{ product { __typename reviews { product { price __typename ... on Bread { crust } } } } }"
    )
    data = {
        "product": {
            "__typename": "Bread",
            "reviews": [{"product": {"price": 1, "__typename": "Bread", "crust": "c"}}],
        }
    }

    sent = await answered(*graph, query, data)

    assert sent[:2] == ["a", "b"]
    assert sorted(sent[2:]) == ["a", "c"]


async def test_a_cycle_through_an_interface_ends_where_the_query_does():
    graph = composed(
        a="""
        type Query { product: Product }
        interface Product { samePriceProduct: Product }
        type Book implements Product @key(fields: "id") {
          id: ID! samePriceProduct: Book @provides(fields: "price") price: Float @external
        }
        """,
        b='type Book @key(fields: "id") { id: ID! price: Float @shareable }',
    )
    query = (
        "{ product { samePriceProduct { __typename ... on Book { id price } "
        "samePriceProduct { __typename ... on Book { price } } } } }"
    )
    data = {
        "product": {
            "samePriceProduct": {
                "__typename": "Book",
                "id": "1",
                "price": 2.5,
                "samePriceProduct": {"__typename": "Book", "price": 2.5},
            }
        }
    }

    assert await answered(*graph, query, data) == ["a"]


async def test_roots_shared_by_several_subgraphs_are_asked_in_parallel():
    graph = composed(
        a="type Query { product: Product @shareable } type Product { name: Name @shareable }"
        " type Name { id: ID! @shareable brand: String }",
        b="type Query { product: Product @shareable } type Product { name: Name @shareable }"
        " type Name { id: ID! @shareable model: String }",
        c="type Query { product: Product @shareable } type Product { price: Int }",
    )
    data = {"product": {"name": {"brand": "x", "model": "y"}, "price": 1}}

    sent = await answered(*graph, "{ product { name { brand model } price } }", data)

    assert sorted(sent) == ["a", "b", "c"]


async def test_typename_alone_asks_who_knows_it():
    graph = composed(
        a="""
        type Query { union: Node }
        union Node = Oven | Toaster
        type Oven @key(fields: "id") { id: ID! }
        type Toaster @key(fields: "id") { id: ID! }
        """,
        b='type Oven @key(fields: "id") { id: ID! warranty: Int }',
    )

    assert await answered(
        *graph,
        "{ __typename union { __typename } }",
        {"__typename": "Query", "union": {"__typename": "Oven"}},
    ) == ["a"]
    assert await answered(
        *graph,
        "{ union { kind: __typename ... on Oven { __typename warranty } } }",
        {"union": {"kind": "Oven", "__typename": "Oven", "warranty": 1}},
    ) == ["a", "b"]


async def test_a_root_typename_asks_nobody():
    graph = composed(a="type Query { a: Int }")

    assert await answered(*graph, "{ __typename }", {"__typename": "Query"}) == []


@pytest.mark.parametrize(("labels", "expected"), [(frozenset(), "a"), (frozenset({"next"}), "b")])
async def test_an_override_label_decides_who_answers(labels, expected):
    graph = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! name: String }',
        b='type T @key(fields: "id") { id: ID! name: String @override(from: "a", label: "next") }',
    )

    sent = await answered(*graph, "{ t { name } }", {"t": {"name": "n"}}, labels=labels)

    assert sent == (["a"] if expected == "a" else ["a", "b"])


async def test_an_overridden_field_behind_an_interface_is_taken_from_its_new_owner():
    graph = composed(
        a="""
        type Query { feed: [Post] }
        interface Post { id: ID! createdAt: String! }
        type ImagePost implements Post @key(fields: "id") { id: ID! createdAt: String! }
        """,
        b="""
        interface AnotherPost { id: ID! createdAt: String! }
        type ImagePost implements AnotherPost @key(fields: "id") {
          id: ID! createdAt: String! @override(from: "a")
        }
        """,
    )

    assert await answered(
        *graph, "{ feed { id createdAt } }", {"feed": [{"id": "1", "createdAt": "t"}]}
    ) == ["a", "b"]


async def test_members_that_differ_per_subgraph_are_completed_where_they_are_known():
    graph = composed(
        a="""
        type Query { things: [Thing] }
        union Thing = A | B
        type A @key(fields: "id") { id: ID! a: Int }
        type B @key(fields: "id") { id: ID! }
        """,
        b="""
        interface Sized { size: Int }
        type A implements Sized @key(fields: "id") { id: ID! size: Int }
        type B implements Sized @key(fields: "id") { id: ID! size: Int b: Int }
        """,
    )
    query = "{ things { ... on Sized { size } ... on A { a } ... on B { b } } }"

    sent = await answered(*graph, query, {"things": [{"size": 1, "a": 2}, {"size": 3, "b": 4}]})

    assert sent == ["a", "b"]


async def test_skipped_branches_are_not_fetched():
    graph = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! a: Int }',
        b='type T @key(fields: "id") { id: ID! b: Int }',
        c='type T @key(fields: "id") { id: ID! c: Int }',
    )
    query = (
        "query ($yes: Boolean!, $no: Boolean!) { t { a b @include(if: $yes) "
        "... @include(if: $no) { c } x: b @skip(if: $yes) } }"
    )

    assert await answered(*graph, query, {"t": {"a": 1, "b": 2}}, {"yes": True, "no": False}) == [
        "a",
        "b",
    ]
    assert await answered(
        *graph, query, {"t": {"a": 1, "x": 2, "c": 3}}, {"yes": False, "no": True}
    ) in (["a", "b", "c"], ["a", "c", "b"])


async def test_two_hundred_entities_cost_one_request_per_subgraph():
    graph = composed(
        a='type Query { ts: [T!]! } type T @key(fields: "id") { id: ID! }',
        b='type T @key(fields: "id") { id: ID! b: Int }',
        c='type T @key(fields: "id") { id: ID! c: U } type U @key(fields: "id") { id: ID! }',
        d='type U @key(fields: "id") { id: ID! d: Int }',
    )
    data = {"ts": [{"id": str(n), "b": n, "c": {"d": 7}} for n in range(200)]}

    sent = await answered(*graph, "{ ts { id b c { d } } }", data)

    assert sorted(sent) == ["a", "b", "c", "d"]


async def test_input_enums_and_lists_reach_the_subgraph_as_variables():
    graph = composed(
        a="""
        type Query { find(kinds: [Kind!], by: Filter): [T!]! }
        enum Kind { A B } input Filter { name: String limit: Int = 3 }
        type T @key(fields: "id") { id: ID! }
        """,
        b='type T @key(fields: "id") { id: ID! label(kind: Kind): String } enum Kind { A B }',
    )
    query = (
        "query ($k: [Kind!], $f: Filter, $one: Kind = B) "
        "{ find(kinds: $k, by: $f) { id label(kind: $one) } }"
    )

    sent = await answered(
        *graph, query, {"find": [{"id": "1", "label": "x"}]}, {"k": ["A"], "f": {"name": "n"}}
    )

    assert sent == ["a", "b"]
