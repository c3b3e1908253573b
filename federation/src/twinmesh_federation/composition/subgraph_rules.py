"""What must hold within one subgraph."""

from __future__ import annotations

import re
from typing import Final

from twinmesh_federation.composition.field_sets import read_field_set, selected_fields
from twinmesh_federation.composition.model import Applied, FieldDef, SubgraphSchema, TypeDef
from twinmesh_federation.composition.normalise import used_fields
from twinmesh_federation.composition.placement_rules import PlacementRules
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds

_COMPOSITE: Final = (kinds.OBJECT, kinds.INTERFACE, kinds.UNION)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_HINTS: Final = {
    "INVALID_FIELDS": "Select existing fields, with subselections where their type has fields.",
    "INVALID_FIELDS_TYPE": "Give the fields as one string.",
    "FIELDS_HAS_ARGS": "Select a field without arguments.",
    "DIRECTIVE_IN_FIELDS_ARG": "Remove the directive from the field set.",
    "FIELDS_MISSING_EXTERNAL": "Mark the field @external here, or leave it out.",
}


def name_issue(name: str) -> str | None:
    """Say what is wrong with a subgraph's name."""
    if name == "_" or not name or name.startswith("__"):
        return f"Invalid name {name!r} for a subgraph"
    return None


class SubgraphRules:
    """Checks one normalised subgraph."""

    def __init__(self, schema: SubgraphSchema, unmarked: set[tuple[str, str]]) -> None:
        self._schema = schema
        self._unmarked = unmarked
        self.issues: list[CompositionIssue] = []

    def check(self) -> list[CompositionIssue]:
        """Return what is wrong."""
        for info in self._schema.types.values():
            self._check_type(info)
        if not self._schema.is_v1:
            self._check_external_used()
        self.issues.extend(PlacementRules(self._schema).check())
        return self.issues

    def _add(self, code: str, message: str, coordinate: str, hint: str = "") -> None:
        self.issues.append(
            CompositionIssue(
                code, f"[{self._schema.name}] {message}", (self._schema.name,), coordinate, hint
            )
        )

    def _check_type(self, info: TypeDef) -> None:
        keys = list(info.applied("key"))
        if info.kind == kinds.INTERFACE:
            self._check_interface(info, keys)
        if info.interface_object and not any(True for _ in keys):
            self._add(
                "INTERFACE_OBJECT_USAGE_ERROR",
                f"@interfaceObject type {info.name} needs a @key",
                info.name,
                "Give it the interface's key.",
            )
        for applied in keys:
            self._check_set(applied, "KEY", info, info.name)
        if info.kind not in (kinds.OBJECT, kinds.INTERFACE):
            return
        if sum(1 for _ in info.applied("shareable")) > 1 and not info.defined:
            self._add("INVALID_SHAREABLE_USAGE", "@shareable stands twice", info.name)
        for item in info.fields.values():
            self._check_field(info, item)

    def _check_interface(self, info: TypeDef, keys: list[Applied]) -> None:
        if keys and self._schema.links.minor < 3 and not self._schema.is_v1:
            self._add(
                "KEY_UNSUPPORTED_ON_INTERFACE",
                f"@key on interface {info.name} needs federation 2.3",
                info.name,
                "Link federation v2.3 or later.",
            )
            return
        for applied in keys:
            text = " ".join(str(applied.args.get("fields", "")).split())
            for name in sorted(self._schema.possible.get(info.name, ())):
                own = self._schema.types[name]
                if not any(
                    _tokens(text) == _tokens(str(k.args.get("fields", "")))
                    for k in own.applied("key")
                ):
                    self._add(
                        "INTERFACE_KEY_NOT_ON_IMPLEMENTATION",
                        f'Key "{text}" of interface {info.name} is missing on {name}',
                        name,
                        "Each implementation needs the interface's keys.",
                    )

    def _check_field(self, info: TypeDef, item: FieldDef) -> None:
        where = f"{info.name}.{item.name}"
        on_interface = info.kind == kinds.INTERFACE
        if on_interface and item.has("shareable"):
            self._add(
                "INVALID_SHAREABLE_USAGE", f"@shareable on interface field {where}", where,
                "Put it on the fields of the implementations.",
            )  # fmt: skip
        if sum(1 for _ in item.applied("shareable")) > 1:
            self._add("INVALID_SHAREABLE_USAGE", f"@shareable stands twice on {where}", where)
        if on_interface and item.external and item.has("external"):
            self._add(
                "EXTERNAL_ON_INTERFACE", f"@external on interface field {where}", where,
                "Put it on the fields of the implementations.",
            )  # fmt: skip
        for name in ("requires", "provides"):
            for applied in item.applied(name):
                target = self._schema.types.get(item.type.name)
                composite = target is not None and target.kind in _COMPOSITE
                if on_interface and (name == "requires" or composite):
                    self._add(
                        f"{name.upper()}_UNSUPPORTED_ON_INTERFACE",
                        f"@{name} on interface field {where}", where,
                        "Put it on the fields of the implementations.",
                    )  # fmt: skip
                elif name == "requires":
                    self._check_set(applied, "REQUIRES", info, where)
                else:
                    self._check_provides(applied, item, where)

    def _check_provides(self, applied: Applied, item: FieldDef, where: str) -> None:
        target = self._schema.types.get(item.type.name)
        if target is None or target.kind not in _COMPOSITE:
            if not isinstance(applied.args.get("fields"), str):
                self._add("PROVIDES_INVALID_FIELDS_TYPE", f"{where}: fields is no string", where)
                return
            self._add(
                "PROVIDES_ON_NON_OBJECT_FIELD", f"@provides on {where}, which has no subfields",
                where, "Remove it.",
            )  # fmt: skip
            return
        self._check_set(applied, "PROVIDES", target, where)

    def _check_set(self, applied: Applied, prefix: str, owner: TypeDef, where: str) -> None:
        found = read_field_set(applied, owner, self._schema)
        for suffix, message in found.problems:
            self._add(
                f"{prefix}_{suffix}", f"{where} @{prefix.lower()}: {message}", where,
                _HINTS.get(suffix, ""),
            )  # fmt: skip
        invalid = any(suffix == "INVALID_FIELDS" for suffix, _ in found.problems)
        if found.selections is None or (invalid and prefix == "KEY"):
            return
        for selected in selected_fields(found.selections, owner, self._schema):
            at = f"{selected.owner.name}.{selected.definition.name}"
            target = self._schema.types.get(selected.definition.type.name)
            if prefix != "REQUIRES" and selected.definition.args:
                self._add(
                    f"{prefix}_FIELDS_HAS_ARGS", f"{where}: {at} takes arguments", where,
                    _HINTS["FIELDS_HAS_ARGS"],
                )  # fmt: skip
            if prefix == "KEY":
                if target is not None and target.kind in (kinds.INTERFACE, kinds.UNION):
                    self._add(
                        "KEY_FIELDS_SELECT_INVALID_TYPE",
                        f"{where}: {at} is of {target.kind.lower()} type {target.name}",
                        where,
                        "A key selects fields of object types.",
                    )
                continue
            must = selected.node.selection_set is None and not selected.within_external
            if must and not self._is_external(selected.owner, selected.definition):
                self._add(
                    f"{prefix}_FIELDS_MISSING_EXTERNAL", f"{where}: {at} is not external", where,
                    _HINTS["FIELDS_MISSING_EXTERNAL"],
                )  # fmt: skip

    def _is_external(self, owner: TypeDef, item: FieldDef) -> bool:
        if item.external:
            return True
        if owner.kind != kinds.INTERFACE:
            return False
        return any(
            (own := self._schema.types[name].fields.get(item.name)) is not None and own.external
            for name in self._schema.possible.get(owner.name, ())
        )

    def _check_external_used(self) -> None:
        used: set[tuple[str, str]] | None = None
        for info in self._schema.types.values():
            if info.kind != kinds.OBJECT:
                continue
            for item in info.fields.values():
                if not item.external:
                    continue
                used = used_fields(self._schema) if used is None else used
                if (info.name, item.name) not in used:
                    where = f"{info.name}.{item.name}"
                    self._add(
                        "EXTERNAL_UNUSED",
                        f"{where} is @external but no key, requirement, provision or interface "
                        "needs it",
                        where,
                        "Remove the field, or use it.",
                    )


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"\w+|[{}]", text)))
