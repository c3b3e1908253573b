"""Each rule of composition in the smallest schemas that break it, and close to it, keep it."""

import pytest

from twinmesh_federation import CompositionFailed, Subgraph, compose
from twinmesh_federation.composition.federation_spec import MINOR_OF

NAMES = ", ".join(f'"@{n}"' for n, since in MINOR_OF.items() if since <= 9)
V2 = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: [{NAMES}])\n'
QUERY = "type Query { x: Int }\n"
OWNER = 'type T @key(fields: "id") { id: ID! n: Int }'


def codes(header=V2, **sdls):
    return found(header, **sdls)[0]


def found(header=V2, **sdls):
    result = compose([Subgraph(n, f"http://{n}", header + s) for n, s in sdls.items()])
    if not isinstance(result, CompositionFailed):
        return set(), ()
    return {e.code for e in result.errors}, result.errors


def requiring(field, requires="n"):
    return f'type T @key(fields: "id") {{ id: ID! {field} m: Int @requires(fields: "{requires}") }}'


def table(*rows):
    return pytest.mark.parametrize(("sdls", "expected"), rows)


@table(
    ({"a": QUERY + OWNER, "b": requiring("n: Int @external")}, set()),
    ({"a": QUERY + OWNER, "b": requiring("n: Int! @external")}, {"EXTERNAL_TYPE_MISMATCH"}),
    ({"a": QUERY + OWNER, "b": requiring("n: [Int] @external")}, {"EXTERNAL_TYPE_MISMATCH"}),
    ({"a": QUERY + OWNER, "b": requiring("n: String @external")}, {"EXTERNAL_TYPE_MISMATCH"}),
    (
        {"a": QUERY + OWNER, "b": requiring('n: Int @external @tag(name: "x")')},
        {"MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL"},
    ),
    (
        {"a": QUERY + OWNER, "b": requiring("n: Int @external @inaccessible")},
        {"MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL"},
    ),
    ({"a": QUERY + requiring("n: Int @external")}, {"EXTERNAL_MISSING_ON_BASE"}),
    (
        {"a": QUERY + OWNER, "b": 'type T @key(fields: "id") { id: ID! n: Int @external }'},
        {"EXTERNAL_UNUSED"},
    ),
)
def test_an_external_field_is_the_owners(sdls, expected):
    assert codes(**sdls) == expected


@table(
    (("a: Int", "a: Int"), set()),
    (("a: Int!", "a: Int"), set()),
    (("a: Int", "a: Int!"), {"EXTERNAL_ARGUMENT_TYPE_MISMATCH"}),
    (("a: Int", "a: String"), {"EXTERNAL_ARGUMENT_TYPE_MISMATCH"}),
    (("a: Int = 1", "a: Int = 2"), {"EXTERNAL_ARGUMENT_DEFAULT_MISMATCH"}),
    (("a: Int b: Int", "a: Int"), {"EXTERNAL_ARGUMENT_MISSING"}),
)
def test_arguments_of_an_external_field_are_the_owners(sdls, expected):
    owner, copy = sdls
    owned = f'{QUERY}type T @key(fields: "id") {{ id: ID! n({owner}): Int }}'

    assert codes(a=owned, b=requiring(f"n({copy}): Int @external", "n(a: 1)")) == expected


