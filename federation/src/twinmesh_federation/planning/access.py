"""Planning without what the caller may not have."""

from __future__ import annotations

from twinmesh_federation.selection import Field, Fragment, Selection, Selections
from twinmesh_federation.supergraph.model import Supergraph

Denied = frozenset[tuple[str, str]]
"""(type, field) pairs."""


def without(  # noqa: PLR0917 - internal, called in one place
    selections: Selections,
    type_name: str,
    denied: Denied,
    supergraph: Supergraph,
    lost: list[tuple[str, ...]],
    path: tuple[str, ...] = (),
) -> Selections:
    """Drop denied fields; note their paths, without list indices, in `lost`."""
    if not denied:
        return selections
    kept: list[Selection] = []
    for selection in selections:
        if isinstance(selection, Fragment):
            below = without(
                selection.selections, selection.type_name, denied, supergraph, lost, path
            )
            kept.append(Fragment(selection.type_name, below, selection.conditions))
            continue
        if (type_name, selection.name) in denied:
            lost.append((*path, selection.key))
            continue
        if selection.selections is not None:
            item = supergraph.types[type_name].fields[selection.name]
            at = (*path, selection.key)
            inner = without(selection.selections, item.type.name, denied, supergraph, lost, at)
            if not inner.items:
                inner = Selections((Field("__typename", "__typename"),))
            selection = selection.with_selections(inner)  # noqa: PLW2901 - its permitted part
        kept.append(selection)
    return Selections(tuple(kept))
