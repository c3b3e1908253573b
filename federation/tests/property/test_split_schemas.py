"""Random schemas, split into subgraphs at random: the federated answer is the monolith's.

Subgraphs are strict: they refuse to answer what they marked @external and did not provide, what
was overridden, and they compute requirements from the representation alone.
"""

import asyncio
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field

from graphql import execute_sync, parse, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinmesh_federation import (
    CompositionFailed,
    ExecutionHooks,
    Executor,
    ExecutorOptions,
    GraphQLRequest,
    Limits,
    Subgraph,
    compose,
)
from twinmesh_federation.selection import Field, parse_field_set
from twinmesh_federation.testing import LocalSubgraph, LocalSubgraphs

EXAMPLES = int(os.environ.get("TWINMESH_SPLIT_EXAMPLES", "80"))
OBJECTS = 3
LABEL = "next"
DIRECTIVES = (
    "key", "shareable", "external", "requires", "provides", "override", "interfaceObject",
    "inaccessible",
)  # fmt: skip
HEADER = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ['
    + ", ".join(f'"@{name}"' for name in DIRECTIVES)
    + "])\n"
)
SHARED = {
    "Value": {"a": "Int", "b": "String!", "deep": "Value"},
    "Place": {"x": "Int!", "y": "Int!"},
}
KEYS = {"id": ["id"], "code": ["code"], "id code": ["id", "code"], "place { x y }": ["place"]}
COMMON = {"id": "ID!", "code": "String!", "place": "Place!", "label": "String", "size": "Int"}


@dataclass
class Def:
    """A field as one subgraph declares it."""

    shape: str
    args: str = ""
    marks: list = field(default_factory=list)

    def text(self, name):
        return f"{name}{self.args}: {self.shape}" + "".join(f" @{m}" for m in self.marks)


