"""What becomes of the baselines that are held, given those that should be."""

from collections.abc import Sequence
from dataclasses import dataclass

from energy_twin.model.baseline import Baseline, HeldBaseline


@dataclass(frozen=True, slots=True)
class Revision:
    """The difference between held and wanted.

    Attributes:
        ended: No longer held.
        begun: Held from now on.
        announced: Those begun that say something new, each with the id of the one that it replaces.
    """

    ended: tuple[HeldBaseline, ...]
    begun: tuple[Baseline, ...]
    announced: tuple[tuple[Baseline, str], ...]


def revise(held: Sequence[HeldBaseline], wanted: Sequence[Baseline]) -> Revision | None:
    """Return what has to change; None when nothing has."""
    keep = {one.baseline for one in held} & set(wanted)
    ended = tuple(one for one in held if one.baseline not in keep)
    begun = tuple(one for one in wanted if one not in keep)
    if not ended and not begun:
        return None
    before = {one.baseline.baseline_id for one in ended}
    replaced = {
        (one.baseline.period.configuration_id, one.baseline.period.from_us): one.baseline
        for one in ended
    }
    announced = []
    for one in begun:
        if one.baseline_id in before:
            continue
        old = replaced.get((one.period.configuration_id, one.period.from_us))
        announced.append((one, "" if old is None else old.baseline_id))
    return Revision(ended, begun, tuple(announced))
