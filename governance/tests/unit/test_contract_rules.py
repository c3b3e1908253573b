from governance.decide.authorities import check_authorities
from governance.decide.budgets import aggregate_budgets, check_budgets
from governance.decide.descriptors import check_descriptors, message_names
from governance.decide.event_types import check_event_types
from governance.decide.graphql_changes import check_graphql_changes
from governance.decide.nullable_fields import check_nullable_fields
from governance.decide.published_events import check_published_events

OPENED = "pump.work_item.opened.v1"


def said(findings):
    return [(finding.code, finding.subject) for finding in findings]


def test_an_event_type_has_one_owner(bundle):
    owner = bundle("other", events=[(OPENED, "a.v1.M")])
    thief = bundle(events=[(OPENED, "twinmesh.pump.v1.M")])

    found = check_event_types(thief, [owner], frozenset({"twinmesh.pump.v1.M"}))

    assert said(found) == [("EVENT_TYPE_OWNED", OPENED)]
    assert "team other" in found[0].hint


def test_an_event_needs_its_message_in_the_descriptors(bundle):
    found = check_event_types(bundle(events=[(OPENED, "a.v1.M")]), [], frozenset())

    assert said(found) == [("EVENT_MESSAGE_UNKNOWN", "a.v1.M")]


def test_an_event_type_keeps_its_message(bundle):
    old = bundle(events=[(OPENED, "a.v1.Old")])
    new = bundle(version="1.1.0", events=[(OPENED, "a.v1.New")])

    assert said(b.finding for b in check_published_events(new, old)) == [
        ("EVENT_MESSAGE_CHANGED", OPENED)
    ]


def test_an_event_type_that_goes_is_named(bundle):
    old = bundle(events=[(OPENED, "a.v1.M")])

    assert said(b.finding for b in check_published_events(bundle(version="1.1.0"), old)) == [
        ("EVENT_REMOVED", OPENED)
    ]


def test_consuming_what_nobody_publishes_yet_is_only_a_warning(bundle):
    found = check_event_types(bundle(consumes=[OPENED]), [], frozenset())

    assert [(f.code, str(f.severity)) for f in found] == [("CONSUMED_EVENT_UNKNOWN", "WARNING")]


def test_one_name_has_one_budget_in_the_mesh(bundle):
    trip = bundle(freshness=[{"decision": "trip", "budget_s": 60}])
    other = bundle("other", freshness=[{"decision": "trip", "budget_s": 30}])
    same = bundle("same", freshness=[{"decision": "trip", "budget_s": 60}])

    assert said(check_budgets(other, [trip])) == [("BUDGET_CONFLICT", "trip")]
    assert check_budgets(same, [trip]) == []
    assert aggregate_budgets([trip, same]) == {
        "trip": {"budget_s": 60.0, "declared_by": "pump-twin"}
    }


def test_one_state_has_one_authority(bundle):
    mine = bundle(authority={"states": ["Condition of a pump"]})
    yours = bundle("other", authority={"states": ["condition of a pump"]})

    assert said(check_authorities(yours, [mine])) == [("AUTHORITY_CONFLICT", "condition of a pump")]


def test_a_domain_adds_only_nullable_fields_to_asset(bundle):
    sdl = """
      extend type Asset @key(fields: "id") {
        id: ID! @external
        pump: Pump!
        other: Pump
      }
      type Pump { name: String! }
      type Query { pumps: [Pump!]! }
    """

    assert said(check_nullable_fields(bundle(sdl=sdl), [])) == [
        ("NON_NULL_DOMAIN_FIELD", "Asset.pump")
    ]
    assert check_nullable_fields(bundle(sdl=sdl, kind="foundation"), []) == []


def test_a_domain_adds_only_nullable_fields_to_any_foundations_entity(bundle):
    registry = bundle(
        "registry", kind="foundation", sdl='type Bay @key(fields: "site no") { site: ID! no: ID! }'
    )
    sdl = 'type Bay @key(fields: "site no") { site: ID! no: ID! load: Float! @shareable x: Int! }'

    assert said(check_nullable_fields(bundle(sdl=sdl), [registry])) == [
        ("NON_NULL_DOMAIN_FIELD", "Bay.x")
    ]


def test_a_removed_field_is_named(bundle):
    old = bundle(sdl="type Query { a: Int b(x: Int): Int c: E } enum E { ONE TWO }")
    new = bundle(version="1.1.0", sdl="type Query { b(x: Int!): String c: E } enum E { ONE }")

    breaches, _ = check_graphql_changes(new, old)

    assert sorted(said(b.finding for b in breaches)) == [
        ("ARG_CHANGED_KIND", "Query.b(x:)"),
        ("FIELD_CHANGED_KIND", "Query.b"),
        ("FIELD_REMOVED", "Query.a"),
        ("VALUE_REMOVED_FROM_ENUM", "E.TWO"),
    ]


def test_a_field_that_moves_to_another_subgraph_stays_in_the_graph(bundle):
    old = bundle(sdl="type Query { a(x: Int): Int b: Int } type Page { more: Int! }")
    new = bundle(version="1.1.0", sdl="type Query { c: Int }")
    other = bundle(
        "other", sdl="type Query { a(x: Int): Int b: String } type Page @shareable { more: Int! }"
    )

    breaches, moved = check_graphql_changes(new, old, [other])

    assert [b.finding.subject for b in breaches] == ["Query.b"]
    assert sorted((f.subject, str(f.severity)) for f in moved) == [
        ("Page", "WARNING"),
        ("Query.a", "WARNING"),
    ]


def test_adding_to_a_subgraph_is_no_break(bundle):
    old = bundle(sdl='extend type Asset @key(fields: "id") { id: ID! @external a: Int }')
    new = bundle(
        version="1.1.0",
        sdl='type Asset @key(fields: "id") { id: ID! a: Int! b: Int } type Query { x: Int }',
    )

    assert check_graphql_changes(new, old) == ([], [])


def test_dropping_the_subgraph_is_a_break(bundle):
    breaches, _ = check_graphql_changes(bundle(), bundle(sdl="type Query { a: Int }"))

    assert said(b.finding for b in breaches) == [("SUBGRAPH_REMOVED", "pump-twin")]


def test_every_package_named_is_in_the_descriptors(bundle, protos):
    descriptors = protos("twinmesh.pump.v1", Opened=["id"])
    made = bundle(descriptors=descriptors, protos=["twinmesh.pump.v1", "twinmesh.gone.v1"])

    assert message_names(descriptors) == {"twinmesh.pump.v1.Opened"}
    assert said(check_descriptors(made)) == [("PACKAGE_WITHOUT_DESCRIPTOR", "twinmesh.gone.v1")]
