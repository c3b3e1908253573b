"""Reading a supergraph in the join specification."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, Final

from graphql import (
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    GraphQLError,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse,
    parse_type,
    print_ast,
    value_from_ast_untyped,
)

from twinmesh_federation.selection import Selections, parse_field_set
from twinmesh_federation.supergraph import model
from twinmesh_federation.supergraph.api import public_sdl
from twinmesh_federation.supergraph.model import (
    AccessRule,
    ArgumentInfo,
    FieldInfo,
    FieldJoin,
    GraphInfo,
    KeyJoin,
    Supergraph,
    TypeInfo,
    TypeJoin,
    TypeRef,
)

MAX_SUPERGRAPH_BYTES: Final = 32 * 1024 * 1024
_BUILT_IN_SCALARS: Final = ("Int", "Float", "String", "Boolean", "ID")
_INTERNAL_PREFIXES: Final = ("join__", "link__", "core__")


class SupergraphError(ValueError):
    """The text is not a supergraph in the join specification."""


def load_supergraph(sdl: str, *, essence: str | None = None) -> Supergraph:
    """Read a supergraph file.

    Args:
        sdl: Its text.
        essence: The same without definitions of the join and link specifications, if at hand.

    Raises:
        SupergraphError: It is too large, not GraphQL, or not a supergraph.
    """
    if len(sdl) > MAX_SUPERGRAPH_BYTES:
        raise SupergraphError(f"supergraph larger than {MAX_SUPERGRAPH_BYTES} bytes")
    try:
        document = parse(sdl if essence is None else essence, no_location=True)
        return _Loader(document, sdl).load()
    except (GraphQLError, KeyError, ValueError) as error:
        if isinstance(error, SupergraphError):
            raise
        raise SupergraphError(f"not a supergraph: {error}") from error


def to_ref(node: TypeNode) -> TypeRef:
    """Translate a parsed type."""
    if isinstance(node, NonNullTypeNode):
        inner = to_ref(node.type)
        return TypeRef(inner.name, inner.of, non_null=True)
    if isinstance(node, ListTypeNode):
        inner = to_ref(node.type)
        return TypeRef(inner.name, inner)
    if isinstance(node, NamedTypeNode):
        return TypeRef(node.name.value)
    raise SupergraphError("unknown type node")


def directive_arguments(node: DirectiveNode) -> dict[str, Any]:
    """Return the arguments of an applied directive as plain values."""
    return {a.name.value: value_from_ast_untyped(a.value) for a in node.arguments or ()}


@lru_cache(maxsize=4096)
def _field_set(text: str) -> Selections:
    return parse_field_set(text)


def _applied(node: Any, name: str) -> list[dict[str, Any]]:  # noqa: ANN401 - any AST node
    return [directive_arguments(d) for d in node.directives or () if d.name.value == name]


def _access(node: Any) -> AccessRule | None:  # noqa: ANN401 - any AST node
    if not node.directives:
        return None
    authenticated = bool(_applied(node, "authenticated"))
    scopes = _alternatives(_applied(node, "requiresScopes"), "scopes")
    policies = _alternatives(_applied(node, "policy"), "policies")
    if not (authenticated or scopes or policies):
        return None
    return AccessRule(authenticated, scopes, policies)


def _alternatives(applied: list[dict[str, Any]], name: str) -> tuple[frozenset[str], ...]:
    groups: tuple[frozenset[str], ...] = ()
    for arguments in applied:
        own = tuple(frozenset(map(str, group)) for group in arguments.get(name) or ())
        groups = tuple(a | b for a in groups for b in own) if groups else own
    return groups


class _Loader:
    def __init__(self, document: DocumentNode, sdl: str) -> None:
        self._document = document
        self._sdl = sdl
        self._types: dict[str, TypeInfo] = {}
        self._graphs: dict[str, GraphInfo] = {}
        self._roots: dict[str, str] = {}
        self._inaccessible = "inaccessible"

    def load(self) -> Supergraph:
        for definition in self._document.definitions:
            if isinstance(definition, SchemaDefinitionNode):
                self._load_schema(definition)
            elif (
                isinstance(definition, EnumTypeDefinitionNode)
                and definition.name.value == "join__Graph"
            ):
                self._load_graphs(definition)
        if not self._graphs:
            raise SupergraphError("not a supergraph: no enum join__Graph with @join__graph values")
        for definition in self._document.definitions:
            name = getattr(getattr(definition, "name", None), "value", "")
            if name.startswith(_INTERNAL_PREFIXES) or isinstance(
                definition, (SchemaDefinitionNode, DirectiveDefinitionNode)
            ):
                continue
            self._load_type(definition)
        for scalar in _BUILT_IN_SCALARS:
            self._types.setdefault(scalar, TypeInfo(scalar, model.SCALAR))
        if not self._roots and "Query" in self._types:
            self._roots["query"] = "Query"
            for kind in ("Mutation", "Subscription"):
                if kind in self._types:
                    self._roots[kind.lower()] = kind
        if "query" not in self._roots:
            raise SupergraphError("a supergraph needs a query root")
        return Supergraph(
            sdl=self._sdl,
            graphs=self._graphs,
            types=self._types,
            roots=self._roots,
            print_api=partial(public_sdl, self._document, self._inaccessible),
        )

    def _load_schema(self, node: SchemaDefinitionNode) -> None:
        for operation in node.operation_types:
            self._roots[operation.operation.value] = operation.type.name.value
        for link in _applied(node, "link"):
            if "/inaccessible/" in str(link.get("url", "")) and link.get("as"):
                self._inaccessible = str(link["as"])

    def _load_graphs(self, node: EnumTypeDefinitionNode) -> None:
        for value in node.values or ():
            for arguments in _applied(value, "join__graph"):
                graph_id = value.name.value
                self._graphs[graph_id] = GraphInfo(
                    graph_id, str(arguments["name"]), str(arguments.get("url") or "")
                )

    def _load_type(self, node: Any) -> None:  # noqa: ANN401 - any type definition node
        kinds: dict[type, str] = {
            ObjectTypeDefinitionNode: model.OBJECT,
            InterfaceTypeDefinitionNode: model.INTERFACE,
            UnionTypeDefinitionNode: model.UNION,
            EnumTypeDefinitionNode: model.ENUM,
            ScalarTypeDefinitionNode: model.SCALAR,
            InputObjectTypeDefinitionNode: model.INPUT,
        }
        kind = kinds.get(type(node))
        if kind is None:
            raise SupergraphError(f"unexpected definition {node.kind} in a supergraph")
        info = TypeInfo(node.name.value, kind)
        self._types[info.name] = info
        info.inaccessible = bool(_applied(node, self._inaccessible))
        info.access = _access(node)
        self._load_type_joins(info, node)
        if kind in (model.OBJECT, model.INTERFACE):
            info.interfaces = [i.name.value for i in node.interfaces or ()]
            for field_node in node.fields or ():
                field = self._load_field(info, field_node)
                info.fields[field.name] = field
        elif kind == model.UNION:
            info.members = [t.name.value for t in node.types or ()]
        elif kind == model.ENUM:
            info.enum_values = {
                v.name.value: not _applied(v, self._inaccessible) for v in node.values or ()
            }
        elif kind == model.INPUT:
            for field_node in node.fields or ():
                info.fields[field_node.name.value] = FieldInfo(
                    field_node.name.value, to_ref(field_node.type), {}, {}
                )

    def _load_type_joins(self, info: TypeInfo, node: Any) -> None:  # noqa: ANN401
        for arguments in _applied(node, "join__type"):
            join = info.joins.setdefault(self._graph(arguments["graph"]), TypeJoin())
            join.extension |= bool(arguments.get("extension"))
            join.interface_object |= bool(arguments.get("isInterfaceObject"))
            if arguments.get("key"):
                text = str(arguments["key"])
                resolvable = arguments.get("resolvable") is not False
                join.keys.append(KeyJoin(_field_set(text), text, resolvable))
        for arguments in _applied(node, "join__implements"):
            join = info.joins.setdefault(self._graph(arguments["graph"]), TypeJoin())
            join.implements.add(str(arguments["interface"]))
        members = _applied(node, "join__unionMember")
        for arguments in members:
            join = info.joins.setdefault(self._graph(arguments["graph"]), TypeJoin())
            join.members.add(str(arguments["member"]))
        if not members and info.kind == model.UNION:
            for join in info.joins.values():
                join.members.update(t.name.value for t in node.types or ())
        if not info.joins and info.kind != model.SCALAR:
            for graph in self._graphs:
                info.joins[graph] = TypeJoin()
        if info.kind in (model.OBJECT, model.INTERFACE) and not _applied(node, "join__implements"):
            # join v0.1 and v0.2 say nothing of who implements what.
            for join in info.joins.values():
                join.implements.update(i.name.value for i in node.interfaces or ())

    def _load_field(self, info: TypeInfo, node: FieldDefinitionNode) -> FieldInfo:
        args = {
            a.name.value: ArgumentInfo(
                a.name.value,
                to_ref(a.type),
                print_ast(a.default_value) if a.default_value is not None else None,
            )
            for a in node.arguments or ()
        }
        joins: dict[str, FieldJoin] = {}
        applied = _applied(node, "join__field")
        for arguments in applied:
            if arguments.get("graph") is None:
                continue
            graph = self._graph(arguments["graph"])
            joins[graph] = FieldJoin(
                graph=graph,
                type=to_ref(parse_type(arguments["type"], no_location=True))
                if arguments.get("type")
                else None,
                external=bool(arguments.get("external")),
                requires=_field_set(arguments["requires"]) if arguments.get("requires") else None,
                provides=_field_set(arguments["provides"]) if arguments.get("provides") else None,
                override=arguments.get("override"),
                override_label=arguments.get("overrideLabel"),
                used_overridden=bool(arguments.get("usedOverridden")),
            )
        if not applied:
            joins = {graph: FieldJoin(graph) for graph in info.joins}
        return FieldInfo(
            node.name.value,
            to_ref(node.type),
            args,
            joins,
            inaccessible=bool(_applied(node, self._inaccessible)),
            access=_access(node),
        )

    def _graph(self, value: object) -> str:
        graph = str(value)
        if graph not in self._graphs:
            raise SupergraphError(f"join__Graph has no value {graph}")
        return graph
