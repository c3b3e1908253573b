"""Directives that the supergraph carries on: tags, access, cost, deprecation, composed ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import DirectiveDefinitionNode, print_ast

from twinmesh_federation.composition.links import FEDERATION, LINK, Link
from twinmesh_federation.composition.model import Element, SubgraphSchema
from twinmesh_federation.issues import CompositionIssue

CARRIED: Final = (
    "tag", "inaccessible", "authenticated", "requiresScopes", "policy", "cost", "listSize",
)  # fmt: skip
_SPECIFIED: Final = ("deprecated", "specifiedBy")
MAX_ALTERNATIVES: Final = 1_000
_DEFINITIONS: Final = {
    "tag": "directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | "
    "UNION | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | "
    "INPUT_FIELD_DEFINITION | SCHEMA",
    "inaccessible": "directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | "
    "ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    "authenticated": "directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR "
    "| ENUM",
    "requiresScopes": "directive @requiresScopes(scopes: [[requiresScopes__Scope!]!]!) on "
    "FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM\n\nscalar requiresScopes__Scope",
    "policy": "directive @policy(policies: [[policy__Policy!]!]!) on FIELD_DEFINITION | OBJECT | "
    "INTERFACE | SCALAR | ENUM\n\nscalar policy__Policy",
    "cost": "directive @cost(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | "
    "INPUT_FIELD_DEFINITION | OBJECT | SCALAR",
    "listSize": "directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: "
    "[String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION",
}
_LINKS: Final = {
    "tag": '@link(url: "https://specs.apollo.dev/tag/v0.3")',
    "inaccessible": '@link(url: "https://specs.apollo.dev/inaccessible/v0.2", for: SECURITY)',
    "authenticated": '@link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)',
    "requiresScopes": '@link(url: "https://specs.apollo.dev/requiresScopes/v0.1", for: SECURITY)',
    "policy": '@link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY)',
    "cost": '@link(url: "https://specs.apollo.dev/cost/v0.1", import: ["@cost", "@listSize"])',
}


def _dearest(known: dict[str, Any] | None, args: dict[str, Any]) -> dict[str, Any]:
    if known is None:
        return {"weight": int(args["weight"])}
    return {"weight": max(known["weight"], int(args["weight"]))}


def _largest(known: dict[str, Any] | None, args: dict[str, Any]) -> dict[str, Any]:
    merged = dict(known or {})
    if args.get("assumedSize") is not None:
        size = int(args["assumedSize"])
        merged["assumedSize"] = max(merged.get("assumedSize", size), size)
    for name in ("slicingArguments", "sizedFields"):
        if args.get(name):
            merged[name] = list(dict.fromkeys([*merged.get(name, ()), *args[name]]))
    if args.get("requireOneSlicingArgument") is False:
        merged["requireOneSlicingArgument"] = False
    return merged


def _all_of(name: str) -> Callable[[dict[str, Any] | None, dict[str, Any]], dict[str, Any]]:
    """Join alternatives of two subgraphs so that both must hold."""

    def join(known: dict[str, Any] | None, args: dict[str, Any]) -> dict[str, Any]:
        groups = [sorted(set(map(str, group))) for group in args.get(name) or ()]
        if known is not None and known[name]:
            groups = [sorted({*a, *b}) for a in known[name] for b in groups] or known[name]
        unique = list(dict.fromkeys(map(tuple, groups)))
        return {name: [list(g) for g in unique[:MAX_ALTERNATIVES]]}

    return join


_MERGED: Final = {
    "cost": _dearest,
    "listSize": _largest,
    "requiresScopes": _all_of("scopes"),
    "policy": _all_of("policies"),
}


def _printed(args: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {json.dumps(value)}" for name, value in args.items())


@dataclass(slots=True)
class Composed:
    """A directive that @composeDirective carries on."""

    local: str
    link: Link
    definition: DirectiveDefinitionNode


@dataclass(slots=True)
class Carrier:
    """Prints carried directives, and remembers which were used."""

    composed: dict[str, Composed]
    used: dict[str, None] = field(default_factory=dict)

    def text(self, elements: Iterable[Element]) -> str:
        """Print the union of the elements' carried directives, with a leading space."""
        found: dict[str, None] = {}
        single: set[str] = set()
        merged: dict[str, dict[str, Any]] = {}
        for element in elements:
            for directive in element.directives:
                name = directive.name
                if directive.is_federation:
                    if name not in CARRIED:
                        continue
                elif name not in self.composed and name not in _SPECIFIED:
                    continue
                elif name in _SPECIFIED:
                    if name in single:
                        continue
                    single.add(name)
                self.used[name] = None
                if directive.is_federation and name in _MERGED:
                    merged[name] = _MERGED[name](merged.get(name), directive.args)
                    continue
                printed = "@" + name + _arguments(directive.args, directive.node)
                found[printed] = None
        for name, args in merged.items():
            found[f"@{name}({_printed(args)})"] = None
        return "".join(f" {text}" for text in found)

    def links(self) -> list[str]:
        """Print the links that the directives used need."""
        if "listSize" in self.used:
            self.used["cost"] = None
        texts = [_LINKS[name] for name in CARRIED if name in self.used and name in _LINKS]
        features: dict[str, tuple[Link, list[str]]] = {}
        for item in self.composed.values():
            features.setdefault(item.link.identity, (item.link, []))[1].append(item.local)
        for link, names in features.values():
            back = {alias[1:]: name for name, alias in link.imports.items() if name[0] == "@"}
            imports = []
            for name in names:
                original = back.get(name, "@" + name)
                imports.append(
                    f'"@{name}"' if original == "@" + name
                    else f'{{name: "{original}", as: "@{name}"}}'
                )  # fmt: skip
            version = f"v{link.version[0]}.{link.version[1]}"
            texts.append(f'@link(url: "{link.identity}/{version}", import: [{", ".join(imports)}])')
        return texts

    def definitions(self) -> list[str]:
        """Print the definitions of the directives used."""
        texts = [_DEFINITIONS[name] for name in CARRIED if name in self.used]
        return texts + [print_ast(item.definition) for item in self.composed.values()]