class World:
    """What is true, whoever tells it: objects are (type, number)."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.graphs = [f"g{n}" for n in range(self.random.randint(2, 4))]
        self.types = [f"T{n}" for n in range(self.random.randint(2, 4))]
        self.named = sorted(self.random.sample(self.types, 2))
        self.members = sorted(self.random.sample(self.types, 2))
        self.sdl = {g: defaultdict(dict) for g in self.graphs}
        self.keys = {g: {} for g in self.graphs}
        self.unresolvable = set()
        self.unions = {}
        self.interfaces = {}
        self.fields = {t: dict.fromkeys(COMMON) | dict(COMMON) for t in self.types}
        self.args = {}
        self.allowed = {}
        self.requires = {}
        self.roots = {}
        self.mutations = {}
        self.withheld = {}
        self.by_interface = {}
        self.extras = []
        self.interface_key = False
        self.mixed_one = {}
        self._draw()

    # ------------------------------------------------------------------- drawing

    def chance(self, probability):
        return self.random.random() < probability

    def _draw(self):
        self.interface_key = self.chance(0.5)
        for name in self.types:
            for n in range(self.random.randint(1, 4)):
                shape = self.random.choice(["Int", "String", "Int!", "[Int!]", "Kind", "[[Kind!]]"])
                self.fields[name][f"s{n}"] = shape
                if self.chance(0.25):
                    self.args[name, f"s{n}"] = "(n: Int = 1, k: Kind)"
            for n in range(self.random.randint(0, 2)):
                target = self.random.choice([*self.types, "Value", "Any", "Named"])
                shape = self.random.choice(["{}", "[{}]", "[{}!]!", "{}"])
                self.fields[name][f"r{n}"] = shape.format(target)
        if self.chance(0.75):
            self._give_homes()
        for name in self.types:
            for item in self.fields[name]:
                if item in COMMON:
                    continue
                owners = self.random.sample(self.graphs, 2 if self.chance(0.25) else 1)
                self.own(owners, name, item)
        for n in range(self.random.randint(2, 4)):
            self._root("Query", f"q{n}", self.roots)
        for n in range(self.random.randint(0, 3)):
            self._root("Mutation", f"m{n}", self.mutations)
        self._mixed_root()
        self._mixed_fields()
        self._require()
        self._provide()
        self._override()
        self._interface_objects()
        self._sizes()

    def _give_homes(self):
        """Have one subgraph per type know all of its keys, so that it can be found from all."""
        for name in self.types:
            graph = self.random.choice(self.graphs)
            self.keys[graph][name] = ["id", "code", "place { x y }"]
            for text in self.keys[graph][name]:
                self._declare_key(graph, name, text)

    def _root(self, root, name, into):
        target = self.random.choice([*self.types, "Any", "Named", "Value"])
        shape = self.random.choice(["{}", "[{}!]!", "[{}]"]).format(target)
        owners = self.random.sample(self.graphs, 2 if self.chance(0.2) and root == "Query" else 1)
        into[name] = shape
        for graph in owners:
            self.need(graph, target)
            marks = ["shareable"] if len(owners) > 1 else []
            self.sdl[graph][root][name] = Def(shape, "(by: Int)", marks)
        self._allow(root, name, owners, target)

    def _mixed_root(self):
        """A shared root of a value type that each subgraph knows a part of."""
        if self.chance(0.4):
            return
        self.roots["mixed"] = self.random.choice(["Mixed", "[Mixed!]!"])
        for graph in self.graphs:
            self.sdl[graph]["Query"]["mixed"] = Def(self.roots["mixed"], "", ["shareable"])
            self.sdl[graph]["Mixed"] = {
                "same": Def("Int", "", ["shareable"]),
                "inner": Def("Mixed", "", ["shareable"]),
                f"of_{graph}": Def("String"),
            }

    def _mixed_fields(self):
        """Fields of a value type without a key, of which each subgraph knows another part."""
        for name in self.types:
            owners = [g for g in self.graphs if name in self.keys[g]]
            if len(owners) < 2 or self.chance(0.6):
                continue
            target = f"MixOf{name}"
            self.fields[name]["mix"] = self.random.choice([target, f"[{target}]", f"{target}!"])
            inner = self.mixed_one[target] = self.random.choice(self.types)
            for graph in owners:
                self.sdl[graph][name]["mix"] = Def(self.fields[name]["mix"], "", ["shareable"])
                self.sdl[graph][target] = {
                    "same": Def("Int", "", ["shareable"]),
                    f"of_{graph}": Def("String"),
                }
                if inner in self.keys[graph]:
                    self.sdl[graph][target]["one"] = Def(inner, "", ["shareable"])

    def own(self, owners, name, item):
        shape = self.fields[name][item]
        for graph in owners:
            self.need(graph, name)
            self.need(graph, base(shape))
            self.sdl[graph][name][item] = Def(
                shape, self.args.get((name, item), ""), ["shareable"] if len(owners) > 1 else []
            )
        self._allow(name, item, owners, base(shape))

    def _allow(self, name, item, owners, target):
        known = self.unions if target == "Any" else self.interfaces
        if target in {"Any", "Named"}:
            common = set.intersection(*(set(known[g]) for g in owners))
            self.allowed[name, item] = sorted(common)

    def need(self, graph, name):
        """Have a graph know a type."""
        if name in self.types and name not in self.keys[graph]:
            self.keys[graph][name] = self.random.choice(
                [["id"], ["id"], ["id", "code"], ["code"], ["id code"], ["id", "place { x y }"],
                 ["place { x y }", "code"]]
            )  # fmt: skip
            for text in self.keys[graph][name]:
                self._declare_key(graph, name, text)
        elif name in SHARED:
            for item, shape in SHARED[name].items():
                self.sdl[graph][name][item] = Def(shape, "", ["shareable"])
        elif name == "Any" and graph not in self.unions:
            few = self.chance(0.3)
            self.unions[graph] = [self.random.choice(self.members)] if few else self.members
            for member in self.unions[graph]:
                self.need(graph, member)
        elif name == "Named" and graph not in self.interfaces:
            few = self.chance(0.3) and not self.interface_key
            members = [self.random.choice(self.named)] if few else self.named
            self.interfaces[graph] = members
            self.sdl[graph]["Named"]["label"] = Def("String")
            if self.interface_key:
                self.sdl[graph]["Named"]["id"] = Def("ID!")
            for member in members:
                self.need(graph, member)
                self.sdl[graph][member]["label"] = Def("String", "", ["shareable"])
                if self.interface_key and "id" not in self.keys[graph][member]:
                    self.keys[graph][member].append("id")
                    self._declare_key(graph, member, "id")

    def _declare_key(self, graph, name, text):
        for part in KEYS[text]:
            if part == "place":
                self.need(graph, "Place")
                self.sdl[graph][name][part] = Def("Place!", "", ["shareable"])
            else:
                self.sdl[graph][name].setdefault(part, Def(COMMON[part], "", ["shareable"]))

    def _sizes(self):
        """A field that the interface has in some subgraphs, and its types there."""
        if not self.interfaces or self.chance(0.4):
            return
        carriers = [g for g in self.interfaces if self.chance(0.6)] or [next(iter(self.interfaces))]
        told = set()
        for graph in carriers:
            self.sdl[graph]["Named"]["size"] = Def("Int")
            for member in self.interfaces[graph]:
                self.sdl[graph][member]["size"] = Def("Int", "", ["shareable"])
                told.add(member)
        for member in set(self.named) - told:
            graph = self.random.choice([g for g in self.graphs if member in self.keys[g]] or ["g0"])
            self.need(graph, member)
            self.sdl[graph][member]["size"] = Def("Int", "", ["shareable"])

    def _require(self):
        for name in self.types:
            for number in range(self.random.choice([0, 1, 1, 2])):
                text = self._requirement(name)
                if text is None:
                    continue
                parts = parse_field_set(text)
                needed = {s.name for s in parts}
                others = [
                    g
                    for g in self.graphs
                    if not any(
                        n in self.sdl[g][name] and "external" not in self.sdl[g][name][n].marks
                        for n in needed
                    )
                ]
                if not others:
                    continue
                graph = self.random.choice(others)
                self.need(graph, name)
                self._declare_external(graph, name, parts)
                computed = f"computed{number}"
                self.fields[name][computed] = "String"
                self.sdl[graph][name][computed] = Def(
                    "String", "", [f'requires(fields: "{text}")'.replace("~", '\\"')]
                )
                self.requires[name, computed] = text

    def _requirement(self, name):
        usable = [
            f for f in self.fields[name] if (f[0] in "sr" and f[1:].isdigit()) or f == "computed0"
        ]
        item = self.random.choice(usable)
        shape = self.fields[name][item]
        target = base(shape)
        if target in self.types:
            inner = [f for f in self.fields[target] if f[0] == "s" and f[1:].isdigit()]
            return f"{item} {{ {self.random.choice(inner)} }}"
        if target == "Value":
            return f"{item} {{ a deep {{ b }} }}"
        if target == "Any":
            parts = " ".join(f"... on {m} {{ s0 }}" for m in self.members)
            return f"{item} {{ {parts} }}"
        if target == "Named":
            return f"{item} {{ label }}"
        if (name, item) in self.args and self.chance(0.8):
            return f"{item}(n: {self.random.randint(2, 4)})"
        others = [f for f in usable if f != item and f[0] == "s" and f[1:].isdigit()]
        return f"{item} {self.random.choice(others)}" if others and self.chance(0.3) else item

    def _declare_external(self, graph, name, parts):
        for selection in parts:
            if not isinstance(selection, Field):
                self.need(graph, selection.type_name)
                self._declare_external(graph, selection.type_name, selection.selections)
                continue
            item = selection.name
            shape = self.fields.get(name, SHARED.get(name, {})).get(item) or "String"
            if name == "Named" or name in SHARED:
                continue
            self.need(graph, base(shape))
            if item not in self.sdl[graph][name]:
                self.sdl[graph][name][item] = Def(
                    shape, self.args.get((name, item), ""), ["external"]
                )
            if selection.selections is not None:
                self._declare_external(graph, base(shape), selection.selections)

    def _provide(self):
        for graph in self.graphs:
            places = [("Query", f) for f in self.sdl[graph]["Query"]]
            places += [
                (t, f)
                for t in self.types
                for f, d in self.sdl[graph][t].items()
                if f[0] == "r" and "external" not in d.marks
            ]
            for name, item in places:
                given_by = self.sdl[graph][name][item]
                target = base(given_by.shape)
                if self.chance(0.4):
                    continue
                if target in self.types:
                    text = self._provision(graph, target)
                elif target == "Any":
                    texts = [
                        f"... on {m} {{ {t} }}"
                        for m in self.unions[graph]
                        if (t := self._provision(graph, m))
                    ]
                    text = " ".join(texts)
                else:
                    continue
                if text:
                    given_by.marks.append(f'provides(fields: "{text}")')

    def _provision(self, graph, target, depth=1):
        """Choose a field that others share, declare it @external here, and name it."""
        for item in self.fields[target]:
            shared = [g for g in self.graphs if "shareable" in marks(self.sdl[g][target].get(item))]
            here = self.sdl[graph][target].get(item)
            if item in COMMON or not shared or (here and "external" not in here.marks):
                continue
            shape = self.fields[target][item]
            if (target, item) in self.args:
                continue
            if item[0] == "r":
                if base(shape) not in self.types or depth == 0:
                    continue
                self.need(graph, base(shape))
                below = self._provision(graph, base(shape), depth - 1)
                if not below:
                    continue
                self.sdl[graph][target][item] = Def(shape, "", ["external"])
                return f"{item} {{ {below} }}"
            if item[0] == "s":
                self.sdl[graph][target][item] = Def(shape, "", ["external"])
                return item
        return ""

    def _override(self):
        for name in self.types:
            for item in list(self.fields[name]):
                if item in COMMON or item.startswith("computed") or self.chance(0.8):
                    continue
                holders = [g for g in self.graphs if item in self.sdl[g][name]]
                if len(holders) != 1 or self.sdl[holders[0]][name][item].marks:
                    continue
                target = base(self.fields[name][item])
                if target in {"Any", "Named"}:
                    continue
                others = [g for g in self.graphs if g not in holders]
                graph = self.random.choice(others)
                labelled = self.chance(0.5)
                self.need(graph, name)
                self.need(graph, target)
                label = f', label: "{LABEL}"' if labelled else ""
                self.sdl[graph][name][item] = Def(
                    self.fields[name][item],
                    self.args.get((name, item), ""),
                    [f'override(from: "{holders[0]}"{label})'],
                )
                self.withheld[holders[0], name, item] = "on" if labelled else "always"
                if labelled:
                    self.withheld[graph, name, item] = "off"

    def _interface_objects(self):
        """Let graphs that know no implementation add fields to all of them."""
        if not self.interface_key or not self.interfaces:
            return
        for n in range(self.random.choice([0, 1, 1, 2])):
            self.extras.append(f"x{n}")
            self.by_interface[f"bonus{n}"] = f"x{n}"
            if self.chance(0.5):
                self.by_interface[f"greeting{n}"] = f"x{n}"

    # ------------------------------------------------------------------- texts

    def all_graphs(self):
        return [*self.graphs, *self.extras]

    def subgraph(self, graph):
        if graph in self.extras:
            fields = "id: ID!"
            for name, owner in self.by_interface.items():
                if owner == graph and name.startswith("bonus"):
                    fields += f" {name}: String"
                elif owner == graph:
                    fields += f' {name}: String @requires(fields: "label") label: String @external'
            return HEADER + (
                f'type Named @key(fields: "id") @interfaceObject {{ {fields} }}\n'
                f"type Query {{ any_{graph}: [Named!]! }}"
            )
        parts = [HEADER, "enum Kind { RED GREEN }"]
        for name, fields in self.sdl[graph].items():
            lines = " ".join(d.text(f) for f, d in fields.items())
            if name == "Named":
                key = ' @key(fields: "id")' if self.interface_key else ""
                parts.append(f"interface Named{key} {{ {lines} }}")
            elif fields:
                keys = "".join(f' @key(fields: "{k}")' for k in self.keys[graph].get(name, ()))
                named = name in self.interfaces.get(graph, ())
                parts.append(
                    f"type {name}{' implements Named' if named else ''}{keys} {{ {lines} }}"
                )
        if graph in self.unions:
            parts.append(f"union Any = {' | '.join(self.unions[graph])}")
        return "\n".join(parts)

    # ------------------------------------------------------------------ values

    def value(self, source, item, shape, args=None):
        """Return a field's value, the same in every subgraph."""
        name, number = source
        seed = sum(map(ord, name + item)) * 7 + number
        if args:
            seed += 100 * sum(v if isinstance(v, int) else len(str(v)) for v in args.values() if v)
        if item == "id":
            return f"{name}-{number}"
        if item == "code":
            return f"code:{name}:{number}"
        if item == "label":
            return f"label of {name} {number}"
        if item == "place":
            return ("Place", sum(map(ord, name)) * 10 + number)
        if item.startswith("bonus"):
            return f"{item} of {name} {number}"
        allowed = self.allowed.get((name, item))
        if allowed == []:
            return [] if shape.startswith("[") else None
        if shape.endswith("!"):
            return self.present(seed, shape[:-1], allowed)
        return None if seed % 5 == 0 else self.present(seed, shape, allowed)

    def present(self, seed, shape, allowed):
        if shape.startswith("["):
            inner = shape[1:-1]
            plain = inner.removesuffix("!")
            return [self.present(seed + k, plain, allowed) for k in range(seed % 4)]
        if shape in self.types or shape[:3] in {"Val", "Mix"}:
            return (shape, seed % OBJECTS)
        if shape in {"Any", "Named"}:
            return (allowed[seed % len(allowed)], seed % OBJECTS)
        return {"Int": seed, "Kind": "RED" if seed % 2 else "GREEN"}.get(shape, f"text {seed}")

    def resolve(self, source, item, args=None):
        if source is None or source == {}:
            if item.startswith("any_"):
                return [(m, n) for m in self.named for n in range(OBJECTS)]
            if item in self.mutations:
                return self.value(("Mutation", 0), item, self.mutations[item], args)
            return self.value(("Query", 0), item, self.roots[item], args)
        name, number = source[0], source[1]
        if name == "Value":
            return {"a": number, "b": f"b{number}"}.get(item) or (
                ("Value", number - 1) if item == "deep" and number else None
            )
        if name == "Place":
            return number if item == "x" else -number
        if name.startswith("Mix"):
            if item == "inner":
                return ("Mixed", number - 1) if number else None
            if item == "one":
                return (self.mixed_one[name], number)
            return number if item == "same" else f"{item} {number}"
        if (name, item) in self.requires:
            parts = parse_field_set(self.requires[name, item])
            return f"from {self.gather((name, number), parts)}"
        if item.startswith("greeting"):
            return f"hello {self.value((name, number), 'label', 'String')}"
        return self.value((name, number), item, self.fields[name].get(item, "String"), args)

    def gather(self, source, parts):
        """Read what a requirement selects, as a representation would show it."""
        if source is None:
            return None
        if isinstance(source, list):
            return [self.gather(s, parts) for s in source]
        found = {}
        for part in parts:
            if not isinstance(part, Field):
                if part.type_name == source[0]:
                    found.update(self.gather(source, part.selections))
                continue
            args = literal(part.args) or self.defaults(source[0], part)
            value = self.resolve(source, part.name, args)
            found[part.name] = self.gather(value, part.selections) if part.selections else value
        return dict(sorted(found.items()))

    def defaults(self, name, part):
        return {"n": 1} if (name, part.name) in self.args else None


