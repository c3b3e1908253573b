"""Random schemas, split into subgraphs at random: the federated answer is the monolith's."""

import asyncio
import random
from collections import defaultdict

from graphql import execute_sync, parse, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinmesh_federation import CompositionFailed, Executor, GraphQLRequest, Subgraph, compose
from twinmesh_federation.testing import LocalSubgraph, LocalSubgraphs

OBJECTS = 3
HEADER = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", '
    '"@shareable", "@external", "@requires", "@provides", "@override", "@interfaceObject"])\n'
)


class World:
    """What is true, whoever tells it: objects are (type, number)."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.graphs = [f"g{n}" for n in range(self.random.randint(2, 4))]
        self.types = [f"T{n}" for n in range(self.random.randint(2, 4))]
        self.fields = {}
        self.sdl = {g: defaultdict(dict) for g in self.graphs}
        self.keys = {g: {} for g in self.graphs}
        self.members = sorted(self.random.sample(self.types, 2))
        self.requires = {}
        self.by_interface = {}
        self.roots = {}
        self._draw()

    def _draw(self):
        for name in self.types:
            self.fields[name] = {"id": "ID!", "code": "String!"}
            for n in range(self.random.randint(1, 4)):
                self.fields[name][f"s{n}"] = self.random.choice(["Int", "String", "Int!", "[Int!]"])
            for n in range(self.random.randint(0, 2)):
                target = self.random.choice([*self.types, "Value", "Any", "Named"])
                shape = self.random.choice(["{}", "[{}]", "[{}!]!", "{}"])
                self.fields[name][f"r{n}"] = shape.format(target)
            self.fields[name]["label"] = "String"
        for name in self.types:
            for field in self.fields[name]:
                if field in {"id", "code", "label"}:
                    continue
                count = 2 if self.random.random() < 0.25 else 1
                owners = self.random.sample(self.graphs, min(count, len(self.graphs)))
                for graph in owners:
                    self.own(graph, name, field, shared=len(owners) > 1)
        for n in range(self.random.randint(2, 4)):
            graph = self.random.choice(self.graphs)
            target = self.random.choice([*self.types, "Any", "Named", "Value"])
            shape = self.random.choice(["{}", "[{}!]!", "[{}]"]).format(target)
            self.roots[f"q{n}"] = shape
            self.need(graph, target)
            self.sdl[graph]["Query"][f"q{n}"] = shape
        self._require()
        self._provide()
        self._interface_object()

    def own(self, graph, name, field, *, shared=False):
        self.need(graph, name)
        self.need(graph, base(self.fields[name][field]))
        mark = " @shareable" if shared else ""
        self.sdl[graph][name].setdefault(field, self.fields[name][field] + mark)

    def need(self, graph, name):
        """Have a graph know a type."""
        if name in self.types and name not in self.keys[graph]:
            self.keys[graph][name] = self.random.choice(
                [["id"], ["id"], ["id", "code"], ["code"], ["id code"]]
            )
            for key in {k for text in self.keys[graph][name] for k in text.split()}:
                self.sdl[graph][name][key] = self.fields[name][key]
        elif name == "Value":
            self.sdl[graph]["Value"] = {"a": "Int @shareable", "b": "String! @shareable"}
        elif name in {"Any", "Named"}:
            self.sdl[graph][name] = {"label": "String"}
            for member in self.members:
                self.need(graph, member)
                if name == "Named":
                    self.sdl[graph][member]["label"] = "String @shareable"

    def _require(self):
        for name in self.types:
            scalars = [f for f in self.fields[name] if f.startswith("s")]
            field = self.random.choice(scalars)
            owners = [g for g in self.graphs if field in self.sdl[g][name]]
            others = [g for g in self.graphs if g not in owners]
            if not others or self.random.random() < 0.3:
                continue
            graph = self.random.choice(others)
            self.need(graph, name)
            self.sdl[graph][name][field] = self.fields[name][field] + " @external"
            self.fields[name]["computed"] = "String"
            self.sdl[graph][name]["computed"] = f'String @requires(fields: "{field}")'
            self.requires[name] = field

    def _provide(self):
        for graph in self.graphs:
            for root, shape in list(self.sdl[graph]["Query"].items()):
                name = base(shape)
                if name not in self.types or self.random.random() < 0.5:
                    continue
                for field in self.fields[name]:
                    text = self.sdl[graph][name].get(field)
                    shared = [
                        g for g in self.graphs if "@shareable" in self.sdl[g][name].get(field, "")
                    ]
                    if field.startswith("s") and text is None and shared:
                        self.sdl[graph][name][field] = self.fields[name][field] + " @external"
                        self.sdl[graph]["Query"][root] = f'{shape} @provides(fields: "{field}")'
                        break

    def _interface_object(self):
        """Let a graph that knows no implementation add a field to all of them."""
        if not any("Named" in self.sdl[g] for g in self.graphs) or self.random.random() < 0.4:
            return
        graph = "extra"
        self.graphs.append(graph)
        self.sdl[graph] = defaultdict(dict)
        self.keys[graph] = {}
        self.by_interface = {"bonus": "String"}
        keyed = [g for g in self.graphs if "Named" in self.sdl[g]]
        for other in keyed:
            self.sdl[other]["Named"]["id"] = "ID!"
            for member in self.members:
                if "id" not in self.keys[other][member]:
                    self.keys[other][member] = [*self.keys[other][member], "id"]
                    self.sdl[other][member]["id"] = "ID!"

    # ------------------------------------------------------------------- texts

    def subgraph(self, graph):
        if graph == "extra":
            return HEADER + (
                'type Named @key(fields: "id") @interfaceObject { id: ID! bonus: String }\n'
                "type Query { anyNamed: [Named!]! }"
            )
        parts = [HEADER]
        for name, fields in self.sdl[graph].items():
            lines = " ".join(f"{f}: {t}" for f, t in fields.items())
            if name == "Any":
                parts.append(f"union Any = {' | '.join(self.members)}")
            elif name == "Named":
                key = ' @key(fields: "id")' if self.by_interface else ""
                parts.append(f"interface Named{key} {{ {lines} }}")
            elif fields:
                keys = "".join(f' @key(fields: "{k}")' for k in self.keys[graph].get(name, ()))
                named = name in self.members and "Named" in self.sdl[graph]
                parts.append(
                    f"type {name}{' implements Named' if named else ''}{keys} {{ {lines} }}"
                )
        return "\n".join(parts)

    # ------------------------------------------------------------------ values

    def value(self, source, field, shape):
        """Return a field's value, the same in every subgraph."""
        name, number = source
        seed = sum(map(ord, name + field)) * 7 + number
        if field == "id":
            return f"{name}-{number}"
        if field == "code":
            return f"code:{name}:{number}"
        if field == "label":
            return f"label of {name} {number}"
        if field == "bonus":
            return f"bonus of {name} {number}"
        if shape.endswith("!"):
            return self.present(seed, shape[:-1])
        return None if seed % 5 == 0 else self.present(seed, shape)

    def present(self, seed, shape):
        if shape.startswith("["):
            inner = shape[1:-1]
            plain = inner.removesuffix("!")
            return [self.present(seed + k, plain) for k in range(seed % 4)]
        if shape in self.types:
            return (shape, seed % OBJECTS)
        if shape in {"Any", "Named"}:
            return (self.members[seed % 2], seed % OBJECTS)
        if shape == "Value":
            return ("Value", seed % OBJECTS)
        return seed if shape == "Int" else f"text {seed}"

    def everything(self):
        return [(m, n) for m in self.members for n in range(OBJECTS)]

    def resolve(self, source, field):
        if source is None or source == {}:
            if field == "anyNamed":
                return self.everything()
            return self.value(("Query", 0), field, self.roots[field])
        name = source[0]
        if name == "Value":
            return source[1] if field == "a" else f"b{source[1]}"
        if field == "computed":
            needed = self.requires[name]
            return f"from {self.value(source, needed, self.fields[name][needed])}"
        return self.value(source, field, self.fields[name].get(field, "String"))


