"""Whether a subgraph's document is valid GraphQL, federation directives included."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, Final

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    ListTypeNode,
    ListValueNode,
    NonNullTypeNode,
    NullValueNode,
    ObjectValueNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    TypeNode,
    ValueNode,
    parse,
    print_ast,
)

from twinmesh_federation.composition.federation_spec import (
    FIELD_SET_DIRECTIVES,
    SHAREABLE_REPEATS_SINCE,
    V1_DIRECTIVES,
    definitions,
)
from twinmesh_federation.composition.model import SubgraphSchema, TypeDef
from twinmesh_federation.composition.read import federation_names, spec_scalars
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.model import TypeRef

_BUILT_IN: Final = frozenset(("Int", "Float", "String", "Boolean", "ID"))
_LOCATION: Final = {
    "object_type": "OBJECT",
    "interface_type": "INTERFACE",
    "union_type": "UNION",
    "enum_type": "ENUM",
    "scalar_type": "SCALAR",
    "input_object_type": "INPUT_OBJECT",
}
_SPECIFIED: Final = """
directive @deprecated(reason: String = "No longer supported")
  on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @specifiedBy(url: String!) on SCALAR
directive @oneOf on INPUT_OBJECT
directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @skip(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @core(feature: String, as: String, for: link__Purpose) repeatable on SCHEMA
"""


@lru_cache(maxsize=1)
def _specified() -> dict[str, DirectiveDefinitionNode]:
    document = parse(_SPECIFIED, no_location=True)
    return {d.name.value: d for d in document.definitions if isinstance(d, DirectiveDefinitionNode)}


class GraphQLRules:
    """Checks one document; `problems` are (coordinate, message), all with code INVALID_GRAPHQL."""

    def __init__(self, document: DocumentNode, schema: SubgraphSchema) -> None:
        self._document = document
        self._schema = schema
        self._scalars = spec_scalars(schema.links) | _BUILT_IN
        self._directives = self._known_directives()
        self.problems: list[tuple[str, str]] = []
        self._where = ""

    def _known_directives(self) -> dict[str, DirectiveDefinitionNode]:
        known = dict(_specified())
        if self._schema.links.link_name != "link":
            known[self._schema.links.link_name] = known["link"]
        known.update(self._schema.directive_definitions)
        table = definitions()
        for local, name in federation_names(self._schema.links).items():
            if name in V1_DIRECTIVES and self._schema.is_v1:
                known.setdefault(local, table[name])
            else:
                known[local] = table[name]
        return known

    def _say(self, message: str) -> None:
        self.problems.append((self._where, message))

    def check(self) -> list[tuple[str, str]]:
        """Return what is wrong."""
        self._check_unique()
        for kind, name in {"query": "Query", **self._schema.roots}.items():
            root = self._schema.types.get(name)
            self._where = name
            if root is not None and root.kind != kinds.OBJECT:
                self._say(f"The {kind} root type {name} must be an object type.")
        self._check_directive_definitions()
        # With the query types that held the federation's own fields only, which are gone by now.
        declared = {
            d.name.value for d in self._document.definitions if isinstance(d, TypeDefinitionNode)
        }
        for definition in self._document.definitions:
            if isinstance(definition, (SchemaDefinitionNode, SchemaExtensionNode)):
                self._where = ""
                self._check_directives(definition, "SCHEMA")
                for operation in definition.operation_types or ():
                    self._check_reference(operation.type, "the schema", known=declared)
            elif (
                isinstance(definition, (TypeDefinitionNode, TypeExtensionNode))
                and definition.name.value not in self._scalars
            ):
                self._check_type(definition)
            elif isinstance(definition, (TypeDefinitionNode, TypeExtensionNode)):
                self._where = definition.name.value
                self._check_directives(definition, _LOCATION[definition.kind.rsplit("_", 1)[0]])
                for value in getattr(definition, "values", None) or ():
                    self._check_directives(value, "ENUM_VALUE")
        for info in self._schema.types.values():
            self._where = info.name
            self._check_implementations(info)
        return self.problems

    def _check_directive_definitions(self) -> None:
        defined = {
            d.name.value for d in self._document.definitions if isinstance(d, TypeDefinitionNode)
        }
        for directive in self._schema.directive_definitions.values():
            self._where = f"@{directive.name.value}"
            for argument in directive.arguments or ():
                if _named(argument.type) not in defined | _BUILT_IN:
                    self._say(f"Unknown type {_named(argument.type)!r} at {self._where}.")

    # ------------------------------------------------------------------ shapes

    def _check_unique(self) -> None:
        seen: set[str] = set()
        for definition in self._document.definitions:
            if isinstance(definition, TypeDefinitionNode):
                name = self._where = definition.name.value
                if name in seen:
                    self._say(f"There can be only one type named {name!r}.")
                seen.add(name)
        members: set[tuple[str, str]] = set()
        for definition in self._document.definitions:
            if not isinstance(definition, (TypeDefinitionNode, TypeExtensionNode)):
                continue
            kind = _LOCATION[definition.kind.rsplit("_", 1)[0]]
            self._where = definition.name.value
            known = self._schema.types.get(definition.name.value)
            if known is not None and _kind_location(known.kind) != kind:
                self._say(f"Cannot extend {definition.name.value} as another kind.")
            parts = getattr(definition, "fields", None) or getattr(definition, "values", None)
            for part in parts or ():
                at = (definition.name.value, part.name.value)
                if at in members:
                    self._say(f"{at[0]}.{at[1]} can only be defined once.")
                members.add(at)

    def _check_type(self, node: Any) -> None:  # noqa: ANN401 - any type node
        name = self._where = node.name.value
        if name.startswith("__"):
            self._say(f"Name {name!r} is reserved.")
        location = _LOCATION[node.kind.rsplit("_", 1)[0]]
        self._check_directives(node, location)
        for interface in getattr(node, "interfaces", None) or ():
            self._check_reference(interface, name)
        if location == "UNION":
            for member in node.types or ():
                self._check_member(member, name)
        elif location == "ENUM":
            for value in node.values or ():
                self._where = f"{name}.{value.name.value}"
                self._check_directives(value, "ENUM_VALUE")
        elif location == "INPUT_OBJECT":
            for item in node.fields or ():
                self._check_input(item, "INPUT_FIELD_DEFINITION", f"{name}.{item.name.value}")
        else:
            for item in getattr(node, "fields", None) or ():
                self._check_field(item, name)

    def _check_member(self, node: Any, name: str) -> None:  # noqa: ANN401
        self._check_reference(node, name)
        known = self._schema.types.get(node.name.value)
        if node.name.value in _BUILT_IN or (known is not None and known.kind != kinds.OBJECT):
            self._say(f"Union {name} can only include object types.")

    def _check_field(self, node: Any, owner: str) -> None:  # noqa: ANN401
        where = self._where = f"{owner}.{node.name.value}"
        self._check_directives(node, "FIELD_DEFINITION")
        self._check_reference(node.type, where)
        known = self._schema.types.get(_named(node.type))
        if known is not None and known.kind == kinds.INPUT:
            self._say(f"The type of {where} must be an output type.")
        seen: set[str] = set()
        for argument in node.arguments or ():
            if argument.name.value in seen:
                self._say(f"Argument {where}({argument.name.value}:) defined twice.")
            seen.add(argument.name.value)
            self._check_input(argument, "ARGUMENT_DEFINITION", f"{where}({argument.name.value}:)")

    def _check_input(self, node: Any, location: str, where: str) -> None:  # noqa: ANN401
        self._where = where
        self._check_directives(node, location)
        self._check_reference(node.type, where)
        known = self._schema.types.get(_named(node.type))
        if known is not None and known.kind in (kinds.OBJECT, kinds.INTERFACE, kinds.UNION):
            self._say(f"The type of {where} must be an input type.")
        required = isinstance(node.type, NonNullTypeNode) and node.default_value is None
        if required and any(d.name.value == "deprecated" for d in node.directives or ()):
            self._say(f"Required {where} cannot be deprecated.")
        if node.default_value is not None and not self._fits(node.default_value, node.type):
            self._say(f"Invalid default value {print_ast(node.default_value)} for {where}.")

    def _check_reference(
        self,
        node: Any,  # noqa: ANN401 - a type node
        where: str,
        *,
        known: Collection[str] = (),
    ) -> None:
        name = _named(node)
        if name not in self._schema.types and name not in self._scalars and name not in known:
            self._say(f"Unknown type {name!r} at {where}.")

    # -------------------------------------------------------------- directives

    def _check_directives(self, node: Any, location: str) -> None:  # noqa: ANN401 - any AST node
        seen: set[str] = set()
        for directive in node.directives or ():
            name = directive.name.value
            definition = self._directives.get(name)
            if definition is None:
                self._say(f"Unknown directive '@{name}'.")
                continue
            if location not in {x.value for x in definition.locations}:
                self._say(f"Directive '@{name}' may not be used on {location}.")
            if name in seen and not self._is_repeatable(name, definition):
                self._say(f"Directive '@{name}' can only be used once here.")
            seen.add(name)
            self._check_arguments(directive, definition)

    def _check_arguments(self, directive: Any, definition: DirectiveDefinitionNode) -> None:  # noqa: ANN401
        name = directive.name.value
        known = {a.name.value: a for a in definition.arguments or ()}
        given = {a.name.value: a.value for a in directive.arguments or ()}
        for argument, value in given.items():
            expected = known.get(argument)
            if expected is None:
                self._say(f"Unknown argument {argument!r} on '@{name}'.")
            elif argument == "label" and name.endswith("override") and self._no_label():
                self._say(f"Unknown argument 'label' on '@{name}'.")
            elif not self._is_field_set(name, argument) and not self._fits(value, expected.type):
                self._say(f"Invalid value {print_ast(value)} for '@{name}({argument}:)'.")
        for argument, expected in known.items():
            required = isinstance(expected.type, NonNullTypeNode) and not expected.default_value
            if required and argument not in given:
                self._say(f"Directive '@{name}' needs argument {argument!r}.")

    def _is_repeatable(self, local: str, definition: DirectiveDefinitionNode) -> bool:
        name = federation_names(self._schema.links).get(local)
        early = name == "shareable" and self._schema.links.minor < SHAREABLE_REPEATS_SINCE
        return definition.repeatable and not early

    def _no_label(self) -> bool:
        return self._schema.links.minor < 7

    def _is_field_set(self, local: str, argument: str) -> bool:
        name = federation_names(self._schema.links).get(local)
        return name in FIELD_SET_DIRECTIVES and argument == "fields"

    # ------------------------------------------------------------------ values

    def _fits(self, value: ValueNode, type_node: TypeNode) -> bool:
        if isinstance(type_node, NonNullTypeNode):
            return not isinstance(value, NullValueNode) and self._fits(value, type_node.type)
        if isinstance(value, NullValueNode):
            return True
        if isinstance(type_node, ListTypeNode):
            items = value.values if isinstance(value, ListValueNode) else (value,)
            return all(self._fits(v, type_node.type) for v in items)
        return self._fits_named(value, _named(type_node))

    def _fits_named(self, value: ValueNode, name: str) -> bool:
        if isinstance(value, ListValueNode) and name in _BUILT_IN:
            return False
        accepted = {
            "Int": ("int_value",),
            "Float": ("int_value", "float_value"),
            "String": ("string_value",),
            "Boolean": ("boolean_value",),
            "ID": ("string_value", "int_value"),
        }.get(name)
        if accepted is not None:
            return value.kind in accepted
        known = self._schema.types.get(name)
        if known is None or known.kind == kinds.SCALAR:
            return True
        if known.kind == kinds.ENUM:
            return value.kind == "enum_value" and getattr(value, "value", "") in known.values
        if known.kind == kinds.INPUT:
            return self._fits_input(value, known)
        return True

    def _fits_input(self, value: ValueNode, info: TypeDef) -> bool:
        if not isinstance(value, ObjectValueNode):
            return False
        for given in value.fields:
            item = info.inputs.get(given.name.value)
            if item is None or not self._fits(given.value, _type_node(str(item.type))):
                return False
        return True

    # -------------------------------------------------------------- interfaces

    def _check_implementations(self, info: TypeDef) -> None:
        if info.kind not in (kinds.OBJECT, kinds.INTERFACE):
            return
        for name in info.interfaces:
            interface = self._schema.types.get(name)
            if interface is None:
                continue
            if interface.kind != kinds.INTERFACE:
                self._say(f"{info.name} can only implement interfaces, not {name}.")
                continue
            for problem in implementation_problems(info, interface, self._is_subtype):
                self._say(problem)
            for inherited in interface.interfaces:
                if inherited not in info.interfaces and inherited != info.name:
                    self._say(f"{info.name} must implement {inherited}, as {name} does.")

    def _is_subtype(self, name: str, of: str) -> bool:
        return (
            name == of
            or name in self._schema.possible.get(of, ())
            or (name in self._schema.types and of in self._schema.types[name].interfaces)
        )


def implementation_problems(info: Any, interface: Any, is_subtype: Any) -> Iterator[str]:  # noqa: ANN401 - any two types with fields
    """Say how a type fails to implement an interface."""
    for name, expected in interface.fields.items():
        own = info.fields.get(name)
        where = f"{interface.name}.{name}"
        if own is None:
            yield f"Interface field {where} expected but {info.name} does not provide it."
            continue
        if not covariant(own.type, expected.type, is_subtype):
            yield f"{where} expects type {expected.type} but {info.name}.{name} is {own.type}."
        for argument, wanted in expected.args.items():
            given = own.args.get(argument)
            if given is None:
                yield f"{where}({argument}:) expected but {info.name}.{name} lacks it."
            elif str(given.type) != str(wanted.type):
                yield f"{where}({argument}:) expects type {wanted.type}, not {given.type}."
        for argument, given in own.args.items():
            if argument not in expected.args and given.type.non_null and given.default is None:
                yield f"{info.name}.{name}({argument}:) is required but {where} lacks it."


def covariant(own: TypeRef, expected: TypeRef, is_subtype: Any) -> bool:  # noqa: ANN401 - a predicate
    """Tell whether `own` may stand where `expected` is promised."""
    if expected.non_null and not own.non_null:
        return False
    if (own.of is None) != (expected.of is None):
        return False
    if own.of is not None and expected.of is not None:
        return covariant(own.of, expected.of, is_subtype)
    return bool(is_subtype(own.name, expected.name))


def _named(node: Any) -> str:  # noqa: ANN401 - a type node
    while not hasattr(node, "name") or node.kind in ("list_type", "non_null_type"):
        node = node.type
    name: str = node.name.value
    return name


@lru_cache(maxsize=4096)
def _type_node(text: str) -> TypeNode:
    from graphql import parse_type  # noqa: PLC0415 - only for input objects

    return parse_type(text, no_location=True)


def _kind_location(kind: str) -> str:
    return "INPUT_OBJECT" if kind == kinds.INPUT else kind