class Seen(tuple):
    """An object with the representation it was looked up by, and what was provided with it."""

    given = None
    provided = ()


def marks(definition):
    return () if definition is None else definition.marks


def literal(args):
    return {"n": int(args.strip("()").split(":")[1])} if args else None


def base(shape):
    return shape.strip("[]!").replace("]", "").replace("!", "")


def bare(value, parts):
    """Read what a requirement selects from a representation, as `World.gather` does."""
    if isinstance(value, list):
        return [bare(v, parts) for v in value]
    if value is None:
        return None
    found = {}
    for part in parts:
        if not isinstance(part, Field):
            if value["__typename"] == part.type_name:
                found.update(bare(value, part.selections))
        elif part.selections:
            found[part.name] = bare(value[part.name], part.selections)
        else:
            found[part.name] = value[part.name]
    return dict(sorted(found.items()))


class StrictSubgraph:
    """One subgraph of a world, which answers only what its schema lets it."""

    def __init__(self, world, graph, labels):
        self.world = world
        self.graph = graph
        self.labels = labels
        self.declared = world.sdl.get(graph, {})

    def local(self):
        sdl = self.world.subgraph(self.graph)
        return LocalSubgraph(sdl, self.resolve, self.resolve_entity, self.resolve_type)

    def resolve(self, source, info, **args):
        item, name = info.field_name, info.parent_type.name
        self.check(source, name, item)
        if (name, item) in self.world.requires and source:
            return f"from {self.required(source, name, item)}"
        if item.startswith("greeting"):
            return f"hello {source.given['label']}"
        below = [s for p in provided_of(source, name) if p.name == item for s in p.selections or ()]
        for mark in marks(self.declared.get(name, {}).get(item)):
            if mark.startswith("provides"):
                below += parse_field_set(mark.split('"')[1]).items
        return wrap(self.world.resolve(source, item, args), below)

    def check(self, source, name, item):
        definition = self.declared.get(name, {}).get(item)
        if "external" in marks(definition):
            names = {s.name for s in provided_of(source, name)}
            assert item in names, f"{self.graph}: {name}.{item} is external"
        withheld = self.world.withheld.get((self.graph, name, item))
        moved = LABEL in self.labels
        there = {None: True, "always": False, "on": not moved, "off": moved}[withheld]
        assert there, f"{self.graph}: {name}.{item} is overridden"

    def required(self, source, name, item):
        parts = parse_field_set(self.world.requires[name, item])
        assert source.given is not None, f"{name}.{item} without a representation"
        lacking = {s.name for s in parts if isinstance(s, Field)} - set(source.given)
        assert not lacking, f"{name}.{item} lacks {lacking}"
        return bare(source.given, parts)

    def resolve_entity(self, representation):
        name = representation["__typename"]
        known = [key for key in ("id", "code", "place") if key in representation]
        for candidate in self.world.named if name == "Named" else [name]:
            for number in range(OBJECTS):
                found = (candidate, number)
                if known and all(matches(self.world, found, k, representation[k]) for k in known):
                    seen = Seen(found)
                    seen.given = representation
                    return seen
        return None

    def resolve_type(self, source, _info):
        return "Named" if self.graph in self.world.extras else source[0]


