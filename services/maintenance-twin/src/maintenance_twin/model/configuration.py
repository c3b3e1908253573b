"""The configuration versions of an asset, as a covering of plant time."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from twinmesh_sdk.core.times import OPEN_US

NO_CONFIGURATION = ""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One configuration version and when it was valid, as known now."""

    from_us: int
    to_us: int
    configuration_id: str


@dataclass(frozen=True, slots=True)
class Configurations:
    """All versions of one asset, ordered in time and free of overlaps."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> "Configurations":
        """Order the spans; of two that overlap (the registry rules it out) the later one wins."""
        ordered = sorted(s for s in spans if s.from_us < s.to_us)
        if all(one.to_us <= other.from_us for one, other in pairwise(ordered)):
            return cls(tuple(ordered))
        edges = sorted({edge for s in ordered for edge in (s.from_us, s.to_us)})
        pieces = []
        for start, end in pairwise(edges):
            over = [s for s in ordered if s.from_us <= start and end <= s.to_us]
            if over:
                pieces.append(Span(start, end, over[-1].configuration_id))
        return cls(tuple(pieces))

    def at(self, t_us: int) -> Span:
        """Return the version valid at a time; a span without id where there is none."""
        index = bisect_right(self.spans, t_us, key=lambda s: s.from_us) - 1
        if index >= 0 and t_us < self.spans[index].to_us:
            return self.spans[index]
        before = self.spans[index].to_us if index >= 0 else 0
        after = self.spans[index + 1].from_us if index + 1 < len(self.spans) else OPEN_US
        return Span(before, after, NO_CONFIGURATION)

    def first_difference(self, other: "Configurations", until_us: int) -> int | None:
        """Return the first time up to `until_us` at which two histories disagree."""
        edges = sorted(
            {
                edge
                for history in (self, other)
                for span in history.spans
                for edge in (span.from_us, span.to_us)
                if edge <= until_us
            }
            | {0}
        )
        for edge in edges:
            if self.at(edge).configuration_id != other.at(edge).configuration_id:
                return edge
        return None
