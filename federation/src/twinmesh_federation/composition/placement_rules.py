"""Where access and cost directives may stand within one subgraph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twinmesh_federation.composition.model import Element, FieldDef, SubgraphSchema, TypeDef
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds

ACCESS: Final = ("authenticated", "requiresScopes", "policy")
_CARRIED: Final = ("tag", "inaccessible", *ACCESS, "cost", "listSize")


class PlacementRules:
    """Checks one normalised subgraph."""

    def __init__(self, schema: SubgraphSchema) -> None:
        self._schema = schema

    def check(self) -> Iterator[CompositionIssue]:
        """Yield what is wrong."""
        for info in self._schema.types.values():
            if info.kind == kinds.INTERFACE or info.interface_object:
                yield from self._on_interface(info)
            for item in info.fields.values():
                yield from self._list_size(info, item)

    def _issue(self, code: str, message: str, where: str, hint: str) -> CompositionIssue:
        name = self._schema.name
        return CompositionIssue(code, f"[{name}] {message}", (name,), where, hint)

    def _on_interface(self, info: TypeDef) -> Iterator[CompositionIssue]:
        carriers: list[tuple[str, Element]] = [(info.name, info)]
        carriers += [(f"{info.name}.{item.name}", item) for item in info.fields.values()]
        for where, element in carriers:
            if any(element.has(name) for name in ACCESS):
                yield self._issue(
                    "AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE",
                    f"Access to interface {where} cannot be restricted", where,
                    "Restrict the implementations.",
                )  # fmt: skip
            if info.kind == kinds.INTERFACE and element is not info and element.has("cost"):
                yield self._issue(
                    "COST_APPLIED_TO_INTERFACE_FIELD", f"@cost on interface field {where}", where,
                    "Put it on the fields of the implementations.",
                )  # fmt: skip

    # --------------------------------------------------------------- list sizes

    def _list_size(self, info: TypeDef, item: FieldDef) -> Iterator[CompositionIssue]:
        where = f"{info.name}.{item.name}"
        for applied in item.applied("listSize"):
            assumed = applied.args.get("assumedSize")
            if isinstance(assumed, str) and assumed.lstrip("-").isdigit():
                assumed = int(assumed)
            if isinstance(assumed, int) and assumed < 0:
                yield self._issue(
                    "LIST_SIZE_INVALID_ASSUMED_SIZE", f"{where}: assumedSize is negative", where,
                    "Use 0 or more.",
                )  # fmt: skip
            sized = applied.args.get("sizedFields")
            if sized:
                yield from self._sized_fields(item, sized, where)
            elif item.type.of is None:
                yield self._issue(
                    "LIST_SIZE_APPLIED_TO_NON_LIST", f"{where} is not a list", where,
                    "Remove @listSize, or name sizedFields.",
                )  # fmt: skip
            yield from self._slicing_arguments(item, applied.args, where)

    def _sized_fields(
        self,
        item: FieldDef,
        sized: Any,  # noqa: ANN401 - from SDL
        where: str,
    ) -> Iterator[CompositionIssue]:
        target = self._schema.types.get(item.type.name)
        for name in sized if isinstance(sized, list) else [sized]:
            field = target.fields.get(str(name)) if target is not None else None
            if field is None:
                yield self._issue(
                    "LIST_SIZE_INVALID_SIZED_FIELD", f"{where}: no sized field {name}", where,
                    "Name a list field of the returned type.",
                )  # fmt: skip
            elif field.type.of is None:
                yield self._issue(
                    "LIST_SIZE_APPLIED_TO_NON_LIST", f"{where}: {name} is not a list", where,
                    "Name a list field of the returned type.",
                )  # fmt: skip

    def _slicing_arguments(
        self, item: FieldDef, args: dict[str, Any], where: str
    ) -> Iterator[CompositionIssue]:
        for name in args.get("slicingArguments") or ():
            argument = item.args.get(str(name))
            if argument is None or argument.type.name != "Int" or argument.type.of is not None:
                yield self._issue(
                    "LIST_SIZE_INVALID_SLICING_ARGUMENT",
                    f"{where}: slicing argument {name} is no Int argument", where,
                    "Name an argument of type Int.",
                )  # fmt: skip


def merged_on_external(item: FieldDef) -> str | None:
    """Name a directive that the supergraph would carry, on a field that is another's to mark."""
    if not item.external:
        return None
    return next((name for name in _CARRIED if item.has(name)), None)
