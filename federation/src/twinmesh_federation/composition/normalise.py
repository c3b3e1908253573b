"""Bringing subgraphs to common terms: root names, federation 1, what is external or shareable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from graphql import FieldNode, InlineFragmentNode, SelectionNode, SelectionSetNode, print_ast

from twinmesh_federation.composition.field_sets import (
    FieldSet,
    SelectedField,
    read_field_set,
    selected_fields,
)
from twinmesh_federation.composition.model import Element, SubgraphSchema, TypeDef
from twinmesh_federation.composition.read import ROOT_NAMES
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.model import TypeRef

_COMPOSITE: Final = (kinds.OBJECT, kinds.INTERFACE, kinds.UNION)


def rename_roots(schema: SubgraphSchema) -> list[tuple[str, str]]:
    """Give root types their usual names; return problems as (code, message)."""
    problems: list[tuple[str, str]] = []
    renames: dict[str, str] = {}
    for kind, usual in ROOT_NAMES.items():
        name = schema.roots.get(kind)
        if name == usual:
            continue
        if usual in schema.types and (name is not None or schema.types[usual].kind == kinds.OBJECT):
            if name is None and kind not in schema.roots and not _declares_roots(schema):
                continue
            problems.append(
                (
                    f"ROOT_{kind.upper()}_USED",
                    f"A type named {usual} that is not the {kind} root cannot be composed",
                )
            )
        elif name is not None and name in schema.types:
            renames[name] = usual
    if not problems and renames:
        _rename(schema, renames)
    return problems


def _declares_roots(schema: SubgraphSchema) -> bool:
    return bool(schema.roots)


def _rename(schema: SubgraphSchema, renames: dict[str, str]) -> None:
    def ref(old: TypeRef) -> TypeRef:
        return replace(
            old,
            name=renames.get(old.name, old.name),
            of=ref(old.of) if old.of is not None else None,
        )

    types: dict[str, TypeDef] = {}
    for name, info in schema.types.items():
        info.name = renames.get(name, name)
        info.members = [renames.get(m, m) for m in info.members]
        for item in info.fields.values():
            item.type = ref(item.type)
        types[info.name] = info
    schema.types = types
    schema.roots = {k: renames.get(v, v) for k, v in schema.roots.items()}


def note_possible(schema: SubgraphSchema) -> None:
    """Fill in which object types each abstract type can be."""
    possible: dict[str, set[str]] = {}
    for info in schema.types.values():
        if info.kind == kinds.OBJECT:
            for interface in info.interfaces:
                possible.setdefault(interface, set()).add(info.name)
        elif info.kind == kinds.UNION:
            possible.setdefault(info.name, set()).update(info.members)
    schema.possible = possible


def upgrade_v1(schema: SubgraphSchema) -> list[str]:
    """Bring a federation 1 subgraph to federation 2 terms.

    There, everything could be shared, and @external was tolerated where it says nothing.

    Returns:
        Types in use of which nothing is left.
    """
    for info in schema.types.values():
        _drop_tolerated(info, schema)
    _prune_field_sets(schema)
    used = used_fields(schema)
    gone: set[str] = set()
    for name in list(schema.types):
        info = schema.types[name]
        if info.kind == kinds.OBJECT:
            _settle_v1_fields(info, used)
            if not info.fields:
                gone.add(name)
                del schema.types[name]
                for kind in [k for k, v in schema.roots.items() if v == name]:
                    del schema.roots[kind]
    named = {item.type.name for info in schema.types.values() for item in info.fields.values()}
    named |= {member for info in schema.types.values() for member in info.members}
    return sorted(gone & named)


def _drop_tolerated(info: TypeDef, schema: SubgraphSchema) -> None:
    """Drop directives that federation 1 accepted without effect."""
    if info.kind == kinds.INTERFACE:
        info.drop("key")
        for item in info.fields.values():
            for name in ("external", "provides", "requires"):
                item.drop(name)
            item.external = False
    if info.kind != kinds.OBJECT:
        return
    if info.has("external"):
        info.drop("external")
        for item in info.fields.values():
            item.external = item.has("external")
    for item in info.fields.values():
        target = schema.types.get(item.type.name)
        if item.has("provides") and (target is None or target.kind not in _COMPOSITE):
            item.drop("provides")


def _settle_v1_fields(info: TypeDef, used: set[tuple[str, str]]) -> None:
    """Drop external fields that nothing needs; what is left could always be shared."""
    for name in list(info.fields):
        item = info.fields[name]
        if item.external and (info.name, name) not in used:
            del info.fields[name]
        elif item.external:
            item.drop("tag")
        elif info.name != "Subscription" and (
            info.has("key")
            or info.name in ROOT_NAMES.values()
            or not info.defined
            or not item.in_extension
        ):
            item.shareable = True


def _prune_field_sets(schema: SubgraphSchema) -> None:
    """Drop from requirements and provisions what the subgraph resolves anyway."""
    for info in schema.types.values():
        for item in info.fields.values():
            target = schema.types.get(item.type.name)
            for name, owner in (("requires", info), ("provides", target)):
                for applied in list(item.applied(name)):
                    if owner is None:
                        continue
                    found = read_field_set(applied, owner, schema)
                    if found.selections is None or found.problems:
                        continue
                    kept = _external_part(found.selections, owner, schema, within=False)
                    if kept:
                        applied.args["fields"] = kept
                    else:
                        item.directives.remove(applied)


def _external_part(
    selections: SelectionSetNode, owner: TypeDef, schema: SubgraphSchema, *, within: bool
) -> str:
    parts: list[str] = []
    for node in selections.selections:
        if isinstance(node, InlineFragmentNode):
            name = node.type_condition.name.value if node.type_condition else owner.name
            inner = _external_part(node.selection_set, schema.types[name], schema, within=within)
            if inner:
                parts.append(f"... on {name} {{ {inner} }}")
        elif isinstance(node, FieldNode):
            definition = owner.fields.get(node.name.value)
            external = within or definition is None or definition.external
            arguments = ", ".join(print_ast(a) for a in node.arguments or ())
            text = node.name.value + (f"({arguments})" if arguments else "")
            if node.selection_set is None:
                parts += [text] if external else []
            elif definition is not None:
                below = schema.types[definition.type.name]
                inner = _external_part(node.selection_set, below, schema, within=external)
                if inner:
                    parts.append(f"{text} {{ {inner} }}")
    return " ".join(parts)


def _selected(schema: SubgraphSchema, name: str) -> Iterator[SelectedField]:
    """Yield what all field sets of one directive select."""
    for info in schema.types.values():
        carriers: list[tuple[Element, TypeDef | None]] = [(info, info)]
        if name != "key":
            carriers = [
                (item, info if name == "requires" else schema.types.get(item.type.name))
                for item in info.fields.values()
            ]
        for element, owner in carriers:
            for applied in element.applied(name):
                if owner is None:
                    continue
                found = read_field_set(applied, owner, schema)
                if found.selections is not None:
                    valid = found.selections if not found.problems else _valid_part(found, owner)
                    yield from selected_fields(valid, owner, schema)


def _valid_part(found: FieldSet, owner: TypeDef) -> SelectionSetNode:
    """Return what comes before the first unknown field."""
    assert found.selections is not None
    kept: list[SelectionNode] = []
    for node in found.selections.selections:
        if not isinstance(node, FieldNode) or node.name.value not in owner.fields:
            break
        kept.append(node)
    return SelectionSetNode(selections=tuple(kept))


def _owners(selected: SelectedField, schema: SubgraphSchema) -> set[str]:
    """Name the type selected on, and its implementations."""
    owners = {selected.owner.name}
    if selected.owner.kind == kinds.INTERFACE:
        owners |= schema.possible.get(selected.owner.name, set())
    return owners


def used_fields(schema: SubgraphSchema) -> set[tuple[str, str]]:
    """Name the fields that keys, requirements, provisions and interfaces need."""
    used = {
        (owner, selected.definition.name)
        for name in ("key", "requires", "provides")
        for selected in _selected(schema, name)
        for owner in _owners(selected, schema)
    }
    for info in schema.types.values():
        for interface_name in info.interfaces:
            interface = schema.types.get(interface_name)
            if interface is not None:
                used.update((info.name, name) for name in interface.fields)
    return used


def settle_external(schema: SubgraphSchema) -> set[tuple[str, str]]:
    """Unmark key fields of extensions, which older schemas had to mark external.

    Returns:
        (type, field) of those unmarked.
    """
    unmarked: set[tuple[str, str]] = set()
    for info in schema.types.values():
        if not info.extension:
            continue
        for applied in info.applied("key"):
            found = read_field_set(applied, info, schema)
            if found.selections is None or found.problems:
                continue
            for selected in selected_fields(found.selections, info, schema):
                at = (selected.owner.name, selected.definition.name)
                if selected.definition.external and (
                    selected.owner is info or selected.owner.extension or schema.is_v1
                ):
                    unmarked.add(at)
    for type_name, field_name in unmarked:
        item = schema.types[type_name].fields[field_name]
        item.external = False
        if schema.is_v1:
            item.shareable = True
    return unmarked


def settle_shareable(schema: SubgraphSchema) -> set[tuple[str, str]]:
    """Mark key and provided fields shareable; return the (type, field) that are provided."""
    provided: set[tuple[str, str]] = set()
    for name in ("key", "provides"):
        for selected in _selected(schema, name):
            for owner in _owners(selected, schema):
                own = schema.types[owner].fields.get(selected.definition.name)
                if own is not None:
                    own.shareable = True
                if name == "provides":
                    provided.add((owner, selected.definition.name))
    return provided
