"""Shaping the merged data into the answer: order, types, null propagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twinmesh_federation.execution.straight import SURPRISES, StraightShapes
from twinmesh_federation.planning.operation import Operation
from twinmesh_federation.selection import Field, Fragment, Selection
from twinmesh_federation.supergraph.model import ENUM, OBJECT, Supergraph, TypeRef

MAX_REPORTED_NULLS: Final = 100


class _Invalid:
    """A null where the type admits none: the nearest nullable parent becomes null."""


INVALID: Final = _Invalid()

Complete = Callable[[Any, "Shaping"], Any]


class Shaping:
    """One run of a projection: where it is, and what it had to report."""

    __slots__ = ("covered", "errors", "path")

    def __init__(self, covered: frozenset[tuple[str, ...]]) -> None:
        self.path: list[str | int] = []
        self.errors: list[dict[str, Any]] = []
        self.covered = covered

    def report(self, message: str, *more: str | int) -> None:
        """Report a null that no known error explains."""
        path = [*self.path, *more]
        keys = tuple(p for p in path if isinstance(p, str))
        for known in self.covered:
            if keys[: len(known)] == known or known[: len(keys)] == keys:
                return
        if len(self.errors) < MAX_REPORTED_NULLS:
            self.errors.append(
                {"message": message, "path": path, "extensions": {"code": "INVALID_DATA"}}
            )


class Projection:
    """Compiled once per plan and per outcome of its @include and @skip variables."""

    def __init__(
        self,
        supergraph: Supergraph,
        operation: Operation,
        flags: Mapping[str, bool],
        denied: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._denied = denied
        self._supergraph = supergraph
        self._flags = flags
        self._by_type: dict[tuple[int, str], Complete] = {}
        self._kept: list[object] = []
        self._operation = operation
        self._root: Complete | None = None
        self._straight = StraightShapes(
            supergraph, self._collected, self._tells_types_apart, denied
        ).compiled(list(operation.selections), operation.root)

    def shape(
        self, data: dict[str, Any], covered: frozenset[tuple[str, ...]]
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Return the answer's data, and the errors for nulls that nothing explains.

        Args:
            data: What the fetches merged.
            covered: Response keys of places whose errors are known already.
        """
        try:
            return self._straight(data), []
        except SURPRISES:
            pass  # the careful way finds out what is amiss
        if self._root is None:
            self._root = self._object(list(self._operation.selections), self._operation.root)
        shaping = Shaping(covered)
        shaped = self._root(data, shaping)
        return (None if shaped is INVALID else shaped), shaping.errors

    def _holds(self, selection: Selection) -> bool:
        return all(self._flags.get(name, False) == wanted for name, wanted in selection.conditions)

    def _collect(
        self, selections: list[Selection], type_name: str, into: dict[str, list[Field]]
    ) -> None:
        for selection in selections:
            if not self._holds(selection):
                continue
            if isinstance(selection, Fragment):
                if type_name in self._supergraph.possible.get(selection.type_name, frozenset()):
                    self._collect(list(selection.selections), type_name, into)
            else:
                into.setdefault(selection.key, []).append(selection)

    def _collected(self, selections: list[Selection], type_name: str) -> dict[str, list[Field]]:
        fields: dict[str, list[Field]] = {}
        self._collect(selections, type_name, fields)
        return fields

    def _object(self, selections: list[Selection], type_name: str) -> Complete:  # noqa: C901 - the hot loop, in one piece
        """Compile selections on an object type."""
        fields = self._collected(selections, type_name)
        entries: list[tuple[str, str | None, bool, Complete | None, str]] = []
        for key, nodes in fields.items():
            name = nodes[0].name
            if name == "__typename":
                entries.append((key, type_name, False, None, ""))
            elif not name.startswith("__"):
                ref = self._supergraph.types[type_name].fields[name].type
                complete = self._complete(ref, nodes)
                if (type_name, name) in self._denied:
                    complete = _withheld if ref.non_null else _null
                entries.append((key, None, ref.non_null, complete, f"{type_name}.{name}"))
            else:
                entries.append((key, None, name == "__schema", None, f"{type_name}.{name}"))

        def complete_object(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
            if not isinstance(value, dict):
                shaping.report(f"Expected an object of type {type_name}.")
                return INVALID
            shaped: dict[str, Any] = {}
            get = value.get
            path = shaping.path
            for key, constant, non_null, complete, coordinate in entries:
                if constant is not None:
                    shaped[key] = constant
                    continue
                item = get(key)
                if item is None:
                    if non_null:
                        shaping.report(
                            f"Cannot return null for non-nullable field {coordinate}.", key
                        )
                        return INVALID
                    shaped[key] = None
                    continue
                if complete is not None:
                    path.append(key)
                    item = complete(item, shaping)
                    path.pop()
                    if item is INVALID:
                        return INVALID
                shaped[key] = item
            return shaped

        return complete_object

    def _complete(self, ref: TypeRef, nodes: list[Field]) -> Complete | None:
        """Compile the completion of a field's type; None passes the value as it is."""
        inner = self._non_null(ref, nodes)
        if inner is None or ref.non_null:
            return inner

        def complete_nullable(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
            result = inner(value, shaping)
            return None if result is INVALID else result

        return complete_nullable

    def _non_null(self, ref: TypeRef, nodes: list[Field]) -> Complete | None:
        if ref.of is not None:
            return self._list(ref.of, nodes)
        info = self._supergraph.types[ref.name]
        if info.kind == ENUM:
            return _enum(ref.name, frozenset(v for v, public in info.enum_values.items() if public))
        if ref.name == "ID":
            return _identifier
        if not info.is_composite:
            return None
        selections: list[Selection] = []
        for node in nodes:
            selections.extend(node.selections or ())
        if info.kind == OBJECT:
            return self._object(selections, ref.name)
        return self._abstract(selections, ref.name)

    def _list(self, of: TypeRef, nodes: list[Field]) -> Complete:
        inner = self._complete(of, nodes)
        non_null = of.non_null

        def complete_list(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
            if not isinstance(value, list):
                shaping.report("Expected a list.")
                return INVALID
            if inner is None:
                if non_null and None in value:
                    shaping.report("Cannot return null in a list of non-null.", value.index(None))
                    return INVALID
                return value
            shaped: list[Any] = []
            path = shaping.path
            for index, item in enumerate(value):
                if item is None:
                    if non_null:
                        shaping.report("Cannot return null in a list of non-null.", index)
                        return INVALID
                    shaped.append(None)
                    continue
                path.append(index)
                done = inner(item, shaping)
                path.pop()
                if done is INVALID:
                    return INVALID
                shaped.append(done)
            return shaped

        return complete_list

    def _abstract(self, selections: list[Selection], type_name: str) -> Complete:
        possible = self._supergraph.possible[type_name]
        types = self._supergraph.types
        by_type: dict[str, Complete] = {}

        def complete_abstract(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
            if not isinstance(value, dict):
                shaping.report(f"Expected an object of type {type_name}.")
                return INVALID
            name = value.get("__typename")
            complete = by_type.get(name)  # type: ignore[arg-type]
            if complete is None:
                if name is None or name == type_name:
                    if self._tells_types_apart(selections):
                        shaping.report(f"The run-time type of {type_name} is not known.")
                        return INVALID
                    return self._interface_object(selections, type_name)(value, shaping)
                if name not in possible or types[name].inaccessible:
                    shaping.report(f"{type_name} cannot be of run-time type {name!r}.")
                    return INVALID
                complete = by_type[name] = self._object(selections, name)
            return complete(value, shaping)

        return complete_abstract

    def _tells_types_apart(self, selections: list[Selection]) -> bool:
        """Tell whether the answer depends on the run-time type of an object."""
        return any(
            self._holds(s) and (isinstance(s, Fragment) or s.name == "__typename")
            for s in selections
        )

    def _interface_object(self, selections: list[Selection], type_name: str) -> Complete:
        known = self._by_type.get((id(selections), type_name))
        if known is None:
            fields = [s for s in selections if isinstance(s, Field) and s.name != "__typename"]
            known = self._object(list(fields), type_name)
            self._by_type[id(selections), type_name] = known
            self._kept.append(selections)
        return known


def _withheld(_value: Any, _shaping: Shaping) -> Any:  # noqa: ANN401
    return INVALID


def _null(_value: Any, _shaping: Shaping) -> Any:  # noqa: ANN401
    return None


def _enum(name: str, values: frozenset[str]) -> Complete:
    def complete_enum(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
        if value in values:
            return value
        shaping.report(f"Enum {name} cannot represent the value returned.")
        return INVALID

    return complete_enum


def _identifier(value: Any, shaping: Shaping) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    shaping.report("ID cannot represent the value returned.")
    return INVALID
