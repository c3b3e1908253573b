"""@authenticated, @requiresScopes and @policy: what a caller may not have is not fetched."""

import pytest

from twinmesh_federation import (
    Caller,
    ExecutionHooks,
    Executor,
    GraphQLRequest,
    Subgraph,
    SubgraphResponse,
    compose,
)

SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.6",
  import: ["@key", "@authenticated", "@requiresScopes", "@policy"])
type Query { asset: Asset open: String node: Node }
interface Node { id: ID! cost: Int }
type Asset implements Node @key(fields: "id") {
  id: ID!
  cost: Int @requiresScopes(scopes: [["finance", "read"], ["admin"]])
  owner: String @authenticated
  secret: Secret
  note: String! @policy(policies: [["on-shift"]])
}
type Secret @authenticated { code: String }
"""


class Hooks(ExecutionHooks):
    def caller(self, context):
        return context


class Recording:
    def __init__(self):
        self.bodies = []

    async def send(self, request):
        self.bodies.append(request.body.decode())
        asset = {
            "__typename": "Asset", "id": "1", "cost": 7, "owner": "o", "secret": {"code": "c"},
            "note": "n",
        }  # fmt: skip
        return SubgraphResponse({"asset": asset, "open": "yes", "node": asset})

    async def close(self):
        pass


async def asked(query, caller):
    client = Recording()
    supergraph = compose([Subgraph("a", "http://a", SDL)]).supergraph
    result = await Executor(supergraph, client, hooks=Hooks()).execute(
        GraphQLRequest(query), context=caller
    )
    return result, "".join(client.bodies)


@pytest.mark.parametrize(
    ("field", "caller", "value"),
    [
        ("cost", Caller(), None),
        ("cost", Caller(authenticated=True, scopes=frozenset({"finance"})), None),
        ("cost", Caller(authenticated=True, scopes=frozenset({"finance", "read"})), 7),
        ("cost", Caller(authenticated=True, scopes=frozenset({"admin"})), 7),
        ("owner", Caller(), None),
        ("owner", Caller(authenticated=True), "o"),
        ("secret { code }", Caller(), None),
        ("secret { code }", Caller(authenticated=True), {"code": "c"}),
    ],
)
async def test_a_field_is_fetched_only_for_those_who_may_have_it(field, caller, value):
    result, sent = await asked(f"{{ open asset {{ id {field} }} }}", caller)

    name = field.split()[0]
    assert result.data == {"open": "yes", "asset": {"id": "1", name: value}}
    assert (name in sent) == (value is not None)
    if value is None:
        assert [e["path"] for e in result.errors] == [["asset", name]]
        assert result.errors[0]["extensions"] == {"code": "UNAUTHORIZED_FIELD_OR_TYPE"}


async def test_a_denied_field_that_cannot_be_null_voids_its_parent_with_one_error():
    result, _ = await asked("{ open asset { id note } }", Caller(authenticated=True))

    assert result.data == {"open": "yes", "asset": None}
    assert len(result.errors) == 1


async def test_an_interface_is_no_way_around_a_rule():
    result, sent = await asked("{ node { id cost } }", Caller())

    assert result.data == {"node": {"id": "1", "cost": None}}
    assert "cost" not in sent
