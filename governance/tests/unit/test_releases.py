import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide import releases
from governance.decide.publication import model_entries
from governance.decide.releases import Approval
from governance.model.contracts import Version
from governance.model.releases import (
    ArtefactDigest,
    BackTest,
    Bound,
    ModelField,
    ModelName,
    ModelSchema,
    ModelState,
    ModelVersion,
    Recall,
    Scope,
)
from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    PreconditionFailedError,
    TwinError,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


EVERYWHERE = Scope()


GOOD = BackTest("bt-1", "F1", 0.8, "age only", 0.5, "d", 0.7)
NO_SCHEMA = ModelSchema()


def version(
    number="1.0.0",
    *,
    scope=EVERYWHERE,
    test=GOOD,
    digest="0" * 64,
    training="none: a test",
    schema=NO_SCHEMA,
    state=ModelState.SUBMITTED,
):
    return ModelVersion(
        name=ModelName("pump-condition"),
        version=Version.parse(number),
        artefact_digest=ArtefactDigest("sha256:" + digest),
        scope=scope,
        back_test=test,
        description="",
        submitted_by="author",
        submitted_at=T0,
        training_data=training,
        signature=schema,
        state=state,
    )


def approval(by="reviewer", days=30):
    return Approval(by, T0, "", T0 + timedelta(days=days), "00")


def approved(number="1.0.0", **parts):
    return releases.approve(version(number, **parts), approval()).model


def activate(model, others=(), start=T0):
    return releases.activate(model, others, effective_from=start, by="reviewer", at=T0)


def test_submitting_again_changes_nothing():
    assert releases.submit(version(), version()).changed == ()


def test_a_submitted_version_never_changes():
    with pytest.raises(ConflictError):
        releases.submit(version(), version(digest="1" * 64))


def test_the_author_cannot_approve():
    with pytest.raises(ForbiddenError, match="another person"):
        releases.approve(version(), approval("author"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reference": ""}, "no recorded back-test"),
        ({"metric": ""}, "names no metric"),
        ({"threshold": None}, "names no metric"),
        ({"threshold": 0.9}, "misses the threshold"),
        ({"baseline": ""}, "names no baseline"),
        ({"baseline_achieved": 0.8}, "does not beat"),
        ({"lower_is_better": True}, "misses the threshold"),
    ],
)
def test_approval_needs_a_back_test_that_beats_its_threshold_and_baseline(change, why):
    with pytest.raises(PreconditionFailedError, match=why):
        releases.approve(version(test=replace(GOOD, **change)), approval())


def test_an_error_is_better_when_it_is_lower():
    test = BackTest("bt", "RMSE", 0.2, "age only", 0.5, threshold=0.3, lower_is_better=True)

    assert releases.approve(version(test=test), approval()).model.state is ModelState.APPROVED


@pytest.mark.parametrize("training", ["", "none: ", "sha256:short", "somewhere"])
def test_approval_needs_the_snapshot_of_training_data(training):
    with pytest.raises(PreconditionFailedError, match="training data"):
        releases.approve(version(training=training), approval())


@pytest.mark.parametrize("days", [0, -1, 5000])
def test_an_approval_ends_in_a_foreseeable_future(days):
    with pytest.raises(InvalidInputError):
        releases.approve(version(), approval(days=days))


def test_an_expired_approval_activates_nothing():
    model = approved()

    with pytest.raises(PreconditionFailedError, match="expired"):
        releases.activate(model, [], effective_from=T0, by="reviewer", at=T0 + timedelta(days=31))


def test_a_draft_changes_until_it_is_submitted_and_is_never_approved():
    draft = releases.submit(None, version(state=ModelState.DRAFT)).model
    other = releases.submit(draft, version(state=ModelState.DRAFT, digest="1" * 64))
    with pytest.raises(PreconditionFailedError, match="DRAFT"):
        releases.approve(other.model, approval())
    final = releases.submit(other.model, version(digest="1" * 64))

    assert final.model.state is ModelState.SUBMITTED
    assert final.changed


FLOW = ModelField("flow", "double", "m3/s")
PROBABILITY = ModelField("probability", "double", "1")


