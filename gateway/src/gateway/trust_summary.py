"""The worst trust of an answer, over what its subgraphs say of theirs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from twinmesh_federation.execution.client import CachedPart

_VERDICT_RANK: Final = {"UNASSESSED": 0, "FRESH": 0, "LATE": 1, "STALE": 2, "ABSENT": 3}
_QUALITY_RANK: Final = {"GOOD": 0, "UNCERTAIN": 1, "BAD": 2}
MAX_PATHS: Final = 20


@dataclass(slots=True)
class TrustSummary:
    """Collects what each subgraph response says of the trust of its values.

    Attributes:
        worst: The worst trust seen, as its subgraph stated it; None while no value carried any.
        causes: Where it came from: subgraph and response path, at most MAX_PATHS.
    """

    worst: Mapping[str, object] | None = None
    causes: list[dict[str, object]] = field(default_factory=list)

    def add(self, subgraph: str, path: Iterable[str | int], extensions: object) -> None:
        """Take one subgraph response into account.

        Args:
            subgraph: Its name.
            path: Where its data went in the answer.
            extensions: The response's `extensions` member, unchecked; other forms are ignored,
                because a stranger's subgraph owes us none.
        """
        trust = _trust_of(extensions)
        if trust is None:
            return
        rank, worst = _rank(trust), None if self.worst is None else _rank(self.worst)
        if worst is not None and rank < worst:
            return
        if worst is None or rank > worst:
            self.worst, self.causes = trust, []
        if len(self.causes) < MAX_PATHS:
            self.causes.append({"subgraph": subgraph, "path": list(path)})

    def as_extension(
        self, cached: Mapping[str, CachedPart] | None = None
    ) -> dict[str, object] | None:
        """Return the member `trust` of `extensions.twinmesh`; None when no value carried trust.

        Args:
            cached: By subgraph, what was kept from earlier answers: a reason to trust less.
        """
        if self.worst is None:
            return None
        said = self.worst.get("reasons")
        reasons = list(said) if isinstance(said, list) else []
        for subgraph, part in sorted((cached or {}).items()):
            detail = f"{part.entities} kept from up to {part.oldest_s:.1f} s ago"
            subject = f"{subgraph}: {', '.join(part.types)}"
            reasons.append({"code": "CACHED", "subject": subject, "detail": detail})
        return {**self.worst, "reasons": reasons, "causes": self.causes}


def _trust_of(extensions: object) -> Mapping[str, object] | None:
    if not isinstance(extensions, Mapping):
        return None
    mesh = extensions.get("twinmesh")
    trust = mesh.get("trust") if isinstance(mesh, Mapping) else None
    if not isinstance(trust, Mapping) or trust.get("verdict") not in _VERDICT_RANK:
        return None
    return trust


def _rank(trust: Mapping[str, object]) -> tuple[int, int]:
    quality = trust.get("quality")
    return (
        _VERDICT_RANK[str(trust["verdict"])],
        _QUALITY_RANK.get(quality, 0) if isinstance(quality, str) else 0,
    )
