"""S2: a configuration that is recorded late is decided as if it had been recorded in time."""

from dataclasses import replace

import pytest

from maintenance_twin.decide.evaluate import (
    ConditionChanged,
    Context,
    WorkItemClosed,
    WorkItemOpened,
)
from maintenance_twin.decide.revise import Cause, revise, revision_start, with_context
from maintenance_twin.decide.twin import new_twin, take
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.release import Releases
from maintenance_twin.model.tuning import DEFAULT, US
from maintenance_twin.model.work_item import CloseReason, Status
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import OPEN_US

TENANT = Tenant("acme")
START_US = 1_767_225_600_000_000
CONTEXT = Context(TENANT, Releases.always("1.0.0"), DEFAULT)
FIRST, LATE, LAST = ("cfg_" + digit * 26 for digit in "012")


def at(seconds):
    return START_US + seconds * US


def history(*starts):
    """Return versions that follow each other: (id, first second)."""
    ends = [start for _, start in starts[1:]] + [None]
    return Configurations.of(
        Span(at(start), OPEN_US if end is None else at(end), name)
        for (name, start), end in zip(starts, ends, strict=True)
    )


def run(skid, configurations):
    twin = new_twin(TENANT, skid.profile(), configurations, DEFAULT)
    facts = take(twin, skid.readings(), CONTEXT)
    held = {}
    for fact in facts:
        if isinstance(fact, WorkItemOpened | WorkItemClosed):
            held[fact.item.work_item_id] = fact.item
    conditions = [f.condition for f in facts if isinstance(f, ConditionChanged)]
    return twin, held, conditions


def corrected(twin, held, new):
    """Return the revision, and the items held after it."""
    old, rows = twin.evaluation.configurations, twin.unlogged
    from_us = revision_start(old, new, twin.evaluation.last_us)
    known = [
        i for i in held.values() if i.opened_us >= from_us or (i.closed_us or OPEN_US) > from_us
    ]
    revision = revise(
        profile=twin.profile,
        configurations=new,
        rows=[r for r in rows if r.t_us >= from_us],
        from_us=from_us,
        known=known,
        context=CONTEXT,
        mode="",
        mode_us=0,
        cause=Cause.configuration(new.at(from_us).configuration_id),
    )
    after = dict(held)
    for item in (*revision.superseded, *revision.closed, *revision.changed, *revision.opened):
        after[item.work_item_id] = item
    return revision, after


def essence(item):
    return replace(item, version=1, trust=None)


@pytest.mark.parametrize("fault_s", [700, 900, 1300])
@pytest.mark.parametrize("late_s", [200, 650, 880, 1000, 1100, 1900])
def test_a_late_version_is_decided_as_if_it_had_been_known(made_skid, fault_s, late_s):
    skid = made_skid(seconds=2400, fault_s=fault_s)
    twin, held, _ = run(skid, history((FIRST, 0)))
    new = history((FIRST, 0), (LATE, late_s))
    _, wanted, wanted_conditions = run(skid, new)

    revision, after = corrected(twin, held, new)

    standing = {
        i: essence(item) for i, item in after.items() if item.status is not Status.SUPERSEDED
    }
    assert standing == {i: essence(item) for i, item in wanted.items()}
    assert list(revision.conditions) == [c for c in wanted_conditions if c.from_us >= at(late_s)]
    assert revision.evaluation.charts.keys() == {""}


def test_versions_after_the_late_one_keep_their_items(made_skid):
    skid = made_skid(seconds=3000, fault_s=2300)
    twin, held, _ = run(skid, history((FIRST, 0), (LAST, 1500)))
    new = history((FIRST, 0), (LATE, 700), (LAST, 1500))

    revision, after = corrected(twin, held, new)

    assert after == held
    assert len(held) == 1
    assert revision.superseded == revision.opened == ()


def test_an_open_item_is_closed_where_the_late_version_began(made_skid):
    skid = made_skid(seconds=2400, fault_s=800)
    twin, held, _ = run(skid, history((FIRST, 0)))
    (item,) = held.values()

    revision, _ = corrected(twin, held, history((FIRST, 0), (LATE, 1800)))

    (closed,) = revision.closed
    assert closed.work_item_id == item.work_item_id
    assert closed.close_reason is CloseReason.CONFIGURATION_CHANGED
    assert closed.closed_us == at(1800)
    assert revision.superseded == ()