@pytest.mark.parametrize(
    ("inputs", "outputs", "code"),
    [
        ((FLOW, ModelField("power", "double", "W")), (PROBABILITY,), "INPUT_ADDED"),
        ((replace(FLOW, unit="m3/h"),), (PROBABILITY,), "INPUT_CHANGED"),
        ((FLOW,), (), "OUTPUT_REMOVED"),
        ((FLOW,), (replace(PROBABILITY, kind="string"),), "OUTPUT_CHANGED"),
    ],
)
def test_a_signature_that_breaks_callers_needs_a_new_major(inputs, outputs, code):
    held = [version("1.0.0", schema=ModelSchema((FLOW,), (PROBABILITY,)))]
    changed = ModelSchema(inputs, outputs)

    with pytest.raises(PreconditionFailedError, match=code):
        releases.submit(None, version("1.1.0", schema=changed), held)
    assert releases.submit(None, version("2.0.0", schema=changed), held).changed


def test_a_signature_that_serves_callers_is_taken():
    held = [version("1.0.0", schema=ModelSchema((FLOW,), (PROBABILITY,)))]
    more = ModelSchema(
        (FLOW, ModelField("power", "double", "W", optional=True)),
        (PROBABILITY, ModelField("lead_time", "double", "s")),
    )

    assert releases.submit(None, version("1.1.0", schema=more), held).changed
    without = ModelSchema((), (PROBABILITY,))
    assert releases.submit(None, version("1.1.0", schema=without), held).changed


def roll_back(model, others, now):
    return releases.roll_back(model, others, now=now, by="reviewer", at=T0)


def test_a_roll_back_lets_the_one_before_decide_again():
    old = activate(approved("1.0.0")).model
    new, closed = activate(approved("1.1.0"), [old], T0 + HOUR).changed
    done = roll_back(new, [closed], T0 + 2 * HOUR)
    models = list(done.changed)

    said = [str(releases.model_at(models, at=T0 + h * HOUR).version) for h in (0, 1, 2, 9)]
    assert said == ["1.0.0", "1.1.0", "1.0.0", "1.0.0"]


def test_a_roll_back_before_it_decided_leaves_no_trace():
    old = activate(approved("1.0.0")).model
    new, closed = activate(approved("1.1.0"), [old], T0 + 2 * HOUR).changed
    done = roll_back(new, [closed], T0 + HOUR)

    assert done.model.activations == ()
    assert done.changed[1].activations == old.activations


def test_nothing_before_it_means_no_roll_back():
    with pytest.raises(PreconditionFailedError, match="none came before"):
        roll_back(activate(approved()).model, [], T0 + HOUR)


def test_a_recalled_version_decides_at_no_time_and_is_no_way_back():
    old = activate(approved("1.0.0")).model
    new, closed = activate(approved("1.1.0"), [old], T0 + HOUR).changed
    recalled = releases.recall(
        closed, recall=Recall("reviewer", T0, "trained on leaked labels"), now=T0 + 2 * HOUR
    ).model

    assert releases.model_at([recalled, new], at=T0) is None
    with pytest.raises(PreconditionFailedError, match="RECALLED"):
        roll_back(new, [recalled], T0 + 2 * HOUR)
    entries = model_entries([recalled, new], T0)
    assert [v["version"] for v in json.loads(entries["schedule.pump-condition"])["versions"]] == [
        "1.1.0"
    ]
    assert json.loads(entries["recalled.pump-condition"])["versions"][0]["version"] == "1.0.0"


def test_a_recall_says_why():
    with pytest.raises(InvalidInputError):
        releases.recall(approved(), recall=Recall("reviewer", T0, " "), now=T0)


def test_a_shadow_is_approved_and_may_be_activated():
    shadow = releases.shadow(approved(), now=T0).model

    assert json.loads(model_entries([shadow], T0)["shadow.pump-condition"])["versions"]
    assert activate(shadow).model.state is ModelState.ACTIVE
    with pytest.raises(PreconditionFailedError, match="not APPROVED"):
        releases.shadow(version(), now=T0)


def test_scopes_with_operating_ranges_apart_do_not_meet():
    low = Scope(envelope=frozenset({Bound("flow", 0.0, 1.0)}))
    high = Scope(envelope=frozenset({Bound("flow", 1.5, 2.0), Bound("power", 0.0, 9.0)}))
    wide = Scope(envelope=frozenset({Bound("flow", 0.5, 3.0)}))

    assert not low.overlaps(high)
    assert low.overlaps(wide)
    assert high.overlaps(Scope())


