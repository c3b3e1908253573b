"""Printing the supergraph in the join specification."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from twinmesh_federation.composition.carried import Carrier
from twinmesh_federation.composition.merge import MergedType
from twinmesh_federation.composition.merge_fields import MergedField
from twinmesh_federation.composition.merge_inputs import MergedArgument
from twinmesh_federation.composition.model import Element, FieldDef, SubgraphSchema
from twinmesh_federation.composition.normalise import used_fields
from twinmesh_federation.supergraph import model as kinds

_HEAD: Final = """\
directive @join__enumValue(graph: join__Graph!) repeatable on ENUM_VALUE

directive @join__field(graph: join__Graph, requires: join__FieldSet, provides: join__FieldSet, \
type: String, external: Boolean, override: String, usedOverridden: Boolean{label}) repeatable on \
FIELD_DEFINITION | INPUT_FIELD_DEFINITION

directive @join__graph(name: String!, url: String!) on ENUM_VALUE

directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT | \
INTERFACE

directive @join__type(graph: join__Graph!, key: join__FieldSet, extension: Boolean! = false, \
resolvable: Boolean! = true, isInterfaceObject: Boolean! = false) repeatable on OBJECT | \
INTERFACE | UNION | ENUM | INPUT_OBJECT | SCALAR

directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION

directive @link(url: String, as: String, for: link__Purpose, import: [link__Import]) repeatable \
on SCHEMA"""
_TAIL: Final = """\
scalar join__FieldSet

scalar link__Import

