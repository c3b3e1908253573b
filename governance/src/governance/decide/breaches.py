"""Changes that break a contract, with which uses of it each would break."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from governance.model.consumption import Use, UseKind
from governance.model.findings import Finding

GRAPHQL: frozenset[UseKind] = frozenset({UseKind.FIELD, UseKind.ARGUMENT, UseKind.ENUM_VALUE})


class UseIndex:
    """Uses by what they are of: many changes are looked up among many uses."""

    def __init__(self, uses: Iterable[Use]) -> None:
        self._parts: dict[str, list[Use]] = {}
        self._types: dict[str, list[Use]] = {}
        self._kinds: dict[UseKind, list[Use]] = {}
        for use in uses:
            self._parts.setdefault(use.coordinate, []).append(use)
            self._kinds.setdefault(use.kind, []).append(use)
            if use.kind in GRAPHQL:
                owner = use.coordinate.partition(".")[0]
                self._types.setdefault(owner, []).append(use)

    def of_part(self, coordinate: str) -> list[Use]:
        """Return the uses of one part of a contract."""
        return self._parts.get(coordinate, [])

    def of_type(self, name: str) -> list[Use]:
        """Return the uses of a GraphQL type's fields, arguments or values."""
        return self._types.get(name, [])

    def of_kind(self, kind: UseKind) -> list[Use]:
        """Return all uses of a kind."""
        return self._kinds.get(kind, [])


@dataclass(frozen=True, slots=True)
class Breach:
    """One breaking change.

    Attributes:
        parts: The coordinates whose users would notice.
        within: Types whose every use counts: `Type.` as a prefix.
        kinds: Kinds of use of which every one counts.
        coordinate: What would go, as a deprecation names it.
    """

    finding: Finding
    parts: frozenset[str] = frozenset()
    within: tuple[str, ...] = ()
    kinds: frozenset[UseKind] = field(default=frozenset())
    coordinate: str = ""

    def broken(self, service: str, uses: UseIndex) -> list[Use]:
        """Return the uses of a service's contract that this change would break."""
        found = [
            *(use for part in self.parts for use in uses.of_part(part)),
            *(use for name in self.within for use in uses.of_type(name)),
            *(use for kind in self.kinds for use in uses.of_kind(kind)),
        ]
        once = {id(use): use for use in found if use.service in {service, ""}}
        return list(once.values())