class Seen(tuple):
    """An object with the representation it was looked up by."""

    given: dict


def base(shape):
    return shape.strip("[]!").replace("]", "").replace("!", "")


def local(world, graph):
    sdl = world.subgraph(graph)
    requires = {n: f for n, f in world.requires.items() if "computed" in world.sdl[graph][n]}

    def resolve(source, info, **_):
        field = info.field_name
        if field == "computed":
            return f"from {source.given[requires[source[0]]]}"
        return world.resolve(source, field)

    def resolve_entity(representation):
        name = representation["__typename"]
        names = world.members if name == "Named" else [name]
        for candidate in names:
            for number in range(OBJECTS):
                found = (candidate, number)
                known = [key for key in ("id", "code") if key in representation]
                if known and all(
                    world.value(found, key, "ID!") == representation[key] for key in known
                ):
                    seen = Seen(found)
                    seen.given = representation
                    return seen
        return None

    def resolve_type(source, _info):
        return "Named" if graph == "extra" else source[0]

    return LocalSubgraph(sdl, resolve, resolve_entity, resolve_type)


def random_query(world, supergraph, rnd):
    def select(name, depth):
        info = supergraph.types[name]
        parts = []
        if info.kind in {"UNION", "INTERFACE"}:
            parts.append("__typename")
            parts += [
                f"... on {member} {{ {select(member, depth)} }}"
                for member in world.members
                if rnd.random() < 0.7
            ]
        for field, item in info.fields.items():
            if rnd.random() > (0.75 if depth > 1 else 0.5):
                continue
            target = supergraph.types[item.type.name]
            # Members may give one key different shapes, which GraphQL would refuse.
            alias = f"{name}_{field}: " if name in world.members else ""
            if not target.is_composite:
                parts.append(alias + field)
            elif depth > 0:
                parts.append(f"{alias}{field} {{ {select(item.type.name, depth - 1)} }}")
        return " ".join(parts) or "__typename"

    return "{ " + select("Query", 4) + " }"


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_federated_answer_is_the_monoliths(seed):
    world = World(seed)
    subgraphs = [Subgraph(g, f"http://{g}", world.subgraph(g)) for g in world.graphs]
    composition = compose(subgraphs)
    if isinstance(composition, CompositionFailed):
        codes = {e.code for e in composition.errors}
        assert codes <= {"SATISFIABILITY_ERROR"}, (composition.errors, subgraphs)
        return
    rnd = random.Random(seed)
    query = random_query(world, composition.supergraph, rnd)
    document = parse(query)
    schema = composition.supergraph.api_schema
    assert not validate(schema, document)
    expected = execute_sync(
        schema,
        document,
        root_value={},
        field_resolver=lambda source, info, **_: world.resolve(source, info.field_name),
        type_resolver=lambda source, _info, _type: source[0],
    )
    assert not expected.errors, expected.errors

    client = LocalSubgraphs({g: local(world, g) for g in world.graphs})
    result = asyncio.run(Executor(composition.supergraph, client).execute(GraphQLRequest(query)))

    assert not result.errors, (result.errors, query, [s.sdl for s in subgraphs])
    assert result.data == expected.data, (query, [s.sdl for s in subgraphs])