def wrap(value, provided):
    if isinstance(value, list):
        return [wrap(v, provided) for v in value]
    if isinstance(value, tuple):
        seen = Seen(value[:2])
        seen.provided = provided
        return seen
    return value


def provided_of(source, name):
    found = []
    for part in getattr(source, "provided", ()):
        if isinstance(part, Field):
            found.append(part)
        elif part.type_name == name:
            found.extend(part.selections)
    return found


def matches(world, found, key, given):
    value = world.value(found, key, "ID!")
    if key == "place":
        return given.get("x", value[1]) == value[1] and given.get("y", -value[1]) == -value[1]
    return value == given


class Asker:
    """Draws an operation: aliases, arguments, variables, conditions, fragments of both kinds."""

    def __init__(self, world, supergraph, rnd, *, tame):
        self.world = world
        self.supergraph = supergraph
        self.rnd = rnd
        self.tame = tame
        self.fragments = []
        self.used = {}
        self.budget = 120

    def operation(self):
        kind, root = "query", "Query"
        if self.world.mutations and self.rnd.random() < 0.25:
            kind, root = "mutation", "Mutation"
        text = self.select(root, 4)
        types = {"yes": "Boolean!", "no": "Boolean!", "n": "Int", "k": "Kind"}
        head = ", ".join(f"${name}: {types[name]}" for name in self.used)
        variables = {n: v for n, v in self.used.items() if v is not None}
        body = f"{kind} Q{f'({head})' if head else ''} {{ {text} }} {' '.join(self.fragments)}"
        return body, variables

    def condition(self):
        if self.rnd.random() > 0.12:
            return ""
        name, word = self.rnd.choice(["yes", "no"]), self.rnd.choice(["include", "skip"])
        self.used[name] = name == "yes"
        return f" @{word}(if: ${name})"

    def arguments(self, item):
        given = []
        for name in item.args:
            if self.rnd.random() < 0.5:
                continue
            if name == "k":
                self.used["k"] = "RED"
                given.append(f"k: {self.rnd.choice(['GREEN', '$k'])}")
            else:
                self.used["n"] = 3
                given.append(f"{name}: {self.rnd.choice(['2', '3', '$n'])}")
        return f"({', '.join(given)})" if given else ""

    def select(self, name, depth):
        info = self.supergraph.types[name]
        parts = []
        if info.is_abstract:
            parts.append(self.rnd.choice(["__typename", "kind: __typename", ""]))
            among = sorted(self.supergraph.possible[name])
            if name != "Named":
                among.append("Named")
            among = [a for a in among if a in self.supergraph.types]
            parts += [
                f"... on {member}{self.condition()} {{ {self.select(member, depth)} }}"
                for member in among
                if self.supergraph.possible[member] & self.supergraph.possible[name]
                and self.rnd.random() < 0.6
            ]
        for item in info.fields.values():
            self.budget -= 1
            if self.rnd.random() > (0.75 if depth > 2 else 0.45) or self.budget < 0:
                continue
            parts.append(self.field(name, item, depth))
        parts = [p for p in parts if p]
        if self.rnd.random() < 0.15 and parts:
            parts.append(f"...{self.condition()} {{ {parts[-1]} }}")
        if self.rnd.random() < 0.1 and parts:
            fragment = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {fragment} on {name} {{ {' '.join(parts)} }}")
            return f"...{fragment}{self.condition()}"
        return " ".join(parts) or "__typename"

    def field(self, name, item, depth):
        args = self.arguments(item)
        # Members may give one key different shapes, which GraphQL would refuse.
        alias = f"{name}_{item.name}: " if self.tame else ""
        if self.tame and args:
            alias = f"{name}_{item.name}_{len(self.fragments)}_{self.budget}: "
        elif self.rnd.random() < 0.1:
            alias = f"{self.rnd.choice(['id', 's0', 'other', item.name])}: "
        head = alias + item.name + args + self.condition()
        target = self.supergraph.types[item.type.name]
        if not target.is_composite:
            return head
        below = self.select(item.type.name, depth - 1) if depth > 0 else "__typename"
        return f"{head} {{ {below} }}"


