"""From subgraphs to a supergraph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from graphql import (
    DirectiveDefinitionNode,
    DirectiveLocation,
    DocumentNode,
    GraphQLError,
    print_ast,
)

from twinmesh_federation.composition.carried import Carrier, composed_directives
from twinmesh_federation.composition.definition_rules import definition_problems
from twinmesh_federation.composition.emit import Emitter
from twinmesh_federation.composition.graphql_rules import GraphQLRules
from twinmesh_federation.composition.merge import Merger
from twinmesh_federation.composition.model import SubgraphSchema
from twinmesh_federation.composition.normalise import (
    note_possible,
    rename_roots,
    settle_external,
    settle_shareable,
    upgrade_v1,
)
from twinmesh_federation.composition.read import SubgraphReader, parse_subgraph
from twinmesh_federation.composition.satisfiability import Satisfiability
from twinmesh_federation.composition.subgraph_rules import SubgraphRules, name_issue
from twinmesh_federation.composition.supergraph_rules import SupergraphRules
from twinmesh_federation.issues import CompositionIssue, Subgraph
from twinmesh_federation.supergraph.load import SupergraphError, load_supergraph
from twinmesh_federation.supergraph.model import Supergraph

MAX_SUBGRAPHS = 1_000
_EXECUTABLE = frozenset(
    (DirectiveLocation.QUERY, DirectiveLocation.MUTATION, DirectiveLocation.SUBSCRIPTION,
     DirectiveLocation.FIELD, DirectiveLocation.FRAGMENT_DEFINITION,
     DirectiveLocation.FRAGMENT_SPREAD, DirectiveLocation.INLINE_FRAGMENT,
     DirectiveLocation.VARIABLE_DEFINITION)
)  # fmt: skip
_HINTS = {
    "INVALID_GRAPHQL": "Correct the schema: it must be valid GraphQL, its directives included.",
    "DIRECTIVE_DEFINITION_INVALID": "Copy the definition from the federation specification.",
    "INVALID_LINK_DIRECTIVE_USAGE": "Link each specification once; import only what it has.",
    "INVALID_LINK_IDENTIFIER": "Give the URL as https://host/name/vMAJOR.MINOR.",
    "UNKNOWN_LINK_VERSION": "Link version v1.0 of the link specification.",
    "UNKNOWN_FEDERATION_LINK_VERSION": "Link a version from v2.0 to the latest known one.",
}


@dataclass(frozen=True, slots=True)
class Composition:
    """Subgraphs that fit together."""

    supergraph_sdl: str
    supergraph: Supergraph


@dataclass(frozen=True, slots=True)
class CompositionFailed:
    """Subgraphs that do not, and why."""

    errors: tuple[CompositionIssue, ...]


def compose(subgraphs: Sequence[Subgraph]) -> Composition | CompositionFailed:
    """Compose subgraphs, written for federation 1 or 2, into a supergraph.

    Each phase reports all that it finds; a later one runs only if the earlier found nothing.
    """
    issues: list[CompositionIssue] = []
    schemas = _read_all(subgraphs, issues)
    if issues:
        return CompositionFailed(tuple(issues))
    composed = composed_directives(schemas, issues)
    executable = _executable_directives(schemas, composed.keys(), issues)
    merger = Merger(schemas)
    types = merger.merge()
    issues += merger.issues
    if issues:
        return CompositionFailed(tuple(issues))
    issues += SupergraphRules(types, schemas).check()
    if issues:
        return CompositionFailed(tuple(issues))
    emitter = Emitter(schemas, types, Carrier(composed), executable)
    text = emitter.text()
    supergraph = load_supergraph(text, essence=emitter.essence)
    issues += Satisfiability(supergraph).check()
    if issues:
        return CompositionFailed(tuple(issues))
    return Composition(text, supergraph)


def read_subgraph(subgraph: Subgraph) -> SubgraphSchema:
    """Read one subgraph on its own, without checks.

    Raises:
        ValueError: The SDL is not GraphQL.
    """
    document = parse_subgraph(subgraph)
    if isinstance(document, CompositionIssue):
        raise ValueError(document.message)
    schema = SubgraphReader(subgraph, _graph_id(subgraph.name, set()), document).read()
    note_possible(schema)
    settle_external(schema)
    return schema


def _read_all(
    subgraphs: Sequence[Subgraph], issues: list[CompositionIssue]
) -> list[SubgraphSchema]:
    if len(subgraphs) > MAX_SUBGRAPHS:
        issues.append(CompositionIssue("LIMIT_EXCEEDED", f"over {MAX_SUBGRAPHS} subgraphs"))
        return []
    schemas: list[SubgraphSchema] = []
    graphs: set[str] = set()
    names: set[str] = set()
    for subgraph in sorted(subgraphs, key=lambda s: s.name):
        problem = name_issue(subgraph.name)
        if problem is None and subgraph.name in names:
            problem = f"Two subgraphs are named {subgraph.name!r}"
        if problem is not None:
            issues.append(
                CompositionIssue(
                    "INVALID_SUBGRAPH_NAME", problem, (subgraph.name,), "",
                    "Choose another name.",
                )
            )  # fmt: skip
            continue
        names.add(subgraph.name)
        document = parse_subgraph(subgraph)
        if isinstance(document, CompositionIssue):
            issues.append(document)
            continue
        schema = _read(subgraph, _graph_id(subgraph.name, graphs), document, issues)
        if schema is not None:
            schemas.append(schema)
    return schemas


def _read(
    subgraph: Subgraph, graph: str, document: DocumentNode, issues: list[CompositionIssue]
) -> SubgraphSchema | None:
    schema = SubgraphReader(subgraph, graph, document).read()
    problems = [(code, "", message) for code, message in schema.links.problems]
    if not problems:
        note_possible(schema)
        problems += [("DIRECTIVE_DEFINITION_INVALID", *p) for p in definition_problems(schema)]
        found = dict.fromkeys(GraphQLRules(document, schema).check())
        problems += [("INVALID_GRAPHQL", *problem) for problem in found]
    valid = not problems
    if valid:
        problems += [
            (code, code.split("_")[1].capitalize(), message)
            for code, message in rename_roots(schema)
        ]
    issues += [
        CompositionIssue(
            code, f"[{subgraph.name}] {message}", (subgraph.name,), coordinate, _hint(code)
        )
        for code, coordinate, message in problems
    ]
    if not valid:
        return None
    note_possible(schema)
    unmarked = settle_external(schema)
    emptied = upgrade_v1(schema) if schema.is_v1 else []
    issues += [
        CompositionIssue(
            "TYPE_WITH_ONLY_UNUSED_EXTERNAL",
            f"[{subgraph.name}] {name} has only @external fields, which nothing needs",
            (subgraph.name,),
            name,
            "Give it a field that this subgraph resolves, or a key; or remove it.",
        )
        for name in emptied
    ]
    schema.provided = settle_shareable(schema)
    found_issues = SubgraphRules(schema, unmarked).check()
    issues += found_issues
    return None if found_issues or problems or emptied else schema


def _hint(code: str) -> str:
    if code.startswith("ROOT_"):
        return "Make it the root, or give one of the two types another name."
    return _HINTS[code]


def _graph_id(name: str, taken: set[str]) -> str:
    """Derive a join__Graph value: upper case, letters, digits and underscores."""
    base = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
    if not base or base[0].isdigit():
        base = "_" + base
    graph, number = base, 1
    while graph in taken:
        number += 1
        graph = f"{base}_{number}"
    taken.add(graph)
    return graph


def _executable_directives(
    schemas: list[SubgraphSchema], composed: Collection[str], issues: list[CompositionIssue]
) -> list[str]:
    """Merge definitions of directives for operations: what all subgraphs know."""
    found: dict[str, list[tuple[str, DirectiveDefinitionNode]]] = {}
    for schema in schemas:
        for name, definition in schema.directive_definitions.items():
            if any(DirectiveLocation[x.value] in _EXECUTABLE for x in definition.locations):
                found.setdefault(name, []).append((schema.name, definition))
    texts: list[str] = []
    for name, definitions in found.items():
        if len(definitions) < len(schemas):
            continue
        if name in composed or name in ("include", "skip", "defer", "stream"):
            continue
        types: dict[str, set[str]] = {}
        for _, definition in definitions:
            for argument in definition.arguments or ():
                types.setdefault(argument.name.value, set()).add(
                    print_ast(argument.type).rstrip("!")
                )
        clash = sorted(a for a, kinds in types.items() if len(kinds) > 1)
        issues.extend(
            CompositionIssue(
                "FIELD_ARGUMENT_TYPE_MISMATCH",
                f"@{name}({argument_name}:) has different types",
                tuple(s for s, _ in definitions),
                f"@{name}({argument_name}:)",
                "Use one type.",
            )
            for argument_name in clash
        )
        locations = set.intersection(*({x.value for x in d.locations} for _, d in definitions)) & {
            x.name for x in _EXECUTABLE
        }
        if locations and not clash:
            texts.append(_definition_text(definitions[0][1], locations))
    return texts


def _definition_text(definition: DirectiveDefinitionNode, locations: set[str]) -> str:
    head = print_ast(definition).rsplit(" on ", 1)[0]
    return f"{head} on {' | '.join(sorted(locations))}"


__all__ = [
    "Composition",
    "CompositionFailed",
    "CompositionIssue",
    "GraphQLError",
    "Subgraph",
    "SupergraphError",
    "compose",
    "read_subgraph",
]
