"""Merging the subgraphs' types into one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from twinmesh_federation.composition.merge_fields import FieldMerger, MergedField
from twinmesh_federation.composition.merge_inputs import (
    EnumUse,
    MergedArgument,
    enum_usage,
    merge_enum,
    merge_input_fields,
)
from twinmesh_federation.composition.model import Element, SubgraphSchema, TypeDef
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds


@dataclass(slots=True)
class MergedType:
    """A type of the supergraph in the making, with the subgraphs' definitions of it."""

    name: str
    kind: str
    sources: dict[str, TypeDef]
    fields: dict[str, MergedField] = field(default_factory=dict)
    inputs: dict[str, MergedArgument] = field(default_factory=dict)
    values: dict[str, dict[str, Element]] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)

    def directive_sources(self) -> Iterable[Element]:
        """Yield the elements whose directives the merged type carries."""
        return self.sources.values()


class Merger:
    """Merges normalised subgraphs; `issues` says where they contradict each other."""

    def __init__(self, schemas: list[SubgraphSchema]) -> None:
        self._schemas = {schema.graph: schema for schema in schemas}
        self.issues: list[CompositionIssue] = []
        self.types: dict[str, MergedType] = {}

    def merge(self) -> dict[str, MergedType]:
        """Merge everything."""
        names: dict[str, dict[str, TypeDef]] = {}
        for schema in self._schemas.values():
            for info in schema.types.values():
                names.setdefault(info.name, {})[schema.graph] = info
        usage = enum_usage(self._schemas.values())
        for name, sources in names.items():
            merged = self._start(name, sources)
            if merged is not None:
                self.types[name] = merged
        for merged in self.types.values():
            self._merge_type(merged, usage.get(merged.name, EnumUse()))
        self._check_interface_objects()
        if "Query" not in self.types:
            self._add(
                "NO_QUERIES", "No subgraph has a query field", self._schemas, "Query",
                "At least one subgraph needs fields on its query root.",
            )  # fmt: skip
        return self.types

    def _add(
        self, code: str, message: str, graphs: Iterable[str], coordinate: str, hint: str = ""
    ) -> None:
        names = tuple(self._schemas[g].name for g in graphs)
        self.issues.append(CompositionIssue(code, message, names, coordinate, hint))

    def _start(self, name: str, sources: dict[str, TypeDef]) -> MergedType | None:
        found: dict[str, list[str]] = {}
        for graph, info in sources.items():
            kind = kinds.INTERFACE if info.interface_object else info.kind
            found.setdefault(kind, []).append(graph)
        if len(found) > 1:
            self._add(
                "TYPE_KIND_MISMATCH",
                f"{name} is "
                + ", ".join(
                    f"{k.lower()} in {'/'.join(self._schemas[g].name for g in gs)}"
                    for k, gs in found.items()
                ),
                sources,
                name,
                "One name, one kind: rename one of them.",
            )
            return None
        kind = next(iter(found))
        if name not in ("Query", "Mutation", "Subscription") and self._lacks_definition(sources):
            self._add(
                "EXTENSION_WITH_NO_BASE",
                f"{name} is only ever extended",
                sources,
                name,
                "Define the type in one of the subgraphs.",
            )
        return MergedType(name, kind, sources)

    def _lacks_definition(self, sources: dict[str, TypeDef]) -> bool:
        """Tell whether a type is only extended; for federation 1, by someone who defines it not."""
        defining = {graph for graph, info in sources.items() if info.defined}
        return not defining or any(
            self._schemas[graph].is_v1
            and info.kind == kinds.OBJECT
            and info.extension
            and not defining - {graph}
            for graph, info in sources.items()
        )

    def _merge_type(self, merged: MergedType, use: EnumUse) -> None:
        for info in merged.sources.values():
            for interface in info.interfaces:
                if interface not in merged.interfaces:
                    merged.interfaces.append(interface)
            for member in info.members:
                if member not in merged.members:
                    merged.members.append(member)
        if merged.kind in (kinds.OBJECT, kinds.INTERFACE):
            merger = FieldMerger(self._schemas, self.types, merged.name, merged.kind)
            merged.fields = merger.merge(merged.sources)
            self.issues.extend(merger.issues)
        elif merged.kind == kinds.INPUT:
            merged.inputs = merge_input_fields(
                merged.name, merged.sources, self._schemas, self.issues
            )
        elif merged.kind == kinds.ENUM:
            merged.values = merge_enum(merged.name, merged.sources, use, self._schemas, self.issues)

    # -------------------------------------------------------- interface objects

    def _check_interface_objects(self) -> None:
        for merged in list(self.types.values()):
            if merged.kind != kinds.INTERFACE:
                continue
            objects = [g for g, info in merged.sources.items() if info.interface_object]
            keyed = [
                g for g, info in merged.sources.items() if g not in objects and info.has("key")
            ]
            if objects:
                self._check_interface_object(merged, objects, keyed)
            self._check_keyed_interface(merged, keyed)
            self._spread_fields(merged, objects)

    def _check_interface_object(
        self, merged: MergedType, objects: list[str], keyed: list[str]
    ) -> None:
        if not any(not merged.sources[g].interface_object for g in merged.sources):
            self._add(
                "INTERFACE_OBJECT_USAGE_ERROR",
                f"{merged.name} is @interfaceObject everywhere, an interface nowhere",
                objects,
                merged.name,
                "Define it as an interface with a @key in another subgraph.",
            )
            return
        del keyed
        for graph in objects:
            schema = self._schemas[graph]
            implementations = {
                t.name
                for g, s in self._schemas.items()
                if g != graph
                for t in s.types.values()
                if t.kind == kinds.OBJECT and merged.name in t.interfaces
            }
            clash = sorted(implementations & schema.types.keys())
            if clash:
                self._add(
                    "INTERFACE_OBJECT_USAGE_ERROR",
                    f"{schema.name} has {merged.name} as @interfaceObject and defines its "
                    f"implementation {clash[0]}",
                    (graph,),
                    merged.name,
                    "Such a subgraph must not know the implementations.",
                )

    def _check_keyed_interface(self, merged: MergedType, keyed: list[str]) -> None:
        every = {
            t.name
            for s in self._schemas.values()
            for t in s.types.values()
            if t.kind == kinds.OBJECT and merged.name in t.interfaces
        }
        for graph in keyed:
            schema = self._schemas[graph]
            resolvable = [
                k for k in merged.sources[graph].applied("key")
                if k.args.get("resolvable") is not False
            ]  # fmt: skip
            missing = sorted(every - schema.possible.get(merged.name, set()))
            if missing and resolvable:
                self._add(
                    "INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE",
                    f"{schema.name} has a @key on interface {merged.name} but lacks its "
                    f"implementation {', '.join(missing)}",
                    (graph,),
                    merged.name,
                    "A subgraph with a key on an interface must define all implementations.",
                )

    def _spread_fields(self, merged: MergedType, objects: list[str]) -> None:
        """Give implementations the fields that interface objects add."""
        for name, item in merged.fields.items():
            if not any(g in objects for g in item.sources):
                continue
            for other in self.types.values():
                if (
                    other.kind == kinds.OBJECT
                    and merged.name in other.interfaces
                    and name not in other.fields
                ):
                    other.fields[name] = item.from_interface_object()