def random_operation(world, supergraph, seed):
    """Draw operations until one is valid; the last resort gives every key a name of its own."""
    rnd = random.Random(seed)
    for tame in (False, False, False, True, True):
        text, variables = Asker(world, supergraph, rnd, tame=tame).operation()
        document = parse(text)
        if not validate(supergraph.api_schema, document):
            return text, document, variables
    return None


class Labels(ExecutionHooks):
    def __init__(self, labels):
        self.labels = labels

    def override_labels(self, context):
        return self.labels


class Asked:
    """One world with an operation on it: what the monolith says, and how to ask the federation."""

    def __init__(self, seed):
        self.world = World(seed)
        graphs = self.world.all_graphs()
        self.subgraphs = [Subgraph(g, f"http://{g}", self.world.subgraph(g)) for g in graphs]
        self.labels = frozenset({LABEL}) if seed % 2 else frozenset()
        self.query = None
        composition = compose(self.subgraphs)
        if isinstance(composition, CompositionFailed):
            codes = {e.code for e in composition.errors}
            told = (composition.errors, [s.sdl for s in self.subgraphs])
            assert codes <= {"SATISFIABILITY_ERROR"}, told
            return
        self.supergraph = composition.supergraph
        drawn = random_operation(self.world, self.supergraph, seed)
        if drawn is not None:
            self.query, self.document, self.variables = drawn
            self.told = (seed, self.query, self.variables, [s.sdl for s in self.subgraphs])
            self.expected = self.monolith()

    def monolith(self):
        expected = execute_sync(
            self.supergraph.api_schema,
            self.document,
            root_value={},
            variable_values=self.variables,
            field_resolver=lambda source, info, **args: self.world.resolve(
                source, info.field_name, args
            ),
            type_resolver=lambda source, _info, _type: source[0],
        )
        assert not expected.errors, (expected.errors, self.query)
        return expected.data

    def federated(self, failing=frozenset()):
        locals_ = {
            g: StrictSubgraph(self.world, g, self.labels).local() for g in self.world.all_graphs()
        }
        client = LocalSubgraphs({g: s for g, s in locals_.items() if g not in failing})
        options = ExecutorOptions(limits=Limits(aliases=10_000))
        executor = Executor(self.supergraph, client, hooks=Labels(self.labels), options=options)
        request = GraphQLRequest(self.query, variables=self.variables)
        return asyncio.run(executor.execute(request))