def _arguments(args: dict[str, Any], node: Any) -> str:  # noqa: ANN401 - a directive node
    if not args:
        return ""
    return "(" + ", ".join(f"{a.name.value}: {print_ast(a.value)}" for a in node.arguments) + ")"


def composed_directives(
    schemas: list[SubgraphSchema], issues: list[CompositionIssue]
) -> dict[str, Composed]:
    """Find the directives that subgraphs ask to carry on, and check that they agree."""
    found: dict[str, Composed] = {}
    features: dict[str, tuple[int, str]] = {}
    for schema in schemas:
        asked: set[str] = set()
        for applied in schema.schema_directives:
            if not applied.is_federation or applied.name != "composeDirective":
                continue
            asked.add(str(applied.args.get("name")).removeprefix("@"))
            problem = _compose_one(schema, applied.args.get("name"), found, features)
            if problem is not None:
                issues.append(
                    CompositionIssue(
                        "DIRECTIVE_COMPOSITION_ERROR",
                        f"[{schema.name}] {problem}",
                        (schema.name,),
                        str(applied.args.get("name") or ""),
                        "Compose a directive of one linked specification, defined and imported "
                        "alike everywhere.",
                    )
                )
        _drop_uncomposed(schema, asked)
    return found


def _drop_uncomposed(schema: SubgraphSchema, asked: set[str]) -> None:
    """Drop applications of directives that this subgraph does not ask to carry on."""
    for element in _elements(schema):
        element.directives = [
            d
            for d in element.directives
            if d.is_federation or d.name in asked or d.name in _SPECIFIED
        ]


def _elements(schema: SubgraphSchema) -> Iterator[Element]:
    for info in schema.types.values():
        yield info
        yield from info.values.values()
        yield from info.inputs.values()
        for item in info.fields.values():
            yield item
            yield from item.args.values()


def _compose_one(  # noqa: PLR0911 - one return per refusal
    schema: SubgraphSchema,
    name: object,
    found: dict[str, Composed],
    features: dict[str, tuple[int, str]],
) -> str | None:
    if not isinstance(name, str) or not name.startswith("@") or len(name) < 2:
        return f"@composeDirective needs a name that starts with @, not {name!r}"
    local = name[1:]
    definition = schema.directive_definitions.get(local)
    link = _link_of(local, schema)
    if definition is None:
        return f"{name} is not defined"
    if link is None:
        return f"{name} belongs to no linked specification"
    if link.identity in (FEDERATION, LINK):
        return f"{name} belongs to the federation or link specification"
    known = features.get(link.identity)
    if known is not None and known[0] != link.version[0]:
        return f"{link.identity} is used in major versions {known[0]} and {link.version[0]}"
    features[link.identity] = (link.version[0], schema.name)
    earlier = found.get(local)
    if earlier is None:
        found[local] = Composed(local, link, definition)
        return None
    if earlier.link.identity != link.identity or _original(earlier.link, local) != _original(
        link, local
    ):
        return f"{name} means different directives in different subgraphs"
    if not _locations(definition) & _locations(earlier.definition):
        return f"{name} is defined for no common location"
    newest = definition if link.version > earlier.link.version else earlier.definition
    link = max(link, earlier.link, key=lambda one: one.version)
    found[local] = Composed(local, link, _over_locations(newest, definition, earlier.definition))
    return None


def _locations(definition: DirectiveDefinitionNode) -> set[str]:
    return {location.value for location in definition.locations}


def _over_locations(
    newest: DirectiveDefinitionNode, *definitions: DirectiveDefinitionNode
) -> DirectiveDefinitionNode:
    """Copy a definition with the locations of several."""
    locations = {x.value: x for d in definitions for x in d.locations}
    return DirectiveDefinitionNode(
        description=newest.description,
        name=newest.name,
        arguments=newest.arguments,
        repeatable=any(d.repeatable for d in definitions),
        locations=tuple(locations.values()),
    )


def _original(link: Link, local: str) -> str:
    return next((n for n, alias in link.imports.items() if alias == "@" + local), "@" + local)


def _link_of(local: str, schema: SubgraphSchema) -> Link | None:
    for link in schema.links.links.values():
        if "@" + local in link.imports.values():
            return link
        if local == link.prefix or local.startswith(link.prefix + "__"):
            return link
    return None
