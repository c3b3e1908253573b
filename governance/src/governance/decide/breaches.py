"""Changes that break a contract, with which uses of it each would break."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from governance.model.consumption import Use, UseKind
from governance.model.findings import Finding

GRAPHQL: frozenset[UseKind] = frozenset({UseKind.FIELD, UseKind.ARGUMENT, UseKind.ENUM_VALUE})


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

    def broken(self, service: str, uses: Iterable[Use]) -> list[Use]:
        """Return the uses of a service's contract that this change would break."""
        return [use for use in uses if use.service in {service, ""} and self._breaks(use)]

    def _breaks(self, use: Use) -> bool:
        return (
            use.coordinate in self.parts
            or use.kind in self.kinds
            or any(use.coordinate.startswith(f"{name}.") for name in self.within)
        )