def test_only_an_approved_version_becomes_active():
    with pytest.raises(PreconditionFailedError, match="not APPROVED"):
        activate(version())


def test_the_predecessor_ends_when_its_successor_begins():
    old = activate(approved("1.0.0")).model
    released = activate(approved("1.1.0"), [old], T0 + HOUR)
    models = list(released.changed)

    assert [str(m.version) for m in models] == ["1.1.0", "1.0.0"]
    assert releases.model_at(models, at=T0).version == Version.parse("1.0.0")
    assert releases.model_at(models, at=T0 + HOUR).version == Version.parse("1.1.0")
    assert releases.model_at(models, at=T0 - HOUR) is None


def test_activation_before_the_one_in_force_is_refused():
    old = activate(approved("1.0.0")).model

    with pytest.raises(PreconditionFailedError, match="is active from"):
        activate(approved("1.1.0"), [old], T0)


def test_scopes_that_overlap_without_being_equal_are_refused():
    pumps = activate(approved("1.0.0", scope=Scope(frozenset({"pump"})))).model

    with pytest.raises(PreconditionFailedError, match="overlaps"):
        activate(approved("1.1.0"), [pumps], T0 + HOUR)

    fans = activate(approved("1.1.0", scope=Scope(frozenset({"fan"}))), [pumps], T0 + HOUR)
    assert len(fans.changed) == 1


def test_a_retired_version_decides_nothing_more():
    retired = releases.retire(activate(approved()).model, at=T0 + HOUR).model

    assert retired.state is ModelState.RETIRED
    assert releases.model_at([retired], at=T0).version == Version.parse("1.0.0")
    assert releases.model_at([retired], at=T0 + HOUR) is None
    assert set(model_entries([retired], T0)) == {"schedule.pump-condition"}


def test_what_is_published_names_both_persons_and_the_schedule():
    old = activate(approved("1.0.0")).model
    new, closed = activate(approved("1.1.0"), [old], T0 + HOUR).changed
    before, after = (
        json.loads(model_entries([closed, new], at)["active.pump-condition"])
        for at in (T0, T0 + HOUR)
    )
    entry = json.dumps(after, separators=(",", ":"))

    assert (before["version"], after["version"]) == ("1.0.0", "1.1.0")
    assert [r["version"] for r in after["schedule"]] == ["1.0.0", "1.1.0"]
    assert '"approved_by":"reviewer"' in entry
    assert '"submitted_by":"author"' in entry
    assert entry.count('"effective_from"') == 3


SCOPES = st.sampled_from(
    [
        Scope(),
        Scope(frozenset({"pump"})),
        Scope(frozenset({"fan"})),
        Scope(frozenset({"pump", "fan"})),
    ]
)


STEPS = st.sampled_from(["none", "retire", "roll back", "recall"])


@given(st.lists(st.tuples(st.integers(0, 20), SCOPES, STEPS), max_size=12))
def test_effective_intervals_never_overlap(steps):
    models = {}
    for number, (hour, scope, step) in enumerate(steps):
        model = approved(f"1.{number}.0", scope=scope)
        models[model.version] = model
        others = [m for m in models.values() if m != model]
        try:
            released = activate(model, others, T0 + hour * HOUR)
            models |= {m.version: m for m in released.changed}
            then, held = T0 + (hour + 1) * HOUR, models[model.version]
            if step == "retire":
                released = releases.retire(held, at=then)
            elif step == "recall":
                released = releases.recall(held, recall=Recall("r", T0, "x"), now=then)
            elif step == "roll back":
                rest = [m for m in models.values() if m.version != model.version]
                released = roll_back(held, rest, then)
            models |= {m.version: m for m in released.changed}
        except TwinError:
            continue
    for hour in range(-1, 24):
        at = T0 + hour * HOUR
        for asset_class in ("pump", "fan", "valve"):
            deciding = [
                m for m in models.values() if releases.model_at([m], at=at, asset_class=asset_class)
            ]
            assert len(deciding) <= 1