@table(
    ({"a": "n: String", "b": "n: String"}, {"INVALID_FIELD_SHARING"}),
    ({"a": "n: String @shareable", "b": "n: String"}, {"INVALID_FIELD_SHARING"}),
    ({"a": "n: String @shareable", "b": "n: String! @shareable"}, set()),
    ({"a": "n: String @shareable", "b": "n: Int @shareable"}, {"FIELD_TYPE_MISMATCH"}),
    ({"a": "n: [Int] @shareable", "b": "n: [Int!]! @shareable"}, set()),
    ({"a": "n: [Int!] @shareable", "b": "n: [Int]! @shareable"}, {"FIELD_TYPE_MISMATCH"}),
    ({"a": 'n: String @override(from: "b")', "b": "n: String"}, set()),
    ({"a": 'n: String @override(from: "b")', "b": "n: Int"}, {"FIELD_TYPE_MISMATCH"}),
    (
        {"a": 'n: String @override(from: "b")', "b": "n(i: Int!): String"},
        {"REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH"},
    ),
    ({"a": 'n: String @override(from: "a")', "b": "m: Int"}, {"OVERRIDE_FROM_SELF_ERROR"}),
    ({"a": 'n: String @override(from: "z")', "b": "m: Int"}, set()),
    ({"a": 'n: String @override(from: "b", label: "7")', "b": "n: String"},
     {"OVERRIDE_LABEL_INVALID"}),
    ({"a": 'n: String @override(from: "b", label: "percent(7)")', "b": "n: String"}, set()),
    ({"a": 'n: String @override(from: "b", label: "percent(101)")', "b": "n: String"},
     {"OVERRIDE_LABEL_INVALID"}),
)  # fmt: skip
def test_a_field_has_one_owner_or_is_shared_by_all(sdls, expected):
    whole = {n: f'type T @key(fields: "id") {{ id: ID! {field} }}' for n, field in sdls.items()}

    assert codes(q=QUERY, **whole) == expected


def interface(field="", implementation=""):
    return (
        f'type Query {{ i: I }} interface I @key(fields: "id") {{ id: ID! {field} }} '
        f'type D implements I @key(fields: "id") {{ id: ID! {implementation} }}'
    )


@table(
    ((interface(), "a: Int"), set()),
    ((interface("a: Int", "a: Int"), "a: Int"), {"INVALID_FIELD_SHARING"}),
    ((interface("", "a: Int"), "a: Int"), {"INVALID_FIELD_SHARING"}),
    ((interface("", "a: Int @shareable"), "a: Int @shareable"), set()),
    ((interface("", 'a: Int @external b: Int @requires(fields: "a")'), "a: Int"), set()),
)
def test_what_an_interface_object_adds_is_shared_with_the_implementations(sdls, expected):
    there, field = sdls
    extra = f'type I @key(fields: "id") @interfaceObject {{ id: ID! {field} }}'

    assert codes(a=there, b=extra) == expected


@table(
    ('interface I { x: Int @cost(weight: 3) }', {"COST_APPLIED_TO_INTERFACE_FIELD"}),
    ("interface I @authenticated { x: Int }", {"AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE"}),
    ('interface I { x: Int @policy(policies: [["a"]]) }',
     {"AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE"}),
    ("interface I { x: Int @shareable }", {"INVALID_SHAREABLE_USAGE"}),
    ("interface I { x: Int @shareable @cost(weight: 1) }",
     {"INVALID_SHAREABLE_USAGE", "COST_APPLIED_TO_INTERFACE_FIELD"}),
    ("interface I { x: Int @external }", {"EXTERNAL_ON_INTERFACE"}),
    ("type A { x: [Int] @listSize(assumedSize: -3) }", {"LIST_SIZE_INVALID_ASSUMED_SIZE"}),
    ("type A { x: Int @listSize(assumedSize: 3) }", {"LIST_SIZE_APPLIED_TO_NON_LIST"}),
    ('type A { x: [Int] @listSize(sizedFields: ["a"]) }', {"LIST_SIZE_INVALID_SIZED_FIELD"}),
    ('type A { x: B @listSize(sizedFields: ["a"]) } type B { a: Int }',
     {"LIST_SIZE_APPLIED_TO_NON_LIST"}),
    ('type A { x(n: Int, m: ID): [A] @listSize(slicingArguments: ["m"]) }',
     {"LIST_SIZE_INVALID_SLICING_ARGUMENT"}),
    ('type A { x(n: Int): [A] @listSize(slicingArguments: ["n"]) }', set()),
)  # fmt: skip
def test_access_and_cost_directives_stand_where_they_mean_something(sdls, expected):
    assert codes(a=QUERY + sdls) == expected


