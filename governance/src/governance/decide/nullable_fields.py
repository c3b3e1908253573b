"""Rule: what a domain adds to a shared entity is nullable, or one hung domain voids the asset."""

from collections.abc import Iterable
from typing import Final

from graphql import InterfaceTypeDefinitionNode, InterfaceTypeExtensionNode, NonNullTypeNode

from governance.decide.sdl import directive_names, key_fields, object_types
from governance.model.contracts import Bundle
from governance.model.findings import Finding

SHARED_ENTITY: Final = "Asset"
_NOT_ITS_OWN: Final = {"external", "shareable"}


def check_nullable_fields(bundle: Bundle, others: Iterable[Bundle]) -> list[Finding]:
    """Return a finding per non-null field that a domain adds to an entity of a foundation.

    Key fields, `@external` and `@shareable` ones are not the domain's own, so they are left out.
    """
    if bundle.kind != "domain" or not bundle.sdl:
        return []
    shared = {SHARED_ENTITY} | {
        definition.name.value
        for other in others
        if other.kind == "foundation" and other.sdl
        for definition in object_types(other.sdl)
        if "key" in directive_names(definition.directives)
    }
    findings = []
    for definition in object_types(bundle.sdl):
        name = definition.name.value
        if name not in shared or isinstance(
            definition, InterfaceTypeDefinitionNode | InterfaceTypeExtensionNode
        ):
            continue
        keys = key_fields(definition.directives)
        for field in definition.fields or ():
            exempt = field.name.value in keys or _NOT_ITS_OWN & directive_names(field.directives)
            if isinstance(field.type, NonNullTypeNode) and not exempt:
                findings.append(
                    Finding(
                        code="NON_NULL_DOMAIN_FIELD",
                        subject=f"{name}.{field.name.value}",
                        message=(
                            f"{bundle.service} adds {name}.{field.name.value} as non-null: when it "
                            f"does not answer, the whole {name} becomes null"
                        ),
                        hint="make the field nullable",
                        service=bundle.service,
                    )
                )
    return findings
