"""The directives of the federation specification, by the version that brought them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from graphql import DirectiveDefinitionNode, parse

LATEST_MINOR: Final = 12

MINOR_OF: Final = {
    "key": 0, "requires": 0, "provides": 0, "external": 0, "extends": 0, "shareable": 0,
    "override": 0, "tag": 0, "inaccessible": 0, "composeDirective": 1, "interfaceObject": 3,
    "authenticated": 5, "requiresScopes": 5, "policy": 6, "context": 8, "fromContext": 8,
    "cost": 9, "listSize": 9, "cacheTag": 12,
}  # fmt: skip

SHAREABLE_REPEATS_SINCE: Final = 2
"""The minor version from which @shareable may stand twice at one place."""

V1_DIRECTIVES: Final = ("key", "requires", "provides", "external", "extends", "tag", "inaccessible")
FIELD_SET_DIRECTIVES: Final = ("key", "requires", "provides")
SPEC_TYPES: Final = frozenset(
    ("_Any", "_Entity", "_Service", "_FieldSet", "FieldSet", "federation__FieldSet",
     "link__Import", "link__Purpose", "federation__Scope", "federation__Policy",
     "federation__ContextFieldValue", "core__Purpose", "federation__CacheTagFormat")
)  # fmt: skip
_TYPES: Final = {"FieldSet": 0, "Scope": 5, "Policy": 6, "ContextFieldValue": 8}

_DEFINITIONS: Final = """
directive @key(fields: FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
directive @requires(fields: FieldSet!) on FIELD_DEFINITION
directive @provides(fields: FieldSet!) on FIELD_DEFINITION
directive @external(reason: String) on OBJECT | FIELD_DEFINITION
directive @extends on OBJECT | INTERFACE
directive @shareable repeatable on OBJECT | FIELD_DEFINITION
directive @override(from: String!, label: String) on FIELD_DEFINITION
directive @tag(name: String!) repeatable on FIELD_DEFINITION | OBJECT | INTERFACE | UNION
  | ARGUMENT_DEFINITION | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
  | SCHEMA
directive @inaccessible on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | ARGUMENT_DEFINITION
  | SCALAR | ENUM | ENUM_VALUE | INPUT_OBJECT | INPUT_FIELD_DEFINITION
directive @composeDirective(name: String) repeatable on SCHEMA
directive @interfaceObject on OBJECT
directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
directive @requiresScopes(scopes: [[federation__Scope!]!]!)
  on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
directive @policy(policies: [[federation__Policy!]!]!)
  on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
directive @context(name: String!) repeatable on OBJECT | INTERFACE | UNION
directive @fromContext(field: federation__ContextFieldValue) on ARGUMENT_DEFINITION
directive @cost(weight: Int!)
  on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!],
  requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
directive @cacheTag(format: String!) repeatable on OBJECT | FIELD_DEFINITION
"""


@lru_cache(maxsize=1)
def definitions() -> dict[str, DirectiveDefinitionNode]:
    """Return the definition of each federation directive."""
    document = parse(_DEFINITIONS, no_location=True)
    return {d.name.value: d for d in document.definitions if isinstance(d, DirectiveDefinitionNode)}


@lru_cache(maxsize=32)
def importable(minor: int) -> frozenset[str]:
    """Return what may be imported from federation v2.`minor`."""
    directives = {f"@{name}" for name, since in MINOR_OF.items() if since <= minor}
    return frozenset(directives | {name for name, since in _TYPES.items() if since <= minor})
