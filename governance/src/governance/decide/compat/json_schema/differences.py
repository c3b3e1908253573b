"""The differences between two JSON Schemas, and which of them refuse data written before.

An object or array has a content model: open (anything else may be there), partially open
(what matches a schema may), or closed. Adding to an open model narrows it, since old data may
hold something else there; removing from a closed one refuses old data.

Source: Confluent Platform documentation, "JSON Schema compatibility rules", and the registry's
published behaviour.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from governance.decide.compat.json_schema.content import ArrayContent, ObjectContent, Rest
from governance.decide.compat.json_schema.matching import maximum_matching
from governance.decide.compat.json_schema.nodes import Kind, Node
from governance.decide.compat.verdict import Change
from twinmesh_sdk.core.errors import LimitExceededError

MAX_STEPS: Final = 50_000
MAX_PARTS: Final = 200

COMPATIBLE: Final = frozenset(
    {
        "ID_CHANGED", "TITLE_CHANGED", "DESCRIPTION_CHANGED", "DEFAULT_CHANGED", "SCHEMA_REMOVED",
        "TYPE_EXTENDED", "MAX_LENGTH_INCREASED", "MAX_LENGTH_REMOVED", "MIN_LENGTH_DECREASED",
        "MIN_LENGTH_REMOVED", "PATTERN_REMOVED", "MAXIMUM_INCREASED", "MAXIMUM_REMOVED",
        "MINIMUM_DECREASED", "MINIMUM_REMOVED", "EXCLUSIVE_MAXIMUM_INCREASED",
        "EXCLUSIVE_MAXIMUM_REMOVED", "EXCLUSIVE_MINIMUM_DECREASED", "EXCLUSIVE_MINIMUM_REMOVED",
        "MULTIPLE_OF_REDUCED", "MULTIPLE_OF_REMOVED", "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
        "REQUIRED_ATTRIBUTE_REMOVED", "DEPENDENCY_ARRAY_NARROWED", "DEPENDENCY_ARRAY_REMOVED",
        "DEPENDENCY_SCHEMA_REMOVED", "MAX_PROPERTIES_INCREASED", "MAX_PROPERTIES_REMOVED",
        "MIN_PROPERTIES_DECREASED", "MIN_PROPERTIES_REMOVED", "ADDITIONAL_PROPERTIES_ADDED",
        "ADDITIONAL_PROPERTIES_EXTENDED", "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
        "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
        "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
        "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
        "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "MAX_ITEMS_INCREASED",
        "MAX_ITEMS_REMOVED", "MIN_ITEMS_DECREASED", "MIN_ITEMS_REMOVED", "MAX_CONTAINS_INCREASED",
        "MAX_CONTAINS_REMOVED", "MIN_CONTAINS_DECREASED", "MIN_CONTAINS_REMOVED",
        "UNIQUE_ITEMS_REMOVED", "ADDITIONAL_ITEMS_ADDED", "ADDITIONAL_ITEMS_EXTENDED",
        "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
        "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
        "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "ENUM_ARRAY_EXTENDED",
        "COMBINED_TYPE_EXTENDED", "PRODUCT_TYPE_NARROWED", "SUM_TYPE_EXTENDED", "NOT_TYPE_NARROWED",
    }
)  # fmt: skip
"""What the strict policy lets pass: old data stays valid."""

LENIENT: Final = COMPATIBLE | {
    "ADDITIONAL_PROPERTIES_NARROWED",
    "ADDITIONAL_PROPERTIES_REMOVED",
    "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
    "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
}
"""What the lenient policy lets pass too: old data stays valid unless it used the open part."""

_TEXTS: Final = {
    "ID_CHANGED": "$id",
    "TITLE_CHANGED": "title",
    "DESCRIPTION_CHANGED": "description",
    "DEFAULT_CHANGED": "default",
}


class Comparison:
    """Compares two schemas, as one policy weighs the differences."""

    def __init__(self, *, lenient: bool) -> None:
        self._passes = LENIENT if lenient else COMPATIBLE
        self._changes: list[Change] = []
        self._path: list[str] = []
        self._open: set[int] = set()
        self._steps = 0

    def compare(self, old: Node, new: Node) -> list[Change]:
        """Return every difference, in the order in which it is met.

        Raises:
            LimitExceededError: It takes too many steps.
        """
        self._schemas(old, new)
        return self._changes

    # -- bookkeeping ---------------------------------------------------------------------------

    def _add(self, rule: str, keyword: str = "", old: object = "", new: object = "") -> None:
        path = "/".join([*self._path, keyword] if keyword else self._path)
        self._changes.append(
            Change(
                rule,
                f"#/{path}",
                breaking=rule not in self._passes,
                old=_short(old),
                new=_short(new),
                why=rule.replace("_", " ").lower(),
            )
        )

    @contextmanager
    def _at(self, *steps: str) -> Iterator[None]:
        self._path += steps
        try:
            yield
        finally:
            del self._path[len(self._path) - len(steps) :]

    def _tried(self, old: Node, new: Node) -> tuple[bool, list[Change]]:
        """Compare on the side: whether it passes, and the differences."""
        kept, self._changes = self._changes, []
        try:
            self._schemas(old, new)
            found = self._changes
        finally:
            self._changes = kept
        return not any(change.breaking for change in found), found

    # -- schemas -------------------------------------------------------------------------------

    def _optional(self, old: Node | None, new: Node | None) -> None:
        if old is None or new is None:
            if new is not None:
                self._add("SCHEMA_ADDED")
            elif old is not None:
                self._add("SCHEMA_REMOVED")
            return
        self._schemas(old, new)

    def _schemas(self, old: Node, new: Node) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise LimitExceededError(f"comparing these schemas takes more than {MAX_STEPS} steps")
        if self._one_combined(old, new):
            return
        if old.kind is not new.kind:
            harmless = old.kind is Kind.FALSE or new.kind is Kind.EMPTY
            bytes_both = old.raw.get("connect.type") == new.raw.get("connect.type") == "bytes"
            if not harmless and not bytes_both:
                self._add("TYPE_CHANGED", "", old.kind, new.kind)
            return
        if id(old) in self._open:
            return  # a recursive schema: it is being compared already
        self._open.add(id(old))
        try:
            for rule, keyword in _TEXTS.items():
                if old.raw.get(keyword) != new.raw.get(keyword):
                    self._add(rule, "", old.raw.get(keyword), new.raw.get(keyword))
            if compare := self._by_kind().get(old.kind):
                compare(old, new)
        finally:
            self._open.discard(id(old))

    def _by_kind(self) -> dict[Kind, Callable[[Node, Node], None]]:
        return {
            Kind.STRING: self._strings,
            Kind.NUMBER: self._numbers,
            Kind.ENUM: self._enums,
            Kind.CONST: self._consts,
            Kind.COMBINED: self._combined,
            Kind.NOT: self._nots,
            Kind.OBJECT: self._objects,
            Kind.ARRAY: self._arrays,
        }

    def _one_combined(self, old: Node, new: Node) -> bool:
        """Try a schema against the parts of a combined one; True when one of them settles it."""
        if new.kind is Kind.COMBINED and old.kind is not Kind.COMBINED:
            if len(new.parts) == 1:
                return self._settled(old, new.parts[0], "")
            if new.criterion in {"anyOf", "oneOf"}:
                return any(self._settled(old, part, "SUM_TYPE_EXTENDED") for part in new.parts)
        elif old.kind is Kind.COMBINED and new.kind is not Kind.COMBINED:
            if len(old.parts) == 1:
                return self._settled(old.parts[0], new, "")
            if old.criterion == "allOf":
                return any(self._settled(part, new, "PRODUCT_TYPE_NARROWED") for part in old.parts)
        return False

    def _settled(self, old: Node, new: Node, rule: str) -> bool:
        passes, found = self._tried(old, new)
        if passes:
            self._changes += found
            if rule:
                self._add(rule)
        return passes

    # -- scalars -------------------------------------------------------------------------------

    def _bound(self, old: Node, new: Node, keyword: str, rule: str) -> None:
        before, after = _number(old.raw.get(keyword)), _number(new.raw.get(keyword))
        if before == after:
            return
        if before is None or after is None:
            word = "ADDED" if before is None else "REMOVED"
        else:
            word = "INCREASED" if before < after else "DECREASED"
        self._add(f"{rule}_{word}", keyword, before, after)

    def _strings(self, old: Node, new: Node) -> None:
        self._bound(old, new, "maxLength", "MAX_LENGTH")
        self._bound(old, new, "minLength", "MIN_LENGTH")
        before, after = old.raw.get("pattern"), new.raw.get("pattern")
        if before != after:
            word = "ADDED" if before is None else "REMOVED" if after is None else "CHANGED"
            self._add(f"PATTERN_{word}", "pattern", before, after)

    def _numbers(self, old: Node, new: Node) -> None:
        self._bound(old, new, "maximum", "MAXIMUM")
        self._bound(old, new, "minimum", "MINIMUM")
        self._bound(old, new, "exclusiveMaximum", "EXCLUSIVE_MAXIMUM")
        self._bound(old, new, "exclusiveMinimum", "EXCLUSIVE_MINIMUM")
        before, after = _number(old.raw.get("multipleOf")), _number(new.raw.get("multipleOf"))
        if before != after:
            self._add(f"MULTIPLE_OF_{_multiple(before, after)}", "multipleOf", before, after)
        if old.integer != new.integer:
            self._add("TYPE_EXTENDED" if old.integer else "TYPE_NARROWED")

    def _enums(self, old: Node, new: Node) -> None:
        before, after = _values(old.raw["enum"]), _values(new.raw["enum"])
        if before == after:
            return
        word = "EXTENDED" if before <= after else "NARROWED" if after <= before else "CHANGED"
        self._add(f"ENUM_ARRAY_{word}", "enum", sorted(before - after), sorted(after - before))

    def _consts(self, old: Node, new: Node) -> None:
        if _values([old.raw["const"]]) != _values([new.raw["const"]]):
            self._add("ENUM_ARRAY_CHANGED", "const", old.raw["const"], new.raw["const"])

    # -- combinations --------------------------------------------------------------------------

    def _nots(self, old: Node, new: Node) -> None:
        with self._at("not"):
            passes, _ = self._tried(new.child(new.raw["not"]), old.child(old.raw["not"]))
            self._add("NOT_TYPE_NARROWED" if passes else "NOT_TYPE_EXTENDED")

    def _combined(self, old: Node, new: Node) -> None:
        if old.criterion != new.criterion:
            if not _may_become(old, new):
                self._add("COMBINED_TYPE_CHANGED", "", old.criterion, new.criterion)
                return
            self._add("COMBINED_TYPE_EXTENDED", "", old.criterion, new.criterion)
        before, after = _distinct(old.parts), _distinct(new.parts)
        if len(before) != len(after):
            grows = len(before) < len(after)
            kind = "PRODUCT" if (new if grows else old).criterion == "allOf" else "SUM"
            word = "EXTENDED" if grows else "NARROWED"
            self._add(f"{kind}_TYPE_{word}", "", len(before), len(after))
        fits: dict[tuple[int, int], list[Change]] = {}
        for one, part in enumerate(before):
            with self._at(old.criterion, str(one)):
                for other, candidate in enumerate(after):
                    passes, found = self._tried(part, candidate)
                    if passes:
                        fits[one, other] = found
        matched = maximum_matching(fits, len(before))
        for pair in matched:
            self._changes += fits[pair]
        if len(matched) < min(len(before), len(after)):
            self._add("COMBINED_TYPE_SUBSCHEMAS_CHANGED")

    # -- objects -------------------------------------------------------------------------------

    def _objects(self, old: Node, new: Node) -> None:
        before, after = ObjectContent(old), ObjectContent(new)
        self._required(before, after)
        for name in [
            *before.properties,
            *(n for n in after.properties if n not in before.properties),
        ]:
            with self._at("properties", name):
                self._property(before, after, name)
        self._dependencies(before, after)
        with self._at("additionalProperties"):
            self._rest(before.rest, after.rest, "ADDITIONAL_PROPERTIES")
        self._bound(old, new, "maxProperties", "MAX_PROPERTIES")
        self._bound(old, new, "minProperties", "MIN_PROPERTIES")

    def _required(self, old: ObjectContent, new: ObjectContent) -> None:
        for name in old.properties:
            if name not in new.properties or (name in old.required) == (name in new.required):
                continue
            with self._at("required", name):
                if name in old.required:
                    self._add("REQUIRED_ATTRIBUTE_REMOVED")
                elif new.properties[name].has_default:
                    self._add("REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED")
                else:
                    self._add("REQUIRED_ATTRIBUTE_ADDED")

    def _property(self, old: ObjectContent, new: ObjectContent, name: str) -> None:
        before, after = old.properties.get(name), new.properties.get(name)
        if before is not None and after is not None:
            self._schemas(before, after)
        elif before is not None:
            self._gone(before, new.covering(name), "PROPERTY", is_open=new.open)
        elif after is not None:
            self._property_added(old, new, name, after)

    def _gone(self, before: Node, covering: Node | None, what: str, *, is_open: bool) -> None:
        if is_open:
            self._add(f"{what}_REMOVED_FROM_OPEN_CONTENT_MODEL")
        elif covering is not None:
            self._covered(before, covering, f"{what}_REMOVED")
        elif before.kind is Kind.FALSE:
            self._add(f"{what}_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL")
        else:
            self._add(f"{what}_REMOVED_FROM_CLOSED_CONTENT_MODEL")

    def _covered(self, old: Node, new: Node, rule: str) -> None:
        passes, found = self._tried(old, new)
        self._changes += found
        word = "IS" if passes else "NOT"
        self._add(f"{rule}_{word}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL")

    def _property_added(
        self, old: ObjectContent, new: ObjectContent, name: str, after: Node
    ) -> None:
        need = "OPTIONAL"
        if name in new.required:
            need = "REQUIRED_PROPERTY_WITH_DEFAULT" if after.has_default else "REQUIRED"
        added = f"{need}_ADDED" if need.endswith("DEFAULT") else f"{need}_PROPERTY_ADDED"
        if old.open:
            if after.kind is Kind.EMPTY:
                self._add("PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL")
            else:
                self._add(f"{added}_TO_OPEN_CONTENT_MODEL")
            return
        covering = old.covering(name)
        if covering is not None:
            self._covered(covering, after, "PROPERTY_ADDED")
        self._add(f"{added}_TO_UNOPEN_CONTENT_MODEL")

    def _dependencies(self, old: ObjectContent, new: ObjectContent) -> None:
        for name in dict.fromkeys([*old.needs, *new.needs]):
            with self._at("dependencies", name):
                before, after = old.needs.get(name), new.needs.get(name)
                if after is None:
                    self._add("DEPENDENCY_ARRAY_REMOVED")
                elif before is None:
                    self._add("DEPENDENCY_ARRAY_ADDED")
                elif before != after:
                    word = "CHANGED"
                    if before < after:
                        word = "EXTENDED"
                    elif after < before:
                        word = "NARROWED"
                    self._add(f"DEPENDENCY_ARRAY_{word}")
        for name in dict.fromkeys([*old.implies, *new.implies]):
            with self._at("dependencies", name):
                one, other = old.implies.get(name), new.implies.get(name)
                if other is None:
                    self._add("DEPENDENCY_SCHEMA_REMOVED")
                elif one is None:
                    self._add("DEPENDENCY_SCHEMA_ADDED")
                else:
                    self._schemas(one, other)

    def _rest(self, old: Rest, new: Rest, rule: str) -> None:
        if old.allowed != new.allowed:
            self._add(f"{rule}_{'ADDED' if new.allowed else 'REMOVED'}")
        elif old.schema is None and new.schema is not None:
            self._add(f"{rule}_NARROWED")
        elif old.schema is not None and new.schema is None:
            self._add(f"{rule}_EXTENDED")
        else:
            self._optional(old.schema, new.schema)

    # -- arrays --------------------------------------------------------------------------------

    def _arrays(self, old: Node, new: Node) -> None:
        before, after = ArrayContent(old), ArrayContent(new)
        with self._at("items"):
            self._optional(before.every, after.every)
        for index in range(max(len(before.first), len(after.first))):
            with self._at("items", str(index)):
                self._item(before, after, index)
        with self._at("additionalItems"):
            self._rest(before.rest, after.rest, "ADDITIONAL_ITEMS")
        self._bound(old, new, "maxItems", "MAX_ITEMS")
        self._bound(old, new, "minItems", "MIN_ITEMS")
        unique = bool(old.raw.get("uniqueItems")), bool(new.raw.get("uniqueItems"))
        if unique[0] != unique[1]:
            self._add(f"UNIQUE_ITEMS_{'REMOVED' if unique[0] else 'ADDED'}", "uniqueItems")
        self._bound(old, new, "maxContains", "MAX_CONTAINS")
        self._bound(old, new, "minContains", "MIN_CONTAINS")

    def _item(self, old: ArrayContent, new: ArrayContent, index: int) -> None:
        before = old.first[index] if index < len(old.first) else None
        after = new.first[index] if index < len(new.first) else None
        if before is not None and after is not None:
            self._schemas(before, after)
        elif before is not None:
            self._gone(before, new.rest.schema, "ITEM", is_open=new.open)
        elif after is not None and old.open:
            if after.kind is Kind.EMPTY:
                self._add("ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL")
            else:
                self._add("ITEM_ADDED_TO_OPEN_CONTENT_MODEL")
        elif after is not None and old.rest.schema is not None:
            self._covered(old.rest.schema, after, "ITEM_ADDED")
        elif after is not None:
            self._add("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL")


def _may_become(old: Node, new: Node) -> bool:
    """Tell whether a combination may take another criterion without refusing more."""
    if new.criterion == "anyOf":
        return True
    if new.criterion == "oneOf":
        return len(old.parts) == 1 or len(new.parts) == 1
    return len(old.parts) == 1 and len(new.parts) == 1


def _distinct(parts: tuple[Node, ...]) -> list[Node]:
    found = list({part.fingerprint(): part for part in parts}.values())
    if len(found) > MAX_PARTS:
        raise LimitExceededError(f"a schema combines at most {MAX_PARTS} others")
    return found


def _number(value: Any) -> Decimal | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _multiple(before: Decimal | None, after: Decimal | None) -> str:
    if before is None:
        return "ADDED"
    if after is None:
        return "REMOVED"
    if before and after % before == 0:
        return "EXPANDED"
    return "REDUCED" if after and before % after == 0 else "CHANGED"


def _values(listed: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    return {json.dumps(value, sort_keys=True) for value in listed}


def _short(value: object) -> str:
    if value is None:
        return ""
    return str(value)[:200]
