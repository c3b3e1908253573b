"""Which fields of a supergraph a caller may not have."""

from __future__ import annotations

from dataclasses import dataclass

from twinmesh_federation.supergraph.model import INTERFACE, AccessRule, Supergraph


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known of who asks, in the terms of @authenticated, @requiresScopes and @policy."""

    authenticated: bool = False
    scopes: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()


class AccessRules:
    """The access rules of one supergraph."""

    def __init__(self, supergraph: Supergraph) -> None:
        self._supergraph = supergraph
        self._types = {n: t.access for n, t in supergraph.types.items() if t.access is not None}
        self._fields = {
            (name, item.name): item.access
            for name, info in supergraph.types.items()
            for item in info.fields.values()
            if item.access is not None
        }
        self._known: dict[Caller, frozenset[tuple[str, str]]] = {}

    @property
    def guard(self) -> bool:
        """Tell whether there are any."""
        return bool(self._types or self._fields)

    def denied(self, caller: Caller) -> frozenset[tuple[str, str]]:
        """Return the (type, field) that the caller may not have.

        A type's rule guards all of its fields and every field that returns it; a field of an
        interface is denied where that of any implementation is.
        """
        known = self._known.get(caller)
        if known is None:
            known = self._denied(caller)
            if len(self._known) < 1_000:
                self._known[caller] = known
        return known

    def _denied(self, caller: Caller) -> frozenset[tuple[str, str]]:
        types = {name for name, rule in self._types.items() if not admits(rule, caller)}
        fields = {at for at, rule in self._fields.items() if not admits(rule, caller)}
        for name, info in self._supergraph.types.items():
            for item in info.fields.values():
                if name in types or item.type.name in types:
                    fields.add((name, item.name))
        for name, info in self._supergraph.types.items():
            if info.kind == INTERFACE:
                for item in info.fields.values():
                    if any((o, item.name) in fields for o in self._supergraph.possible[name]):
                        fields.add((name, item.name))
        return frozenset(fields)


def admits(rule: AccessRule, caller: Caller) -> bool:
    """Tell whether a rule lets a caller through."""
    if (rule.authenticated or rule.scopes) and not caller.authenticated:
        return False
    if rule.scopes and not any(group <= caller.scopes for group in rule.scopes):
        return False
    return not rule.policies or any(group <= caller.policies for group in rule.policies)
