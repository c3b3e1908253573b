"""The selection of one fetch while it grows, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from twinmesh_federation.selection import Conditions
from twinmesh_federation.supergraph.model import TypeRef

REPRESENTATIONS: Final = "representations"


@dataclass(slots=True)
class FieldNode:
    """A field in a fetch. `alias` is set where its key would conflict within the subgraph."""

    key: str
    name: str
    args: str
    variables: tuple[str, ...]
    conditions: Conditions
    ref: TypeRef
    below: Tree | None = None
    alias: str | None = None


@dataclass(slots=True)
class Tree:
    """A selection set: fields by key, fragments by type."""

    fields: dict[tuple[str, Conditions], FieldNode] = field(default_factory=dict)
    fragments: dict[tuple[str, Conditions], Tree] = field(default_factory=dict)
    typename: bool = False

    def add(  # noqa: PLR0917 - internal, called in one place
        self,
        key: str,
        name: str,
        args: str,
        variables: tuple[str, ...],
        conditions: Conditions,
        ref: TypeRef,
        *,
        composite: bool,
    ) -> FieldNode:
        """Return the field's node, new or known."""
        if name == "__typename" and key == name and not conditions:
            self.typename = True
        at = (key, conditions)
        node = self.fields.get(at)
        if node is None:
            node = FieldNode(key, name, args, variables, conditions, ref)
            self.fields[at] = node
        if composite and node.below is None:
            node.below = Tree()
        return node

    def under(self, type_name: str, conditions: Conditions) -> Tree:
        """Return the selections under a type condition, new or known."""
        at = (type_name, conditions)
        found = self.fragments.get(at)
        if found is None:
            found = self.fragments[at] = Tree()
        return found

    def variables(self, into: dict[str, None]) -> None:
        """Collect the variables used, directives included."""
        for node in self.fields.values():
            into.update(dict.fromkeys(node.variables))
            into.update((name, None) for name, _ in node.conditions)
            if node.below is not None:
                node.below.variables(into)
        for (_, conditions), below in self.fragments.items():
            into.update((name, None) for name, _ in conditions)
            below.variables(into)

    def top_keys(self) -> tuple[str, ...]:
        """Return the response keys at this level, type conditions looked through."""
        found: dict[str, None] = {
            node.key: None for node in self.fields.values() if node.name != "__typename"
        }
        for below in self.fragments.values():
            found.update(dict.fromkeys(below.top_keys()))
        return tuple(found)

    def text(self) -> str:
        """Print the selection set, braces included."""
        parts: list[str] = []
        self._print(parts)
        return "{" + " ".join(parts) + "}"

    def _print(self, parts: list[str]) -> None:
        if self.typename:
            parts.append("__typename")
        for node in self.fields.values():
            if node.name == "__typename" and node.key == "__typename" and not node.conditions:
                continue
            key = node.alias or node.key
            head = node.name if key == node.name else f"{key}: {node.name}"
            text = head + node.args
            opening, directives, closing = _directives(node.conditions)
            below = node.below.text() if node.below is not None else ""
            parts.append(opening + text + directives + below + closing)
        for (type_name, conditions), tree in self.fragments.items():
            opening, directives, closing = _directives(conditions)
            parts.append(f"{opening}... on {type_name}{directives}{tree.text()}{closing}")
        if not parts:
            parts.append("__typename")


def _directives(conditions: Conditions) -> tuple[str, str, str]:
    """Print conditions; a directive may stand only once, so further ones wrap in fragments."""
    own: dict[bool, str] = {}
    outer: list[str] = []
    for name, wanted in conditions:
        text = f" @{'include' if wanted else 'skip'}(if: ${name})"
        if wanted in own:
            outer.append(text)
        else:
            own[wanted] = text
    opening = "".join(f"...{text}" + "{" for text in outer)
    return opening, "".join(own.values()), "}" * len(outer)


Rename = tuple[tuple[str, ...], str, str]
"""Keys down to an object in the answer, the alias sent, the key meant."""


def alias_conflicts(tree: Tree) -> list[Rename]:
    """Give an alias to fields whose key has another shape in a sibling fragment.

    Clients may select `id` on two members of a union whose subgraph types differ (`ID` and
    `ID!`); the supergraph merged the types, the subgraph would refuse the operation.
    """
    renames: list[Rename] = []
    _alias_level([tree], (), renames, [0])
    return renames


def _alias_level(
    trees: list[Tree], path: tuple[str, ...], renames: list[Rename], counter: list[int]
) -> None:
    by_key: dict[str, list[FieldNode]] = {}
    stack = list(trees)
    while stack:
        tree = stack.pop(0)
        for node in tree.fields.values():
            by_key.setdefault(node.key, []).append(node)
        stack.extend(tree.fragments.values())
    for key, nodes in by_key.items():
        shapes: dict[str, list[FieldNode]] = {}
        for node in nodes:
            shapes.setdefault(_shape(node), []).append(node)
        for number, same in enumerate(shapes.values()):
            if number:
                alias = f"_a{counter[0]}_{key}"
                counter[0] += 1
                renames.append((path, alias, key))
                for node in same:
                    node.alias = alias
            below = [n.below for n in same if n.below is not None]
            if below:
                _alias_level(below, (*path, same[0].alias or key), renames, counter)


def _shape(node: FieldNode) -> str:
    if node.below is None:
        return str(node.ref)
    text = str(node.ref)
    return text.replace(node.ref.name, "")
