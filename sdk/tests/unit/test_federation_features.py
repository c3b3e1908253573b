"""Every feature of Apollo's subgraph compatibility suite but `ftv1`, over a subgraph of the SDK.

The schema is that suite's example, in our words: products of one team,
users and inventory of others.
"""

from typing import Annotated

import pytest
import strawberry
import strawberry.federation
from graphql import parse, print_ast
from strawberry.schema_directive import Location

from twinmesh_federation import Engine, GraphQLRequest, Subgraph, compose
from twinmesh_federation.execution.client import SubgraphResponse
from twinmesh_federation.testing import LocalSubgraphs
from twinmesh_federation.testing.local import LocalSubgraph
from twinmesh_sdk.graphql import sdl_of, subgraph_schema


@strawberry.federation.schema_directive(
    locations=[Location.OBJECT],
    name="custom",
    compose=True,
    import_url="https://twinmesh.example/custom/v1.0",
)
class Custom:
    """A directive of the subgraph's own that the supergraph keeps."""


@strawberry.type
class Variation:
    id: strawberry.ID


@strawberry.federation.type(shareable=True)
class Dimension:
    size: str | None
    weight: float | None
    unit: str | None = strawberry.federation.field(inaccessible=True)


@strawberry.type
class CaseStudy:
    case_number: strawberry.ID
    description: str | None


@strawberry.federation.type(keys=["study { caseNumber }"])
class Research:
    study: CaseStudy
    outcome: str | None = None

    @classmethod
    def resolve_reference(cls, study: dict[str, str]) -> "Research | None":
        wanted = study["caseNumber"]
        return next((r for r in RESEARCH if str(r.study.case_number) == wanted), None)


RESEARCH = [
    Research(study=CaseStudy(case_number=strawberry.ID("1234"), description="Federation")),
    Research(study=CaseStudy(case_number=strawberry.ID("1235"), description="Studio")),
]


@strawberry.federation.type(keys=["email"], extend=True)
class User:
    email: strawberry.ID = strawberry.federation.field(external=True)
    total_products_created: int | None = strawberry.federation.field(external=True)
    name: str | None = strawberry.federation.field(override="users")
    years_of_employment: int = strawberry.federation.field(external=True)

    @strawberry.federation.field(requires=["totalProductsCreated yearsOfEmployment"])
    def average_products_created_per_year(self) -> int | None:
        if self.total_products_created is None or not self.years_of_employment:
            return None
        return round(self.total_products_created / self.years_of_employment)

    @classmethod
    def resolve_reference(cls, email: strawberry.ID, **known: int) -> "User":
        return cls(
            email=email,
            name="Jane Smith",
            total_products_created=known.get("totalProductsCreated"),
            years_of_employment=known.get("yearsOfEmployment", 0),
        )


@strawberry.federation.type(
    keys=["id", "sku package", "sku variation { id }"], directives=[Custom()]
)
class Product:
    id: strawberry.ID
    sku: str | None
    package: str | None
    variation: Variation | None
    dimensions: Dimension | None
    research: list[Research]
    notes: str | None = strawberry.federation.field(tags=["internal"])

    @strawberry.federation.field(provides=["totalProductsCreated"])
    def created_by(self) -> User | None:
        return User(
            email=strawberry.ID("support@example.com"),
            total_products_created=1337,
            name="Jane Smith",
            years_of_employment=10,
        )

    @classmethod
    def resolve_reference(
        cls,
        id: strawberry.ID | None = None,
        sku: str | None = None,
        package: str | None = None,
        variation: dict[str, str] | None = None,
    ) -> "Product | None":
        for product in PRODUCTS:
            if id is not None and product.id == id:
                return product
            if sku != product.sku:
                continue
            if package is not None and product.package == package:
                return product
            if variation is not None and str(product.variation.id) == variation["id"]:
                return product
        return None


PRODUCTS = [
    Product(
        id=strawberry.ID("apollo-federation"),
        sku="federation",
        package="@apollo/federation",
        variation=Variation(id=strawberry.ID("OSS")),
        dimensions=Dimension(size="small", weight=1.0, unit="kg"),
        research=[RESEARCH[0]],
        notes="kept inside",
    )
]


@strawberry.federation.interface_object(keys=["id"])
class Inventory:
    id: strawberry.ID

    @strawberry.field
    def deprecated(self) -> int:
        return len(str(self.id))

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> "Inventory":
        return cls(id=id)


@strawberry.type
class Query:
    @strawberry.field
    def product(self, id: strawberry.ID) -> Product | None:
        return Product.resolve_reference(id=id)

    @strawberry.field
    def products(self, first: Annotated[int, strawberry.argument()] = 1) -> list[Product]:
        return PRODUCTS[:first]