@table(
    ("directive @tag(name: String!) repeatable on FIELD_DEFINITION", set()),
    ("directive @tag on FIELD_DEFINITION", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @tag(name: String) on FIELD_DEFINITION", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @tag(name: String!, y: Int) on OBJECT", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @inaccessible on OBJECT | QUERY", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @external(reason: Int) on OBJECT", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @external on FIELD_DEFINITION", set()),
    ("scalar F directive @key(fields: F!) repeatable on OBJECT", set()),
    ("scalar F directive @key(fields: F) repeatable on OBJECT", {"DIRECTIVE_DEFINITION_INVALID"}),
    ("directive @key(fields: [String!]!) repeatable on OBJECT", set()),
)
def test_definitions_of_federation_directives_follow_the_specification(sdls, expected):
    assert codes(a=QUERY + sdls) == expected


@table(
    ("interface Query { x: Int }", {"INVALID_GRAPHQL"}),
    ("schema { query: Q } interface Q { x: Int }", {"INVALID_GRAPHQL"}),
    (QUERY + "union U = Int", {"INVALID_GRAPHQL"}),
    (QUERY + "scalar link__Import @key(fields: \"id\")", {"INVALID_GRAPHQL"}),
    (QUERY + "input I { a: Int! @deprecated }", {"INVALID_GRAPHQL"}),
    (QUERY + "input I { a: Int! = 1 @deprecated }", set()),
    ("type Query { x(a: Int! @deprecated): Int }", {"INVALID_GRAPHQL"}),
    (QUERY + 'type T @key(fields: "") { a: Int }', {"KEY_INVALID_FIELDS"}),
    (QUERY + 'type T @key(fields: "zz id") { id: ID! @external b: Int }',
     {"KEY_INVALID_FIELDS", "EXTERNAL_UNUSED"}),
    (
        "schema { query: Query mutation: M } type M { a: Int } type Mutation { b: Int }"
        + QUERY + 'type T @key(fields: "zz") { b: Int }',
        {"ROOT_MUTATION_USED", "KEY_INVALID_FIELDS"},
    ),
)  # fmt: skip
def test_all_that_is_wrong_with_one_subgraph_is_told_at_once(sdls, expected):
    assert codes(a=sdls) == expected


def test_every_error_names_its_subgraph_and_a_remedy():
    broken = [
        {"a": QUERY + OWNER, "b": requiring("n: Int! @external")},
        {"a": "type Query { x: Nope }"},
        {"a": QUERY + "directive @tag on OBJECT"},
        {"a": QUERY + 'type T @key(fields: "zz") { b: Int }'},
        {"a": QUERY + "interface I { x: Int @cost(weight: 3) }"},
        {"a": "type Query { t: T } type T { id: ID! }", "b": "type T { n: Int }"},
        {"a": QUERY + 'extend schema @link(url: "https://x.dev/foo")'},
    ]
    for sdls in broken:
        _, errors = found(**sdls)
        assert errors
        for error in errors:
            assert error.subgraphs
            assert error.hint, error
            assert error.to_json()["code"] == error.code


@pytest.mark.parametrize("minor", range(13))
def test_every_version_of_the_specification_can_be_linked(minor):
    names = ", ".join(f'"@{n}"' for n, since in MINOR_OF.items() if since <= minor)
    link = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.{minor}"'
    later = [n for n, since in MINOR_OF.items() if since > minor]

    assert codes(header=f"{link}, import: [{names}])\n", a=QUERY + OWNER) == set()
    if later:
        header = f'{link}, import: ["@{later[0]}"])\n'
        assert codes(header=header, a=QUERY) == {"INVALID_LINK_DIRECTIVE_USAGE"}


@pytest.mark.parametrize(
    ("minor", "expected"), [(0, "INVALID_GRAPHQL"), (2, "INVALID_SHAREABLE_USAGE")]
)
def test_a_mark_that_stands_twice_is_refused_in_the_words_of_its_version(minor, expected):
    link = f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.{minor}", '
    sdl = QUERY + "type T { id: ID! @shareable @shareable }"

    assert codes(header=link + 'import: ["@shareable"])\n', a=sdl) == {expected}


@table(
    (("a: Int = 1", "a: Int = 1"), set()),
    (("a: Int = 1", "a: Int = 2"), {"FIELD_ARGUMENT_DEFAULT_MISMATCH"}),
    (("a: Int = 1", "a: Int"), set()),
    (("a: Int", "b: Int"), set()),
    (("a: Int", "a: ID"), {"FIELD_ARGUMENT_TYPE_MISMATCH"}),
    (("a: [Int]", "a: [Int!]!"), set()),
    (("a: [Int!]", "a: [Int]!"), {"FIELD_ARGUMENT_TYPE_MISMATCH"}),
    (("a: Int!", "b: Int"), {"REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH"}),
)
def test_arguments_of_a_shared_field_are_what_all_can_take(sdls, expected):
    first, second = (f"type Query {{ x({given}): Int @shareable }}" for given in sdls)

    assert codes(a=first, b=second) == expected


def test_a_default_that_not_all_have_is_nobodys():
    sdls = (
        "type Query { x(a: Int = 1): Int @shareable }",
        "type Query { x(a: Int): Int @shareable }",
    )
    result = compose([Subgraph(n, "", V2 + s) for n, s in zip("ab", sdls, strict=True)])

    assert result.supergraph.types["Query"].fields["x"].args["a"].default is None


def test_a_key_selects_nothing_abstract():
    sdl = QUERY + 'interface I { id: ID! } type T @key(fields: "i") { i: I }'

    assert codes(a=sdl) == {"KEY_FIELDS_SELECT_INVALID_TYPE"}


@pytest.mark.parametrize(
    ("header", "sdl", "expected"),
    [
        ("", "type T @extends { id: ID! }", {"EXTENSION_WITH_NO_BASE"}),
        ("", "extend type T { id: ID! }", {"EXTENSION_WITH_NO_BASE"}),
        (
            "",
            'type T @extends @key(fields: "id") { id: ID! @external }',
            {"EXTENSION_WITH_NO_BASE"},
        ),
        (V2, "type T @extends { id: ID! }", set()),
        (V2, "extend type T { id: ID! }", {"EXTENSION_WITH_NO_BASE"}),
        (V2, 'interface T @extends @key(fields: "id") { id: ID! @external }', set()),
        (V2, 'interface T @key(fields: "id") { id: ID! @external }', {"EXTERNAL_ON_INTERFACE"}),
    ],
)
def test_an_extension_needs_a_definition_somewhere(header, sdl, expected):
    assert codes(header=header, a="type Query { t: T }\n" + sdl) == expected


def test_an_extension_of_federation_1_is_content_with_any_definition_elsewhere():
    extending = 'type T @extends @key(fields: "id") { id: ID! @external %s: Int }'

    first, second = "type Query { t: T } " + extending % "a", extending % "b"
    assert codes(header="", a=first, b=second) == set()
    assert codes(header="", a=first, b=second.replace("type", "extend type")) == {
        "EXTENSION_WITH_NO_BASE"
    }


def test_a_type_of_federation_1_of_which_nothing_is_left_is_told():
    sdl = "type User { name: String @external } type Query { user: User }"

    assert codes(header="", a=sdl) == {"TYPE_WITH_ONLY_UNUSED_EXTERNAL"}
    assert codes(header="", a=sdl.replace("user: User", "x: Int")) == set()


@pytest.mark.parametrize("header", ["", V2])
def test_a_directive_definition_knows_its_types(header):
    assert codes(header=header, a=QUERY + "directive @d(x: Nope) on FIELD") == {"INVALID_GRAPHQL"}
    known = "scalar Yes directive @d(x: [Yes!]) on FIELD"
    assert codes(header=header, a=QUERY + known) == set()
