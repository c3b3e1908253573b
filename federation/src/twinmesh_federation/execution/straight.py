"""Generated code that shapes an answer in which nothing is amiss.

`Projection` reports every null that the types forbid, with its path. Most answers have none: for
them this module writes straight Python per operation, which raises `Amiss` at the first surprise,
so that the careful way can be taken instead. It never changes what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from twinmesh_federation.selection import Field, Selection
from twinmesh_federation.supergraph.model import ENUM, OBJECT, Supergraph, TypeRef

Shape = Callable[[Any], Any]
Collect = Callable[[list[Selection], str], Mapping[str, list[Field]]]


class Amiss(Exception):  # noqa: N818 - a signal, caught one frame up
    """The data is not what the types promise."""


SURPRISES: Final = (Amiss, KeyError, TypeError, AttributeError)
"""What generated code raises; the last three come from subscripting what is no object."""


def identifier(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return an ID as a string."""
    if value.__class__ is str:
        return str(value)
    if value.__class__ is int:
        return str(value)
    raise Amiss


class StraightShapes:
    """Writes and compiles the functions of one operation.

    Args:
        collect: Gathers the fields of selections on an object type by response key.
        apart: Tells whether selections on an abstract type depend on the run-time type.
        denied: (type, field) that are null whatever the subgraphs say.
    """

    def __init__(
        self,
        supergraph: Supergraph,
        collect: Collect,
        apart: Callable[[list[Selection]], bool],
        denied: frozenset[tuple[str, str]],
    ) -> None:
        self._supergraph = supergraph
        self._collect = collect
        self._apart = apart
        self._denied = denied
        self._names: dict[str, Any] = {"Amiss": Amiss, "identifier": identifier}

    def compiled(self, selections: list[Selection], type_name: str) -> Shape:
        """Compile selections on an object type."""
        written: list[str] = []
        name = self._write_object(selections, type_name, written)
        exec("\n".join(written), self._names)  # noqa: S102 - our own text; names are quoted
        shape: Shape = self._names[name]
        return shape

    def _new(self, prefix: str, value: object = None) -> str:
        name = f"{prefix}{len(self._names)}"
        self._names[name] = value
        return name

    def _write_object(self, selections: list[Selection], type_name: str, written: list[str]) -> str:
        function = self._new("object_")
        lines: list[str] = []
        parts: list[str] = []
        reads = 0
        for key, nodes in self._collect(selections, type_name).items():
            name = nodes[0].name
            if name == "__typename":
                parts.append(f"{key!r}: {type_name!r}")
                continue
            variable = f"a{len(parts)}"
            if name.startswith("__"):
                lines.append(f"{variable} = value[{key!r}]")
            elif (type_name, name) in self._denied:
                lines.append(f"{variable} = None")
                if self._supergraph.types[type_name].fields[name].type.non_null:
                    lines.append("raise Amiss")
            else:
                reads += 1
                lines.append(f"{variable} = value[{key!r}]")
                ref = self._supergraph.types[type_name].fields[name].type
                lines += self._completed(variable, ref, nodes, written)
            parts.append(f"{key!r}: {variable}")
        if not reads:
            lines.insert(0, "if value.__class__ is not dict: raise Amiss")
        body = [f"def {function}(value):", *lines, f"return {{{', '.join(parts)}}}"]
        written.append("\n ".join(body))
        return function

    def _completed(
        self, variable: str, ref: TypeRef, nodes: list[Field], written: list[str]
    ) -> list[str]:
        """Write the statements that complete a variable of this type."""
        statement = self._statement(variable, ref, nodes, written)
        if ref.non_null:
            return [statement or f"if {variable} is None: raise Amiss"]
        if not statement:
            return []
        if statement.startswith("if "):
            condition, action = statement[3:].split(": ", 1)
            return [f"if {variable} is not None and ({condition}): {action}"]
        return [f"if {variable} is not None: {statement}"]

    def _statement(
        self, variable: str, ref: TypeRef, nodes: list[Field], written: list[str]
    ) -> str:
        """Write what completes a value that is not null; empty if it passes as it is."""
        if ref.of is None:
            info = self._supergraph.types[ref.name]
            if info.kind == ENUM:
                values = frozenset(v for v, public in info.enum_values.items() if public)
                return f"if {variable} not in {self._new('values_', values)}: raise Amiss"
            if ref.name == "ID":
                return f"if {variable}.__class__ is not str: {variable} = identifier({variable})"
        function = self._function(ref, nodes, written)
        return f"{variable} = {function}({variable})" if function else ""

    def _function(self, ref: TypeRef, nodes: list[Field], written: list[str]) -> str:
        """Name the function that completes a value of this type; empty if none is needed."""
        if ref.of is not None:
            return self._write_list(ref.of, nodes, written)
        info = self._supergraph.types[ref.name]
        if info.kind == ENUM:
            values = frozenset(v for v, public in info.enum_values.items() if public)
            function, known = self._new("enum_"), self._new("values_", values)
            written.append(
                f"def {function}(value):\n if value in {known}: return value\n raise Amiss"
            )
            return function
        if ref.name == "ID":
            return "identifier"
        if not info.is_composite:
            return ""
        selections: list[Selection] = []
        for node in nodes:
            selections.extend(node.selections or ())
        if info.kind == OBJECT:
            return self._write_object(selections, ref.name, written)
        function = self._new("abstract_")
        table = self._new("types_", _ByType(self, selections, ref.name))
        written.append(f"def {function}(value):\n return {table}[value.get('__typename')](value)")
        return function

    def _write_list(self, of: TypeRef, nodes: list[Field], written: list[str]) -> str:
        inner = self._function(of, nodes, written)
        function = self._new("list_")
        lines = [f"def {function}(value):", "if value.__class__ is not list: raise Amiss"]
        if not inner:
            if of.non_null:
                lines.append("if None in value: raise Amiss")
            lines.append("return value")
        elif of.non_null:
            lines.append(f"return [{inner}(item) for item in value]")
        else:
            lines.append(f"return [None if item is None else {inner}(item) for item in value]")
        written.append("\n ".join(lines))
        return function

    def of_type(self, selections: list[Selection], abstract: str, name: str | None) -> Shape:
        """Compile selections on an abstract type for one run-time type.

        Raises:
            Amiss: It cannot be of that type.
        """
        if name is None or name == abstract:
            # An interface object; nobody said which of its types it is.
            if self._apart(selections):
                raise Amiss
            fields: list[Selection] = [
                s for s in selections if isinstance(s, Field) and s.name != "__typename"
            ]
            return self.compiled(fields, abstract)
        if name not in self._supergraph.possible[abstract]:
            raise Amiss
        if self._supergraph.types[name].inaccessible:
            raise Amiss
        return self.compiled(selections, name)


class _ByType(dict[str | None, Shape]):
    """Functions by run-time type, compiled when first needed."""

    def __init__(self, shapes: StraightShapes, selections: list[Selection], abstract: str) -> None:
        super().__init__()
        self._shapes = shapes
        self._selections = selections
        self._abstract = abstract

    def __missing__(self, name: str | None) -> Shape:
        shape = self[name] = self._shapes.of_type(self._selections, self._abstract, name)
        return shape
