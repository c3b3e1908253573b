"""Reading a subgraph's SDL."""

from __future__ import annotations

from typing import Any, Final

from graphql import (
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    parse,
    print_ast,
    value_from_ast_untyped,
)

from twinmesh_federation.composition.federation_spec import (
    MINOR_OF,
    SPEC_TYPES,
    V1_DIRECTIVES,
)
from twinmesh_federation.composition.links import Links, read_links
from twinmesh_federation.composition.model import (
    Applied,
    Argument,
    Element,
    FieldDef,
    SubgraphSchema,
    TypeDef,
)
from twinmesh_federation.issues import CompositionIssue, Subgraph
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.load import to_ref

MAX_SDL_CHARS: Final = 8_000_000
_KIND: Final = {
    "object_type": kinds.OBJECT,
    "interface_type": kinds.INTERFACE,
    "union_type": kinds.UNION,
    "enum_type": kinds.ENUM,
    "scalar_type": kinds.SCALAR,
    "input_object_type": kinds.INPUT,
}
ROOT_NAMES: Final = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
_SPEC_FIELDS: Final = ("_service", "_entities")


def federation_names(
    links: Links, defined: frozenset[str] | set[str] = frozenset()
) -> dict[str, str]:
    """Map local directive names to those of the federation specification.

    Args:
        links: The subgraph's.
        defined: Directives that the document defines; federation 1 has its own way of import.
    """
    federation = links.federation
    if federation is None:
        return {name: name for name in (*V1_DIRECTIVES, *(defined & MINOR_OF.keys()))}
    minor = federation.version[1]
    return {federation.local(name): name for name, since in MINOR_OF.items() if since <= minor}


def spec_scalars(links: Links) -> frozenset[str]:
    """Name the types that specifications bring, local names included."""
    names = set(SPEC_TYPES)
    federation = links.federation
    if federation is not None:
        for element in ("FieldSet", "Scope", "Policy", "ContextFieldValue"):
            names.add(federation.imports.get(element, f"{federation.prefix}__{element}"))
    for link in links.links.values():
        if link.identity.startswith("https://specs.apollo.dev/link"):
            names.add(link.imports.get("Import", "link__Import"))
            names.add(link.imports.get("Purpose", "link__Purpose"))
    return frozenset(names)


def parse_subgraph(subgraph: Subgraph) -> DocumentNode | CompositionIssue:
    """Parse the SDL."""
    if len(subgraph.sdl) > MAX_SDL_CHARS:
        return CompositionIssue(
            "INVALID_GRAPHQL", f"[{subgraph.name}] SDL longer than {MAX_SDL_CHARS} characters",
            (subgraph.name,), "", "Split the subgraph.",
        )  # fmt: skip
    try:
        return parse(subgraph.sdl, no_location=True)
    except (GraphQLError, RecursionError) as error:
        return CompositionIssue(
            "INVALID_GRAPHQL", f"[{subgraph.name}] {error}", (subgraph.name,), "",
            "Correct the syntax.",
        )  # fmt: skip


class SubgraphReader:
    """Builds a `SubgraphSchema` from a document."""

    def __init__(self, subgraph: Subgraph, graph: str, document: DocumentNode) -> None:
        self._subgraph = subgraph
        self._graph = graph
        self._document = document
        self._links = read_links(document)
        self._names = federation_names(
            self._links,
            {d.name.value for d in document.definitions if isinstance(d, DirectiveDefinitionNode)},
        )
        self._types: dict[str, TypeDef] = {}
        self._directives: dict[str, DirectiveDefinitionNode] = {}
        self._roots: dict[str, str] = {}
        self._schema_directives: list[Applied] = []

    def read(self) -> SubgraphSchema:
        """Read everything."""
        skipped = spec_scalars(self._links)
        for definition in self._document.definitions:
            if isinstance(definition, DirectiveDefinitionNode):
                self._directives[definition.name.value] = definition
            elif isinstance(definition, (SchemaDefinitionNode, SchemaExtensionNode)):
                for operation in definition.operation_types or ():
                    self._roots[operation.operation.value] = operation.type.name.value
                self._schema_directives += self._applied(definition)
            elif isinstance(definition, (TypeDefinitionNode, TypeExtensionNode)):
                name = definition.name.value
                if name not in skipped:
                    self._read_type(definition, name)
        for kind, name in ROOT_NAMES.items():
            if not any(True for k in self._roots if k == kind) and name in self._types:
                root = self._types[name]
                if root.kind == kinds.OBJECT and name not in self._roots.values():
                    self._roots[kind] = name
        self._drop_spec_fields()
        return SubgraphSchema(
            self._subgraph.name,
            self._subgraph.url,
            self._graph,
            self._links,
            self._types,
            self._roots,
            self._schema_directives,
            self._directives,
        )

    def _drop_spec_fields(self) -> None:
        name = self._roots.get("query")
        root = self._types.get(name) if name else None
        if root is None or name is None:
            return
        for field_name in _SPEC_FIELDS:
            root.fields.pop(field_name, None)
        if not root.fields:
            del self._types[name]
            del self._roots["query"]

    def _applied(self, node: Any) -> list[Applied]:  # noqa: ANN401 - any AST node with directives
        return [self._one(directive) for directive in node.directives or ()]

    def _one(self, directive: DirectiveNode) -> Applied:
        args = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
        name = directive.name.value
        known = self._names.get(name)
        return Applied(known or name, args, directive, known is not None)

    def _element(self, node: Any, element: Any) -> Any:  # noqa: ANN401 - returns its second argument
        element.directives = self._applied(node)
        description = getattr(node, "description", None)
        element.description = description.value if description is not None else None
        return element

    def _read_type(self, node: Any, name: str) -> None:  # noqa: ANN401 - any type node
        is_extension = isinstance(node, TypeExtensionNode)
        kind = _KIND[node.kind.rsplit("_", 1)[0]]
        known = self._types.get(name)
        if known is None:
            known = self._types[name] = TypeDef(name, kind=kind)
        known.defined |= not is_extension
        own = self._applied(node)
        known.directives += own
        marks = {d.name for d in own if d.is_federation}
        if known.description is None and getattr(node, "description", None) is not None:
            known.description = node.description.value
        known.extension = not known.defined or known.has("extends")
        for interface in getattr(node, "interfaces", None) or ():
            if interface.name.value not in known.interfaces:
                known.interfaces.append(interface.name.value)
        if kind == kinds.UNION:
            known.members += [t.name.value for t in node.types or ()]
        elif kind == kinds.ENUM:
            for value in node.values or ():
                known.values[value.name.value] = self._element(value, Element(value.name.value))
        elif kind == kinds.INPUT:
            for item in node.fields or ():
                known.inputs[item.name.value] = self._argument(item)
        elif kind in (kinds.OBJECT, kinds.INTERFACE):
            for item in node.fields or ():
                read = self._field(item, is_extension=is_extension)
                read.shareable = "shareable" in marks or read.has("shareable")
                read.external = "external" in marks or read.has("external")
                known.fields[read.name] = read

    def _argument(self, node: Any) -> Argument:  # noqa: ANN401 - an input value node
        argument = Argument(node.name.value, type=to_ref(node.type))
        if node.default_value is not None:
            argument.default = print_ast(node.default_value)
        self._element(node, argument)
        return argument

    def _field(self, node: Any, *, is_extension: bool) -> FieldDef:  # noqa: ANN401 - a field node
        item = FieldDef(node.name.value, type=to_ref(node.type), in_extension=is_extension)
        self._element(node, item)
        item.args = {a.name.value: self._argument(a) for a in node.arguments or ()}
        return item
