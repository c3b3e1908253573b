"""Facts about one asset, as a change to be saved."""

from collections.abc import Iterable

from maintenance_twin.decide.evaluate import ConditionChanged, Fact, WorkItemClosed, WorkItemOpened
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.ports import Change, ConditionRewrite, StateAnnouncement


def announcement(condition: Condition, previous: State | None) -> StateAnnouncement:
    """Return how a condition is told to others."""
    return StateAnnouncement(
        previous=previous,
        current=condition.state,
        at_us=condition.from_us,
        reasons=condition.reasons,
        configuration_id=condition.configuration_id,
        model_version=condition.model_version,
        work_item_id=condition.work_item_id,
        inputs_digest=condition.inputs_digest,
    )


def add_facts(change: Change, facts: Iterable[Fact]) -> None:
    """Write facts into a change. While inputs are silent the state told stays UNKNOWN."""
    conditions: list[Condition] = []
    silent = change.twin.silent_us is not None
    for fact in facts:
        match fact:
            case ConditionChanged(condition=condition, previous=previous, model_changed=changed):
                conditions.append(condition)
                if not silent and (changed or previous is not condition.state):
                    change.announcements.append(announcement(condition, previous))
            case WorkItemOpened(item=item) | WorkItemClosed(item=item):
                change.items.append(item)
    if conditions:
        change.rewrites.append(
            ConditionRewrite(Axis.CONDITION, conditions[0].from_us, tuple(conditions))
        )
