"""A subgraph client that executes subgraphs in this process, by graphql-core."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InputObjectTypeExtensionNode,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
    build_ast_schema,
    execute,
    parse,
    validate,
)

from twinmesh_federation.composition import read_subgraph
from twinmesh_federation.execution.client import (
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)
from twinmesh_federation.issues import Subgraph

FieldResolver = Callable[..., Any]
EntityResolver = Callable[[dict[str, Any]], Any]

_DEFINITION_OF: Final[dict[type, type]] = {
    ObjectTypeExtensionNode: ObjectTypeDefinitionNode,
    InterfaceTypeExtensionNode: InterfaceTypeDefinitionNode,
    UnionTypeExtensionNode: UnionTypeDefinitionNode,
    EnumTypeExtensionNode: EnumTypeDefinitionNode,
    InputObjectTypeExtensionNode: InputObjectTypeDefinitionNode,
}


def executable_schema(sdl: str) -> GraphQLSchema:
    """Build what a subgraph library would: the SDL with `_entities` and `_service`."""
    schema = read_subgraph(Subgraph("local", "", sdl))
    entities = sorted(
        info.name for info in schema.types.values() if info.kind == "OBJECT" and info.has("key")
    )
    interfaces = sorted(
        info.name for info in schema.types.values() if info.kind == "INTERFACE" and info.has("key")
    )
    del interfaces
    definitions: dict[str, Any] = {}
    others: list[Any] = []
    query = schema.roots.get("query", "Query")
    for node in parse(sdl, no_location=True).definitions:
        if isinstance(node, (SchemaDefinitionNode, SchemaExtensionNode, DirectiveDefinitionNode)):
            continue
        name = node.name.value  # type: ignore[attr-defined]
        kind = _DEFINITION_OF.get(type(node))
        if kind is not None:
            node = _as_definition(node, kind)  # noqa: PLW2901 - the same, as a definition
        if name in definitions:
            definitions[name] = _joined(definitions[name], node)
        elif isinstance(node, ScalarTypeDefinitionNode) and name.startswith(("_", "federation__")):
            continue
        else:
            definitions[name] = node
    extra = "type Query { _service: _Service! }\nscalar _Any\ntype _Service { sdl: String! }\n"
    if entities:
        extra += "union _Entity = " + " | ".join(entities) + "\n"
        extra = extra.replace(
            "{ _service", "{ _entities(representations: [_Any!]!): [_Entity]! _service"
        )
    for node in parse(extra, no_location=True).definitions:
        name = node.name.value  # type: ignore[attr-defined]
        if name == "Query" and query in definitions:
            definitions[query] = _joined(definitions[query], node)
        else:
            definitions[name] = node
    roots = " ".join(f"{k}: {v}" for k, v in {**schema.roots, "query": query}.items())
    others += parse("schema { " + roots + " }", no_location=True).definitions
    document = DocumentNode(definitions=(*definitions.values(), *others))
    return build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)


def _as_definition(node: Any, kind: type) -> Any:  # noqa: ANN401 - any type extension
    values = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
    return kind(**values)


def _joined(first: Any, second: Any) -> Any:  # noqa: ANN401 - any two definitions of one type
    values = {key: getattr(first, key, None) for key in first.keys if key != "loc"}
    for key in ("fields", "values", "types", "interfaces", "directives"):
        if key in values:
            values[key] = (*(values[key] or ()), *(getattr(second, key, None) or ()))
    return type(first)(**values)


@dataclass
class LocalSubgraph:
    """One subgraph.

    Attributes:
        resolve: Resolves any field: (source, info, **args).
        resolve_entity: From a representation to a source.
        resolve_type: Names a source's run-time type.
        delay: Awaited before each answer, e.g. to be slow or to hang.
        requests: Bodies received, in order.
    """

    sdl: str
    resolve: FieldResolver
    resolve_entity: EntityResolver
    resolve_type: Callable[[Any, GraphQLResolveInfo[Any]], str]
    delay: Callable[[], Any] | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schema = executable_schema(self.sdl)
        for info in self.schema.type_map.values():
            if getattr(info, "types", None) is not None or hasattr(info, "resolve_type"):
                info.resolve_type = self._type_of  # type: ignore[attr-defined]

    def _type_of(self, value: Any, info: GraphQLResolveInfo[Any], _abstract: Any) -> str:  # noqa: ANN401
        return self.resolve_type(value, info)

    async def answer(self, body: dict[str, Any]) -> SubgraphResponse:
        """Execute one request."""
        self.requests.append(body)
        if self.delay is not None:
            await self.delay()
        document = parse(body["query"])
        errors: list[GraphQLError] = validate(self.schema, document)
        if errors:
            return SubgraphResponse(None, [e.formatted for e in errors])  # type: ignore[misc]
        result = execute(
            self.schema,
            document,
            root_value={},
            variable_values=body.get("variables") or {},
            field_resolver=self._resolve,
            type_resolver=lambda value, info, _: self.resolve_type(value, info),
        )
        if inspect.isawaitable(result):
            result = await result
        return SubgraphResponse(
            result.data,
            [e.formatted for e in result.errors or ()],  # type: ignore[misc]
            dict(self.extensions),
        )

    def _resolve(self, source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:  # noqa: ANN401
        if info.field_name == "_entities" and info.path.prev is None:
            return [self.resolve_entity(r) for r in args["representations"]]
        if info.field_name == "_service" and info.path.prev is None:
            return {"sdl": self.sdl}
        return self.resolve(source, info, **args)


class LocalSubgraphs:
    """A `SubgraphClient` over subgraphs in this process."""

    def __init__(self, subgraphs: Mapping[str, LocalSubgraph]) -> None:
        self.subgraphs = dict(subgraphs)
        self.sent: list[str] = []

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        subgraph = self.subgraphs.get(request.service)
        if subgraph is None:
            raise SubgraphFailure("UNAVAILABLE", f"no {request.service}", retryable=True)
        self.sent.append(request.service)
        response = await subgraph.answer(orjson.loads(request.body))
        # A network would copy; the engine may keep and change what it gets.
        response.data = orjson.loads(orjson.dumps(response.data))
        return response

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
