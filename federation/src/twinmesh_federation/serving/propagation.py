"""Which headers of a client's request go on to which subgraph."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_RULES: Final = 100
MAX_VALUE_CHARS: Final = 8_192
_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NEVER: Final = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "host", "content-length", "content-type", "content-encoding",
     "accept", "accept-encoding", "expect")
)  # fmt: skip
_KNOWN: Final = frozenset(("subgraph", "name", "as", "default", "value"))


class HeaderRulesError(ValueError):
    """A rule has another form, or names a header that is not propagated."""


@dataclass(frozen=True, slots=True)
class _Rule:
    subgraph: str
    name: str
    target: str
    default: str | None
    value: str | None

    def applies_to(self, service: str) -> bool:
        return self.subgraph in ("*", service)

    def value_of(self, incoming: Mapping[str, str]) -> str | None:
        if self.value is not None:
            return self.value
        given = incoming.get(self.name)
        if given is None or len(given) > MAX_VALUE_CHARS or not _VALUE.fullmatch(given):
            return self.default
        return given


class HeaderRules:
    """Rules in order; a later one that applies wins. Nothing is propagated without a rule."""

    def __init__(self, rules: Iterable[_Rule] = ()) -> None:
        self._rules = tuple(rules)
        self.names = frozenset(r.name for r in self._rules if r.value is None)
        """Headers of clients that some rule reads."""

    @classmethod
    def of(cls, rules: Iterable[Mapping[str, Any]], *, reserved: Iterable[str] = ()) -> HeaderRules:
        """Read rules.

        Args:
            rules: Each `{"subgraph": "*" or a name, "name": …}` propagates a header, under the
                name `as` where given, with `default` where the client sends none;
                `{"subgraph": …, "as": …, "value": …}` sends a fixed value.
            reserved: Names, or prefixes ending in `-`, that the caller sets itself.

        Raises:
            HeaderRulesError: A rule has another form.
        """
        found = [_rule(rule, tuple(reserved)) for rule in rules]
        if len(found) > MAX_RULES:
            raise HeaderRulesError(f"at most {MAX_RULES} header rules")
        return cls(found)

    def kept(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return those of a request's headers that some rule reads."""
        return {n: v for n in self.names if (v := headers.get(n)) is not None}

    def headers(self, incoming: Mapping[str, str], service: str) -> dict[str, str]:
        """Return the headers for one subgraph."""
        found: dict[str, str] = {}
        for rule in self._rules:
            if rule.applies_to(service) and (value := rule.value_of(incoming)) is not None:
                found[rule.target] = value
        return found


def _rule(rule: Mapping[str, Any], reserved: tuple[str, ...]) -> _Rule:
    if not isinstance(rule, Mapping) or not all(isinstance(v, str) for v in rule.values()):
        raise HeaderRulesError("a header rule is an object of texts")
    if strangers := sorted(rule.keys() - _KNOWN):
        raise HeaderRulesError(f"a header rule does not know {', '.join(map(str, strangers))[:80]}")
    value, name = rule.get("value"), str(rule.get("name", "")).lower()
    target = str(rule.get("as", name)).lower()
    if (value is None) == (not name):
        raise HeaderRulesError("a header rule has either a name or a value")
    for checked in {name, target} - {""} if name else {target}:
        if not _NAME.fullmatch(checked):
            raise HeaderRulesError(f"{checked[:80]!r} is no header name")
    for text in (value, rule.get("default")):
        if text is not None and not (_VALUE.fullmatch(text) and len(text) <= MAX_VALUE_CHARS):
            raise HeaderRulesError("a header's value is one line of text")
    if target in _NEVER or any(target.startswith(r) if r.endswith("-") else target == r
                               for r in reserved):  # fmt: skip
        raise HeaderRulesError(f"{target} is set by the gateway itself")
    return _Rule(str(rule.get("subgraph", "*")), name, target, rule.get("default"), value)
