"""Decide again what a correction of what was known has changed."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from maintenance_twin.decide.evaluate import (
    ConditionChanged,
    Context,
    Evaluation,
    Evaluator,
    WorkItemClosed,
    WorkItemOpened,
)
from maintenance_twin.model.condition import Condition
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.row import Reading, Row
from maintenance_twin.model.signal import Profile
from maintenance_twin.model.work_item import CloseReason, Status, WorkItem
from twinmesh_sdk.core.trust import Quality, Reason

_GONE: Final = (Status.SUPERSEDED, Status.WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Cause:
    """What was learned late: a code for programs, its subject, and a sentence for people."""

    code: str
    subject: str
    sentence: str

    @classmethod
    def configuration(cls, configuration_id: str) -> "Cause":
        """Return the cause that a configuration version was recorded late."""
        label = configuration_id or "none"
        sentence = f"configuration version {label} was recorded to be valid then"
        return cls("CONFIGURATION_RECORDED_LATE", label, sentence)

    @classmethod
    def context(cls, signal: str) -> "Cause":
        """Return the cause that a context arrived late."""
        return cls("CONTEXT_ARRIVED_LATE", signal, f"{signal} arrived late")


@dataclass(frozen=True, slots=True)
class Revision:
    """What is held true after a correction, in place of what was.

    Attributes:
        from_us: Conditions from here on are replaced.
        evaluation: Where the asset's evaluation stands now.
        conditions: What holds from `from_us` on, in order.
        opened: Items that only the correction brought to light.
        closed: Items that were open, and are closed by the correction or after it.
        changed: Items that were closed already, and close otherwise now.
        superseded: Items whose ground is gone.
    """

    from_us: int
    evaluation: Evaluation
    conditions: tuple[Condition, ...]
    opened: tuple[WorkItem, ...] = ()
    closed: tuple[WorkItem, ...] = ()
    changed: tuple[WorkItem, ...] = ()
    superseded: tuple[WorkItem, ...] = ()


def revision_start(old: Configurations, new: Configurations, until_us: int) -> int | None:
    """Return from when on everything must be decided again; None where nothing must.

    That is the start of the version, as now known, in which the two histories first differ: what
    is learned about a version depends on all of its rows.
    """
    differs_us = old.first_difference(new, until_us)
    if differs_us is None:
        return None
    return min(differs_us, new.at(differs_us).from_us)


def revise(
    *,
    profile: Profile,
    configurations: Configurations,
    rows: Iterable[Row],
    from_us: int,
    known: Sequence[WorkItem],
    context: Context,
    mode: str,
    mode_us: int,
    cause: Cause,
) -> Revision:
    """Decide the rows from `from_us` on with what is known now.

    Args:
        rows: All rows from `from_us` on, in order, as they were decided the first time.
        known: The items now held that opened, or were still open, at or after `from_us`.
        mode, mode_us: The operating mode in force before `from_us`, and when it was said.

    Returns:
        The revision. An item that is found again keeps its id and its first answer; one that is
        not is superseded, by the item that now covers its window, where there is one.
    """
    evaluation = Evaluation(
        profile=profile, configurations=configurations, mode=mode, mode_us=mode_us
    )
    facts = Evaluator(evaluation, context).advance(rows)
    conditions = tuple(f.condition for f in facts if isinstance(f, ConditionChanged))
    found: dict[str, WorkItem] = {
        f.item.work_item_id: f.item for f in facts if isinstance(f, WorkItemOpened)
    }
    found |= {f.item.work_item_id: f.item for f in facts if isinstance(f, WorkItemClosed)}
    cut = [_cut(item, from_us) for item in known if item.opened_us < from_us]
    closed, changed, superseded = [i for i in cut if i is not None], [], []
    kept: set[str] = set()
    for item in known:
        if item.opened_us < from_us or item.status in _GONE:
            continue
        again = found.get(item.work_item_id)
        if again is None:
            superseded.append(item.superseded(cause.sentence, _successor(item, found.values())))
            continue
        kept.add(item.work_item_id)
        if item.status is Status.OPEN and again.status is Status.CLOSED:
            closed.append(_merged(item, again))
        elif (item.closed_us, item.close_reason) != (again.closed_us, again.close_reason):
            changed.append(_merged(item, again))
    reason = Reason(cause.code, cause.subject)
    withdrawn = {i.work_item_id: i.version for i in known if i.status is Status.WITHDRAWN}
    opened = tuple(
        replace(
            item,
            trust=item.trust.degraded(Quality.GOOD, reason),
            version=item.version + withdrawn.get(item_id, 0),
        )
        for item_id, item in found.items()
        if item_id not in kept
    )
    if evaluation.item is not None:
        held = [i for i in opened if i.work_item_id == evaluation.item.work_item_id]
        held += [i for i in known if i.work_item_id == evaluation.item.work_item_id]
        evaluation.item = held[0] if held else evaluation.item
    return Revision(
        from_us=from_us,
        evaluation=evaluation,
        conditions=conditions,
        opened=opened,
        closed=tuple(closed),
        changed=tuple(changed),
        superseded=tuple(superseded),
    )


def with_context(
    rows: Sequence[Row], late: Sequence[Reading], *, column: int, row_us: int
) -> list[Row]:
    """Return the rows that a late context completes, completed; the others are left out.

    A row that said its context is left as it is, unless the late reading corrects it.
    """
    by_slot = {reading.observed_us // row_us: reading for reading in late}
    completed = []
    for row in rows:
        reading = by_slot.get(row.t_us // row_us)
        if reading is None or row.values[column] == reading.value:
            continue
        if math.isnan(row.values[column]) or reading.correction:
            values = (*row.values[:column], reading.value, *row.values[column + 1 :])
            completed.append(replace(row, values=values))
    return completed


def _cut(item: WorkItem, at_us: int) -> WorkItem | None:
    """Return an item that lasted beyond the new version's start as closed there."""
    if item.status in _GONE or (item.closed_us is not None and item.closed_us <= at_us):
        return None
    ended_us = at_us if item.degraded_to_us is None else min(at_us, item.degraded_to_us)
    return item.closed(at_us, CloseReason.CONFIGURATION_CHANGED, degraded_to_us=ended_us)


def _merged(item: WorkItem, again: WorkItem) -> WorkItem:
    """Return the item as first answered, with the end that it has now."""
    return replace(
        item,
        status=again.status,
        closed_us=again.closed_us,
        degraded_to_us=again.degraded_to_us,
        close_reason=again.close_reason,
        version=item.version + 1,
    )


def _successor(item: WorkItem, found: Iterable[WorkItem]) -> str:
    """Return the id of the new item whose window overlaps, the earliest first; else nothing."""
    end_us = item.degraded_to_us or item.closed_us
    for other in sorted(found, key=lambda i: i.onset_us):
        other_end_us = other.degraded_to_us or other.closed_us
        starts_in_time = end_us is None or other.onset_us < end_us
        if starts_in_time and (other_end_us is None or item.onset_us < other_end_us):
            return other.work_item_id
    return ""
