"""What an operation may ask for at most, checked before it is planned."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one document; each names its unit.

    Attributes:
        query_chars: Length of the document.
        tokens: Lexical tokens in the document.
        depth: Nested fields, fragments looked through.
        aliases: Aliased fields, each use of a fragment counted.
        root_fields: Fields at the top of the operation.
        fields: All fields, each use of a fragment counted.
        field_cost: Estimated weight of the fields to resolve, see `execution.cost`; 0 for no limit.
        type_cost: Estimated weight of the values to return; 0 for no limit.
        list_size: Entries assumed of a list that says nothing of its size by @listSize.
    """

    query_chars: int = 1_000_000
    tokens: int = 15_000
    depth: int = 32
    aliases: int = 500
    root_fields: int = 100
    fields: int = 20_000
    field_cost: float = 0
    type_cost: float = 0
    list_size: int = 10


@dataclass(frozen=True, slots=True)
class ExceededLimit:
    """What an operation has too much of.

    Attributes:
        limit: Which limit, in the words of `Limits`.
    """

    limit: str
    found: float
    allowed: float

    def __str__(self) -> str:
        what = self.limit.replace("_", " ")
        return f"Operation exceeds a limit: {what} {self.found:g}, at most {self.allowed:g}."

    def as_extensions(self) -> dict[str, object]:
        """Return the figures for an error's `extensions`."""
        return {"limit": self.limit, "found": self.found, "allowed": self.allowed}


@dataclass(slots=True)
class _Size:
    depth: int = 0
    aliases: int = 0
    fields: int = 0
    roots: int = 0


def broken_limit(
    document: DocumentNode, operation: OperationDefinitionNode, limits: Limits
) -> ExceededLimit | None:
    """Return what the operation has too much of, or None."""
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }
    known: dict[str, _Size] = {}

    def measure(selection_set: SelectionSetNode, within: tuple[str, ...]) -> _Size:
        size = _Size()
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                below = measure(node.selection_set, within) if node.selection_set else _Size()
                size.depth = max(size.depth, 1 + below.depth)
                size.aliases += below.aliases + (node.alias is not None)
                size.fields += below.fields + 1
                size.roots += 1
                continue
            if isinstance(node, InlineFragmentNode):
                inner = measure(node.selection_set, within)
            else:
                assert isinstance(node, FragmentSpreadNode)
                inner = spread(node.name.value, within)
            size.depth = max(size.depth, inner.depth)
            size.aliases += inner.aliases
            size.fields += inner.fields
            size.roots += inner.roots
        return size

    def spread(name: str, within: tuple[str, ...]) -> _Size:
        if name not in fragments or name in within:
            return _Size()
        if name not in known:
            known[name] = measure(fragments[name].selection_set, (*within, name))
        return known[name]

    size = measure(operation.selection_set, ())
    for what, found, allowed in (
        ("depth", size.depth, limits.depth),
        ("aliases", size.aliases, limits.aliases),
        ("root_fields", size.roots, limits.root_fields),
        ("fields", size.fields, limits.fields),
    ):
        if found > allowed:
            return ExceededLimit(what, found, allowed)
    return None


def nests_deeper(value: object, depth: int) -> bool:
    """Tell whether JSON nests deeper than `depth` objects and lists."""
    waiting: list[tuple[object, int]] = [(value, depth)]
    while waiting:
        part, left = waiting.pop()
        if not isinstance(part, (dict, list)):
            continue
        if left == 0:
            return True
        below = part.values() if isinstance(part, dict) else part
        waiting += [(inner, left - 1) for inner in below if isinstance(inner, (dict, list))]
    return False
