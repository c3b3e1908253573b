"""Maximum matching in a bipartite graph."""

from collections.abc import Collection


def maximum_matching(pairs: Collection[tuple[int, int]], lefts: int) -> list[tuple[int, int]]:
    """Return a largest set of pairs in which nobody is named twice, by augmenting paths.

    Args:
        pairs: Who fits whom: left and right numbers.
        lefts: How many there are on the left, 0 to lefts - 1.
    """
    fits: list[list[int]] = [[] for _ in range(lefts)]
    for left, right in pairs:
        fits[left].append(right)
    partner: dict[int, int] = {}

    def place(left: int, tried: set[int]) -> bool:
        for right in fits[left]:
            if right in tried:
                continue
            tried.add(right)
            if right not in partner or place(partner[right], tried):
                partner[right] = left
                return True
        return False

    for left in range(lefts):
        place(left, set())
    return sorted((left, right) for right, left in partner.items())