SCHEMA = subgraph_schema(Query, types=[Product, User, Research, Inventory])
SDL = sdl_of(SCHEMA)
USERS = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])
type Query { user: User inventory: [Inventory!] }
type User @key(fields: "email") {
  email: ID! name: String totalProductsCreated: Int @shareable yearsOfEmployment: Int!
}
interface Inventory @key(fields: "id") { id: ID! }
type Depot implements Inventory @key(fields: "id") { id: ID! }
"""


def definition(name):
    """Return how the subgraph prints a type."""
    found = [
        d for d in parse(SDL).definitions if getattr(getattr(d, "name", None), "value", "") == name
    ]
    return print_ast(found[0])


def line(type_name, field):
    return next(x for x in definition(type_name).splitlines() if x.strip().startswith(field))


async def entities(selection, *representations):
    query = f"query ($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}"
    result = await SCHEMA.execute(query, variable_values={"r": list(representations)})
    assert result.errors is None
    return result.data["_entities"]


async def test_service_tells_the_sdl_and_links_the_specification():
    result = await SCHEMA.execute("{ _service { sdl } }")
    told = result.data["_service"]["sdl"]
    assert told.strip() == SDL.strip()
    assert '@link(url: "https://specs.apollo.dev/federation/v2' in told


@pytest.mark.parametrize(
    "key",
    [
        {"id": "apollo-federation"},
        {"sku": "federation", "package": "@apollo/federation"},
        {"sku": "federation", "variation": {"id": "OSS"}},
    ],
)
async def test_an_entity_is_found_by_each_of_its_keys(key):
    found = await entities(
        "... on Product { id dimensions { size } }", {"__typename": "Product", **key}
    )
    assert found == [{"id": "apollo-federation", "dimensions": {"size": "small"}}]


async def test_an_entity_is_found_by_a_key_of_an_object():
    reference = {"__typename": "Research", "study": {"caseNumber": "1234"}}
    found = await entities("... on Research { study { description } }", reference)
    assert found == [{"study": {"description": "Federation"}}]


async def test_what_cannot_be_found_is_null():
    assert await entities("... on Product { id }", {"__typename": "Product", "id": "none"}) == [
        None
    ]


def test_keys_repeat():
    assert definition("Product").count("@key(") == 3
    assert '@key(fields: "sku variation { id }")' in definition("Product")


async def test_requires_receives_what_it_asked_for():
    assert "@requires(fields:" in line("User", "averageProductsCreatedPerYear")
    reference = {
        "__typename": "User",
        "email": "a@b",
        "totalProductsCreated": 100,
        "yearsOfEmployment": 10,
    }
    found = await entities("... on User { averageProductsCreatedPerYear }", reference)
    assert found == [{"averageProductsCreatedPerYear": 10}]


@pytest.mark.parametrize(
    ("type_name", "field", "directive"),
    [
        ("Product", "createdBy", '@provides(fields: "totalProductsCreated")'),
        ("User", "yearsOfEmployment", "@external"),
        ("User", "name", '@override(from: "users")'),
        ("Product", "notes", '@tag(name: "internal")'),
        ("Dimension", "unit", "@inaccessible"),
    ],
)
def test_a_field_says_how_it_takes_part(type_name, field, directive):
    assert directive in line(type_name, field)


def test_types_say_how_they_take_part():
    assert "@shareable" in definition("Dimension")
    assert "@interfaceObject" in definition("Inventory")
    assert definition("User").startswith("extend type User") or "@extends" in definition("User")
    assert "@custom" in definition("Product")
    assert '@composeDirective(name: "@custom")' in SDL
    assert "https://twinmesh.example/custom/v1.0" in SDL


class Ours:
    """Asks the SDK's subgraph in this process, the others by the engine's own stand-ins."""

    def __init__(self, others):
        self._others = others

    async def send(self, request):
        if request.service != "products":
            return await self._others.send(request)
        import orjson  # noqa: PLC0415 - as a network would

        body = orjson.loads(request.body)
        result = await SCHEMA.execute(body["query"], variable_values=body.get("variables"))
        errors = [e.formatted for e in result.errors or ()]
        return SubgraphResponse(orjson.loads(orjson.dumps(result.data)), errors)

    async def close(self):
        pass


async def test_it_composes_and_answers_together_with_other_subgraphs():
    composed = compose([Subgraph("products", "", SDL), Subgraph("users", "", USERS)])
    assert getattr(composed, "errors", None) is None
    assert "unit" not in composed.supergraph.api_schema.get_type("Dimension").fields
    users = LocalSubgraph(
        USERS,
        resolve=lambda source, info, **_: {
            "user": {"email": "support@example.com"},
            "inventory": [{"__typename": "Depot", "id": "depot"}],
            "totalProductsCreated": 1337,
            "yearsOfEmployment": 10,
        }.get(info.field_name, (source or {}).get(info.field_name)),
        resolve_entity=lambda r: r,
        resolve_type=lambda value, info: value.get("__typename", "User"),
    )
    engine = Engine(Ours(LocalSubgraphs({"users": users})), supergraph=composed.supergraph)
    result = await engine.execute(
        GraphQLRequest(
            """{
              product(id: "apollo-federation") {
                sku notes dimensions { size weight }
                createdBy { email name totalProductsCreated averageProductsCreatedPerYear }
              }
              inventory { id deprecated }
            }"""
        )
    )
    assert result.errors == []
    assert result.data == {
        "product": {
            "sku": "federation",
            "notes": "kept inside",
            "dimensions": {"size": "small", "weight": 1.0},
            "createdBy": {
                "email": "support@example.com",
                "name": "Jane Smith",
                "totalProductsCreated": 1337,
                "averageProductsCreatedPerYear": 134,
            },
        },
        "inventory": [{"id": "depot", "deprecated": 5}],
    }
