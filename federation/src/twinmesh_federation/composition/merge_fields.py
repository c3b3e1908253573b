"""Merging the fields of object and interface types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from twinmesh_federation.composition.merge_inputs import (
    MergedArgument,
    default_of,
    narrowest,
    takes_no_more,
)
from twinmesh_federation.composition.model import Argument, FieldDef, SubgraphSchema, TypeDef
from twinmesh_federation.composition.placement_rules import merged_on_external
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.model import TypeRef

if TYPE_CHECKING:
    from twinmesh_federation.composition.merge import MergedType

_LABEL = re.compile(r"[a-zA-Z][a-zA-Z0-9_\-:./]*")
_PERCENT = re.compile(r"percent\((\d{1,2}(\.\d{1,8})?|100)\)")


@dataclass(slots=True)
class MergedField:
    """A field of the supergraph.

    Attributes:
        sources: Definitions by subgraph.
        overridden: Subgraphs that another one took the field from for good.
        overrides: For an overriding subgraph: (name of the other, label).
        spread: It stands on an implementation only because an interface object has it.
    """

    name: str
    type: TypeRef
    args: dict[str, MergedArgument]
    sources: dict[str, FieldDef]
    overridden: set[str] = field(default_factory=set)
    overrides: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    spread: bool = False

    def from_interface_object(self) -> MergedField:
        """Copy it for an implementation of the interface."""
        return replace(self, overridden=set(), overrides={}, spread=True)


class FieldMerger:
    """Merges the fields of one type."""

    def __init__(
        self,
        schemas: Mapping[str, SubgraphSchema],
        types: Mapping[str, MergedType],
        owner: str,
        kind: str,
    ) -> None:
        self._schemas = schemas
        self._types = types
        self._owner = owner
        self._kind = kind
        self.issues: list[CompositionIssue] = []
        self._handed_over: set[tuple[str, str]] = set()
        """(field, subgraph) of progressive overrides: one of the two resolves it at a time."""

    def merge(self, sources: Mapping[str, TypeDef]) -> dict[str, MergedField]:
        """Merge all fields."""
        names: dict[str, dict[str, FieldDef]] = {}
        for graph, info in sources.items():
            for item in info.fields.values():
                names.setdefault(item.name, {})[graph] = item
        merged: dict[str, MergedField] = {}
        for name, found in names.items():
            result = self._merge(name, found, sources)
            if result is not None:
                merged[name] = result
        return merged

    def _add(self, code: str, message: str, graphs: Iterable[str], name: str, hint: str) -> None:
        self.issues.append(
            CompositionIssue(
                code,
                message,
                tuple(self._schemas[g].name for g in graphs),
                f"{self._owner}.{name}",
                hint,
            )
        )

    def _merge(
        self, name: str, found: dict[str, FieldDef], sources: Mapping[str, TypeDef]
    ) -> MergedField | None:
        where = f"{self._owner}.{name}"
        if all(item.external for item in found.values()) and not self._by_interface_object(
            name, sources
        ):
            self._add(
                "EXTERNAL_MISSING_ON_BASE",
                f"{where} is external in every subgraph that has it",
                found,
                name,
                "Define it without @external in the subgraph that owns it.",
            )
            return None
        overridden, overrides = self._overrides(name, found, sources)
        if self._kind == kinds.OBJECT:
            self._check_sharing(
                name, found, overridden, list(self._interface_objects(name, sources))
            )
        elif any(sources[g].interface_object for g in found):
            self._check_sharing(
                name, {g: i for g, i in found.items() if sources[g].interface_object}, overridden
            )
        owning = {g: i for g, i in found.items() if not i.external} or found
        ref = self._merge_type(name, owning)
        args = self._merge_args(name, owning)
        self._check_external(name, found, ref, args)
        return MergedField(name, ref, args, found, overridden, overrides)

    def _by_interface_object(self, name: str, sources: Mapping[str, TypeDef]) -> bool:
        """Tell whether an interface object resolves the field for its implementations."""
        interfaces = {i for info in sources.values() for i in info.interfaces}
        return any(
            (own := schema.types.get(interface)) is not None
            and own.interface_object
            and name in own.fields
            for interface in interfaces
            for schema in self._schemas.values()
        )

    # ----------------------------------------------------------------- sharing

    def _interface_objects(
        self, name: str, sources: Mapping[str, TypeDef]
    ) -> Iterator[tuple[str, FieldDef]]:
        """Yield the subgraphs that resolve the field for all types of an interface."""
        for interface in dict.fromkeys(i for info in sources.values() for i in info.interfaces):
            for graph, schema in self._schemas.items():
                own = schema.types.get(interface)
                if own is not None and own.interface_object:
                    item = own.fields.get(name)
                    if item is not None and not item.external:
                        yield graph, item

    def _check_sharing(
        self,
        name: str,
        found: dict[str, FieldDef],
        overridden: set[str],
        also: Sequence[tuple[str, FieldDef]] = (),
    ) -> None:
        resolving = {
            g: item
            for g, item in found.items()
            if g not in overridden
            and (name, g) not in self._handed_over
            and (not item.external or (self._owner, name) in self._schemas[g].provided)
        }
        if resolving:
            resolving |= dict(also)
        if len(resolving) < 2:
            return
        alone = [g for g, item in resolving.items() if not self._is_shareable(item)]
        if alone:
            self._add(
                "INVALID_FIELD_SHARING",
                f"Non-shareable field {self._owner}.{name} is resolved from multiple subgraphs",
                resolving,
                name,
                "Mark it @shareable in each, or leave it to one.",
            )

    def _is_shareable(self, item: FieldDef) -> bool:
        return item.shareable and self._owner != "Subscription"

    # --------------------------------------------------------------- overriding

    def _overrides(
        self, name: str, found: dict[str, FieldDef], sources: Mapping[str, TypeDef]
    ) -> tuple[set[str], dict[str, tuple[str, str | None]]]:
        overridden: set[str] = set()
        overrides: dict[str, tuple[str, str | None]] = {}
        by_name = {self._schemas[g].name: g for g in self._schemas}
        for graph, item in found.items():
            applied = next(item.applied("override"), None)
            if applied is None:
                continue
            source = str(applied.args.get("from"))
            label = applied.args.get("label")
            self._check_override(name, graph, source, label, found, sources)
            origin = by_name.get(source)
            overrides[graph] = (source, label)
            if origin not in found or origin == graph or found[origin].external:
                continue
            if label is None:
                overridden.add(origin)
            else:
                self._handed_over.add((name, origin))
        return overridden, overrides

    def _check_override(  # noqa: PLR0917 - internal, called in one place
        self,
        name: str,
        graph: str,
        source: str,
        label: object,
        found: dict[str, FieldDef],
        sources: Mapping[str, TypeDef],
    ) -> None:
        where = f"{self._owner}.{name}"
        own = self._schemas[graph].name
        if sources[graph].kind == kinds.INTERFACE:
            self._add(
                "OVERRIDE_ON_INTERFACE", f"@override on interface field {where}", (graph,), name,
                "Put it on the fields of the implementations.",
            )  # fmt: skip
        elif source == own:
            self._add(
                "OVERRIDE_FROM_SELF_ERROR", f"{own} overrides {where} from itself", (graph,), name,
                "Name the subgraph that has the field now.",
            )  # fmt: skip
        if label is not None and not (
            isinstance(label, str)
            and (
                _PERCENT.fullmatch(label)
                if label.startswith("percent(")
                else _LABEL.fullmatch(label)
            )
        ):
            self._add(
                "OVERRIDE_LABEL_INVALID", f"Invalid @override label {label!r} on {where}",
                (graph,), name,
                'Use letters, digits and _-:./ after a letter, or "percent(0-100)".',
            )  # fmt: skip
        origin = next((g for g in found if self._schemas[g].name == source), None)
        if origin is not None and origin != graph:
            if found[origin].has("override"):
                self._add(
                    "OVERRIDE_SOURCE_HAS_OVERRIDE", f"{where} is overridden in {own} and {source}",
                    (graph, origin), name, "Let one subgraph override.",
                )  # fmt: skip
            self._check_collision(name, graph, origin, found)

    def _check_collision(
        self, name: str, graph: str, origin: str, found: dict[str, FieldDef]
    ) -> None:
        colliding = [d for d in ("requires", "provides") if found[origin].has(d)]
        if found[graph].external:
            colliding.append("external")
        if colliding:
            self._add(
                "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE",
                f"@override of {self._owner}.{name} collides with @{colliding[0]}",
                (graph, origin),
                name,
                "Remove one of the two.",
            )

    # ------------------------------------------------------------------- types

    def _merge_type(self, name: str, found: dict[str, FieldDef]) -> TypeRef:
        merged: TypeRef | None = None
        for item in found.values():
            merged = item.type if merged is None else self._wider(merged, item.type)
            if merged is None:
                self._add(
                    "FIELD_TYPE_MISMATCH",
                    f"{self._owner}.{name} has different types: "
                    + ", ".join(sorted({str(i.type) for i in found.values()})),
                    found,
                    name,
                    "Use one type, or types of which one includes the others.",
                )
                return next(iter(found.values())).type
        assert merged is not None
        return merged

    def _wider(self, first: TypeRef, second: TypeRef) -> TypeRef | None:
        """Return the one of two types that admits all that the other does."""
        if self._admits(first, second):
            return first
        return second if self._admits(second, first) else None

    def _admits(self, wide: TypeRef, narrow: TypeRef) -> bool:
        if wide.non_null and not narrow.non_null:
            return False
        if wide.of is not None and narrow.of is not None:
            return self._admits(wide.of, narrow.of)
        if wide.of is not None or narrow.of is not None:
            return False
        return wide.name == narrow.name or self._includes(wide.name, narrow.name)

    def _includes(self, wide: str, narrow: str) -> bool:
        merged = self._types.get(wide)
        other = self._types.get(narrow)
        if merged is None or other is None:
            return False
        if merged.kind == kinds.UNION:
            return any(narrow in info.members for info in merged.sources.values())
        if merged.kind == kinds.INTERFACE:
            return any(wide in info.interfaces for info in other.sources.values())
        return False

    # --------------------------------------------------------------- arguments

    def _merge_args(self, name: str, found: dict[str, FieldDef]) -> dict[str, MergedArgument]:
        names: dict[str, dict[str, Argument]] = {}
        for graph, item in found.items():
            for argument in item.args.values():
                names.setdefault(argument.name, {})[graph] = argument
        merged: dict[str, MergedArgument] = {}
        for argument_name, sources in names.items():
            where = f"{self._owner}.{name}({argument_name}:)"
            if len(sources) < len(found):
                if any(a.type.non_null and a.default is None for a in sources.values()):
                    self._add(
                        "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
                        f"Argument {where} is required in some subgraphs and missing in others",
                        found,
                        name,
                        "Add it everywhere, or make it optional.",
                    )
                continue
            ref = narrowest(a.type for a in sources.values())
            if ref is None:
                self._add(
                    "FIELD_ARGUMENT_TYPE_MISMATCH", f"Argument {where} has different types",
                    found, name, "Use one type.",
                )  # fmt: skip
                continue
            default, agreed = default_of(sources.values())
            if not agreed:
                self._add(
                    "FIELD_ARGUMENT_DEFAULT_MISMATCH", f"Argument {where} has different defaults",
                    found, name, "Use one default.",
                )  # fmt: skip
                continue
            merged[argument_name] = MergedArgument(argument_name, ref, default, sources)
        return merged

    # ---------------------------------------------------------------- external

    def _check_external(
        self,
        name: str,
        found: dict[str, FieldDef],
        ref: TypeRef,
        args: dict[str, MergedArgument],
    ) -> None:
        where = f"{self._owner}.{name}"
        for graph, item in found.items():
            if not item.external:
                continue
            carried = merged_on_external(item)
            if carried is not None:
                self._add(
                    "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL",
                    f"@{carried} stands on external field {where}",
                    (graph,),
                    name,
                    "Put it where the field is defined.",
                )
            if str(item.type) != str(ref):
                self._add(
                    "EXTERNAL_TYPE_MISMATCH",
                    f"External {where} is {item.type}, elsewhere {ref}",
                    (graph,),
                    name,
                    "Copy the owner's definition.",
                )
            for argument in args.values():
                own = item.args.get(argument.name)
                if own is None:
                    self._add(
                        "EXTERNAL_ARGUMENT_MISSING",
                        f"External {where} lacks argument {argument.name}",
                        (graph,),
                        name,
                        "Copy the owner's definition.",
                    )
                elif not takes_no_more(argument.type, own.type):
                    self._add(
                        "EXTERNAL_ARGUMENT_TYPE_MISMATCH",
                        f"External {where}({argument.name}:) is {own.type}, elsewhere "
                        f"{argument.type}",
                        (graph,),
                        name,
                        "Copy the owner's definition.",
                    )
                elif own.default != argument.default:
                    self._add(
                        "EXTERNAL_ARGUMENT_DEFAULT_MISMATCH",
                        f"External {where}({argument.name}:) has another default than elsewhere",
                        (graph,),
                        name,
                        "Copy the owner's definition.",
                    )