enum link__Purpose {
  SECURITY
  EXECUTION
}"""
_KEYWORD: Final = {
    kinds.OBJECT: "type",
    kinds.INTERFACE: "interface",
    kinds.UNION: "union",
    kinds.ENUM: "enum",
    kinds.SCALAR: "scalar",
    kinds.INPUT: "input",
}


class Emitter:
    """Prints merged types as a supergraph."""

    def __init__(
        self,
        schemas: list[SubgraphSchema],
        types: dict[str, MergedType],
        carrier: Carrier,
        executable: list[str],
    ) -> None:
        self._schemas = {s.graph: s for s in schemas}
        self._types = types
        self._carrier = carrier
        self._executable = executable
        self._used: dict[str, set[tuple[str, str]]] = {}
        self._labels = False
        self.essence = ""
        """What `text` printed, without the definitions that are the same in all supergraphs."""

    def text(self) -> str:
        """Print everything."""
        bodies = [self._type(merged) for merged in self._types.values()]
        roots = [
            f"  {kind}: {name}"
            for kind, name in (
                ("query", "Query"), ("mutation", "Mutation"), ("subscription", "Subscription"),
            )
            if name in self._types
        ]  # fmt: skip
        links = [
            '@link(url: "https://specs.apollo.dev/link/v1.0")',
            f'@link(url: "https://specs.apollo.dev/join/{"v0.4" if self._labels else "v0.3"}", '
            "for: EXECUTION)",
            *self._carrier.links(),
        ]
        schema = "schema\n" + "".join(f"  {link}\n" for link in links)
        head = _HEAD.replace("{label}", ", overrideLabel: String" if self._labels else "")
        graphs = "\n".join(
            f"  {s.graph} @join__graph(name: {_quoted(s.name)}, url: {_quoted(s.url)})"
            for s in self._schemas.values()
        )
        first = schema + "{\n" + "\n".join(roots) + "\n}"
        directives = [*self._carrier.definitions(), *self._executable]
        enum = "enum join__Graph {\n" + graphs + "\n}"
        self.essence = "\n\n".join([first, *directives, enum, *bodies])
        return "\n\n".join([first, head, *directives, enum, _TAIL, *bodies]) + "\n"

    def _type(self, merged: MergedType) -> str:
        joins = []
        for graph, info in merged.sources.items():
            extra = ", extension: true" if info.extension and merged.name not in _ROOTS else ""
            flag = ", isInterfaceObject: true" if info.interface_object else ""
            keys = list(info.applied("key"))
            if not keys:
                joins.append(f"@join__type(graph: {graph}{extra}{flag})")
            for key in keys:
                off = ", resolvable: false" if key.args.get("resolvable") is False else ""
                fields = _quoted(str(key.args["fields"]))
                joins.append(f"@join__type(graph: {graph}, key: {fields}{extra}{off}{flag})")
        for graph, info in merged.sources.items():
            joins += [
                f"@join__implements(graph: {graph}, interface: {_quoted(i)})"
                for i in info.interfaces
                if i in self._types
            ]
            joins += [
                f"@join__unionMember(graph: {graph}, member: {_quoted(m)})"
                for m in dict.fromkeys(info.members)
            ]
        carried = self._carrier.text(merged.directive_sources())
        implements = " implements " + " & ".join(merged.interfaces) if merged.interfaces else ""
        head = (
            _description(merged.sources.values(), "")
            + f"{_KEYWORD[merged.kind]} {merged.name}{implements}"
            + "".join(f"\n  {j}" for j in joins)
            + carried
        )
        return head + self._body(merged)

    def _body(self, merged: MergedType) -> str:
        if merged.kind == kinds.UNION:
            return "\n = " + " | ".join(merged.members)
        if merged.kind == kinds.ENUM:
            lines = [
                _description(found.values(), "  ")
                + f"  {name}"
                + "".join(f" @join__enumValue(graph: {g})" for g in found)
                + self._carrier.text(found.values())
                for name, found in merged.values.items()
            ]
        elif merged.kind == kinds.INPUT:
            lines = [self._input(i, merged) for i in merged.inputs.values()]
        elif merged.kind == kinds.SCALAR:
            return ""
        else:
            lines = [self._field(i, merged) for i in merged.fields.values()]
        return "\n{\n" + "\n".join(lines) + "\n}"

    def _input(self, item: MergedArgument, merged: MergedType) -> str:
        joins = ""
        if item.types_differ():
            joins = "".join(
                f" @join__field(graph: {g}, type: {_quoted(str(s.type))})"
                for g, s in item.sources.items()
            )
        del merged
        return (
            _description(item.sources.values(), "  ")
            + f"  {item.name}: {item.type}"
            + _default(item)
            + joins
            + self._carrier.text(item.sources.values())
        )

    def _field(self, item: MergedField, merged: MergedType) -> str:
        args = ""
        if item.args:
            args = "(" + ", ".join(
                f"{a.name}: {a.type}{_default(a)}{self._carrier.text(a.sources.values())}"
                for a in item.args.values()
            ) + ")"  # fmt: skip
        joins = " @join__field" if item.spread else self._joins(item, merged)
        return (
            _description(item.sources.values(), "  ")
            + f"  {item.name}{args}: {item.type}{joins}"
            + self._carrier.text(item.sources.values())
        )

    def _joins(self, item: MergedField, merged: MergedType) -> str:
        joins: list[str] = []
        plain = True
        for graph, source in item.sources.items():
            parts = [f"graph: {graph}"]
            if graph in item.overridden:
                plain = False
                if not self._is_used(graph, merged.name, item.name):
                    continue
                parts.append("usedOverridden: true")
            parts += self._join_parts(graph, source, item)
            joins.append(f"@join__field({', '.join(parts)})")
            plain = plain and len(parts) == 1
        if plain and set(item.sources) == set(merged.sources):
            return ""
        return "".join(f" {j}" for j in joins)

    def _join_parts(self, graph: str, source: FieldDef, item: MergedField) -> list[str]:
        parts: list[str] = []
        for name in ("requires", "provides"):
            applied = next(source.applied(name), None)
            if applied is not None:
                parts.append(f"{name}: {_quoted(str(applied.args['fields']))}")
        if str(source.type) != str(item.type):
            parts.append(f"type: {_quoted(str(source.type))}")
        if source.external:
            parts.append("external: true")
        if graph in item.overrides:
            origin, label = item.overrides[graph]
            parts.append(f"override: {_quoted(origin)}")
            if label is not None:
                self._labels = True
                parts.append(f"overrideLabel: {_quoted(label)}")
        return parts

    def _is_used(self, graph: str, type_name: str, field_name: str) -> bool:
        used = self._used.get(graph)
        if used is None:
            used = self._used[graph] = used_fields(self._schemas[graph])
        return (type_name, field_name) in used


_ROOTS: Final = ("Query", "Mutation", "Subscription")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _default(item: MergedArgument) -> str:
    return "" if item.default is None else f" = {item.default}"


def _description(elements: Iterable[Any], indent: str) -> str:
    found = next((e.description for e in elements if e.description), None)
    if not found:
        return ""
    return f"{indent}{_quoted(found)}\n"


__all__ = ["Element", "Emitter"]
