"""Merging what clients send: arguments, input fields, enums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twinmesh_federation.composition.model import Argument, Element, SubgraphSchema, TypeDef
from twinmesh_federation.issues import CompositionIssue
from twinmesh_federation.supergraph import model as kinds
from twinmesh_federation.supergraph.model import TypeRef


@dataclass(slots=True)
class MergedArgument:
    """An argument or input field of the supergraph, with its definitions by subgraph."""

    name: str
    type: TypeRef
    default: str | None
    sources: dict[str, Argument]

    def types_differ(self) -> bool:
        """Tell whether subgraphs write its type in several ways."""
        return any(str(s.type) != str(self.type) for s in self.sources.values())


@dataclass(slots=True)
class EnumUse:
    """Whether an enum is sent by clients, returned to them, or both."""

    as_input: bool = False
    as_output: bool = False


def enum_usage(schemas: Iterable[SubgraphSchema]) -> dict[str, EnumUse]:
    """Find how each enum is used, over all subgraphs."""
    usage: dict[str, EnumUse] = {}
    for schema in schemas:
        for info in schema.types.values():
            for item in info.fields.values():
                usage.setdefault(item.type.name, EnumUse()).as_output = True
                for argument in item.args.values():
                    usage.setdefault(argument.type.name, EnumUse()).as_input = True
            for given in info.inputs.values():
                usage.setdefault(given.type.name, EnumUse()).as_input = True
    return usage


def narrowest(refs: Iterable[TypeRef]) -> TypeRef | None:
    """Merge input types: the one that takes least; None if none takes no more than each other."""
    merged: TypeRef | None = None
    for ref in refs:
        if merged is None or takes_no_more(ref, merged):
            merged = ref
        elif not takes_no_more(merged, ref):
            return None
    return merged


def takes_no_more(narrow: TypeRef, wide: TypeRef) -> bool:
    """Tell whether all that fits one input type fits another."""
    if wide.non_null and not narrow.non_null:
        return False
    if narrow.of is not None and wide.of is not None:
        return takes_no_more(narrow.of, wide.of)
    return narrow.of is None and wide.of is None and narrow.name == wide.name


def default_of(sources: Iterable[Argument]) -> tuple[str | None, bool]:
    """Return the common default, and whether no two definitions contradict each other.

    There is none where some definitions have none.
    """
    defaults = {s.default for s in sources}
    given = defaults - {None}
    return (next(iter(given)) if len(defaults) == len(given) == 1 else None), len(given) < 2


def merge_input_fields(
    owner: str,
    sources: Mapping[str, TypeDef],
    schemas: Mapping[str, SubgraphSchema],
    issues: list[CompositionIssue],
) -> dict[str, MergedArgument]:
    """Merge an input type: the fields that every subgraph with the type has."""
    names: dict[str, dict[str, Argument]] = {}
    for graph, info in sources.items():
        for item in info.inputs.values():
            names.setdefault(item.name, {})[graph] = item
    merged: dict[str, MergedArgument] = {}
    for name, found in names.items():
        where = f"{owner}.{name}"
        subgraphs = tuple(schemas[g].name for g in found)
        if len(found) < len(sources):
            if any(i.type.non_null and i.default is None for i in found.values()):
                issues.append(
                    CompositionIssue(
                        "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH",
                        f"Input field {where} is required in {', '.join(subgraphs)} only",
                        subgraphs,
                        where,
                        "Add it everywhere, or make it optional.",
                    )
                )
            continue
        ref = narrowest(i.type for i in found.values())
        if ref is None:
            issues.append(
                CompositionIssue(
                    "FIELD_TYPE_MISMATCH",
                    f"Input field {where} has different types: "
                    + ", ".join(sorted({str(i.type) for i in found.values()})),
                    subgraphs,
                    where,
                    "Use one type.",
                )
            )
            ref = next(iter(found.values())).type
        default, agreed = default_of(found.values())
        if not agreed:
            issues.append(
                CompositionIssue(
                    "INPUT_FIELD_DEFAULT_MISMATCH",
                    f"Input field {where} has different defaults",
                    subgraphs,
                    where,
                    "Use one default.",
                )
            )
        merged[name] = MergedArgument(name, ref, default, found)
    if not merged:
        issues.append(
            CompositionIssue(
                "EMPTY_MERGED_INPUT_TYPE",
                f"No field of input {owner} is known to all its subgraphs",
                tuple(schemas[g].name for g in sources),
                owner,
                "Give them a common field.",
            )
        )
    return merged


def merge_enum(
    owner: str,
    sources: Mapping[str, TypeDef],
    use: EnumUse,
    schemas: Mapping[str, SubgraphSchema],
    issues: list[CompositionIssue],
) -> dict[str, dict[str, Element]]:
    """Merge an enum: common values if clients send it, all if they only receive it."""
    values: dict[str, dict[str, Element]] = {}
    for graph, info in sources.items():
        for value in info.values.values():
            values.setdefault(value.name, {})[graph] = value
    if not use.as_input:
        return values
    merged: dict[str, dict[str, Element]] = {}
    for name, found in values.items():
        if len(found) == len(sources) or any(e.has("inaccessible") for e in found.values()):
            merged[name] = found
        elif use.as_output:
            issues.append(
                CompositionIssue(
                    "ENUM_VALUE_MISMATCH",
                    f"Enum {owner} is sent and returned, but {name} is not known to all",
                    tuple(schemas[g].name for g in sources),
                    f"{owner}.{name}",
                    "Define the same values everywhere.",
                )
            )
            merged[name] = found
    if not merged:
        issues.append(
            CompositionIssue(
                "EMPTY_MERGED_ENUM_TYPE",
                f"No value of enum {owner} is known to all its subgraphs",
                tuple(schemas[g].name for g in sources),
                owner,
                "Give them a common value.",
            )
        )
    return merged


__all__ = [
    "EnumUse",
    "MergedArgument",
    "default_of",
    "enum_usage",
    "kinds",
    "merge_enum",
    "merge_input_fields",
    "narrowest",
    "takes_no_more",
]