def check(seed):
    """Compare one world's federated answer with the monolith's."""
    asked = Asked(seed)
    if asked.query is None:
        return "none"
    result = asked.federated()
    assert not result.errors, (result.errors, *asked.told)
    assert result.data == asked.expected, asked.told
    return "equal"


def check_failing(seed):
    """Fail one subgraph: what is lost is null where the types allow it, and told with its path."""
    asked = Asked(seed)
    if asked.query is None:
        return "none"
    down = random.Random(seed).choice(asked.world.all_graphs())
    result = asked.federated(frozenset({down}))
    paths = [tuple(p for p in e.get("path") or () if isinstance(p, str)) for e in result.errors]
    lost = list(missing(asked.expected, result.data, ()))
    for path in lost:
        told = any(p[: len(path)] == path or path[: len(p)] == p for p in paths)
        assert told, (path, result.errors, *asked.told)
    return "lost" if lost else "unharmed"


def missing(expected, found, path):
    """Yield the paths of what is null though it should not be; anything else must be equal."""
    if found is None and expected is not None:
        yield path
    elif isinstance(expected, dict):
        assert list(found) == list(expected), path
        for key, value in expected.items():
            yield from missing(value, found[key], (*path, key))
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for value, other in zip(expected, found, strict=True):
            yield from missing(value, other, path)
    else:
        assert found == expected, path


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_federated_answer_is_the_monoliths(seed):
    check(seed)


@settings(
    max_examples=EXAMPLES // 3,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_subgraph_that_is_down_costs_only_what_rests_on_it(seed):
    check_failing(seed)