def test_an_item_under_the_wrong_version_is_superseded_and_names_its_successor(made_skid):
    skid = made_skid(seconds=2400, fault_s=1200)
    twin, held, _ = run(skid, history((FIRST, 0)))

    revision, _ = corrected(twin, held, history((FIRST, 0), (LATE, 500)))

    (gone,), (found,) = revision.superseded, revision.opened
    assert gone.superseded_by == found.work_item_id
    assert LATE in gone.correction
    assert found.configuration_id == LATE
    assert "CONFIGURATION_RECORDED_LATE" in {r.code for r in found.trust.reasons}
    assert revision.evaluation.item == found


def test_a_withdrawn_version_is_decided_again_from_the_one_that_held(made_skid):
    skid = made_skid(seconds=2400, fault_s=1700)
    twin, held, _ = run(skid, history((FIRST, 0), (LATE, 700)))
    new = history((FIRST, 0))
    _, wanted, _ = run(skid, new)

    assert revision_start(twin.evaluation.configurations, new, at(2400)) == at(0)
    _, after = corrected(twin, held, new)

    standing = {
        i: essence(item) for i, item in after.items() if item.status is not Status.SUPERSEDED
    }
    assert standing == {i: essence(item) for i, item in wanted.items()}


def test_a_version_in_the_future_changes_nothing_yet():
    old, new = history((FIRST, 0)), history((FIRST, 0), (LATE, 5000))

    assert revision_start(old, new, at(2400)) is None


@pytest.mark.parametrize("silent_from_s", [0, 300, 700])
def test_a_late_mode_is_decided_as_if_it_had_been_known(made_skid, silent_from_s):
    skid = made_skid(seconds=2000, fault_s=900, mode=True)
    wanted_twin, wanted, wanted_conditions = run(skid, history((FIRST, 0)))
    readings = skid.readings()
    late = [
        r for r in readings if r.name == "operating_mode" and r.observed_us >= at(silent_from_s)
    ]
    twin = new_twin(TENANT, skid.profile(), history((FIRST, 0)), DEFAULT)
    in_time = [
        r for r in readings if r.name != "operating_mode" or r.observed_us < at(silent_from_s)
    ]
    assert not any(isinstance(f, WorkItemOpened) for f in take(twin, in_time, CONTEXT))

    assert take(twin, late, CONTEXT) == ()

    column = [s.name for s in twin.profile.signals].index("operating_mode")
    completed = {
        r.t_us: r
        for r in with_context(
            twin.unlogged, twin.alignment.overtaken, column=column, row_us=twin.profile.row_us
        )
    }
    rows = [completed.get(r.t_us, r) for r in twin.unlogged]
    assert [r.values for r in rows] == [r.values for r in wanted_twin.unlogged]
    revision = revise(
        profile=twin.profile,
        configurations=history((FIRST, 0)),
        rows=rows,
        from_us=at(0),
        known=[],
        context=CONTEXT,
        mode="",
        mode_us=0,
        cause=Cause.context("operating_mode"),
    )
    assert [essence(i) for i in revision.opened] == [essence(i) for i in wanted.values()]
    assert list(revision.conditions) == wanted_conditions
    assert {r.code for i in revision.opened for r in i.trust.reasons} == {"CONTEXT_ARRIVED_LATE"}


def test_a_late_mode_that_repeats_what_was_said_completes_nothing(made_skid):
    twin, _, _ = run(made_skid(mode=True), history((FIRST, 0)))
    column = [s.name for s in twin.profile.signals].index("operating_mode")
    late = [r for r in made_skid(mode=True).readings() if r.name == "operating_mode"]

    again = with_context(twin.unlogged, late, column=column, row_us=twin.profile.row_us)
    other = [replace(r, value=4.0) for r in late]
    corrected_late = [replace(r, value=4.0, correction=True) for r in late]

    assert again == []
    assert with_context(twin.unlogged, other, column=column, row_us=twin.profile.row_us) == []
    assert len(
        with_context(twin.unlogged, corrected_late, column=column, row_us=twin.profile.row_us)
    ) == len(twin.unlogged)
