import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide import releases
from governance.decide.publication import model_entries
from governance.model.contracts import Version
from governance.model.releases import (
    ArtefactDigest,
    BackTest,
    ModelName,
    ModelState,
    ModelVersion,
    Scope,
)
from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    PreconditionFailedError,
    TwinError,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


EVERYWHERE = Scope()


def version(number="1.0.0", *, scope=EVERYWHERE, reference="bt-1", digest="0" * 64):
    return ModelVersion(
        name=ModelName("pump-condition"),
        version=Version.parse(number),
        artefact_digest=ArtefactDigest("sha256:" + digest),
        scope=scope,
        back_test=BackTest(reference=reference),
        description="",
        submitted_by="author",
        submitted_at=T0,
    )


def approved(number="1.0.0", **parts):
    return releases.approve(version(number, **parts), by="reviewer", at=T0, note="").model


def activate(model, others=(), start=T0):
    return releases.activate(model, others, effective_from=start, by="reviewer", at=T0)


def test_submitting_again_changes_nothing():
    assert releases.submit(version(), version()).changed == ()


def test_a_submitted_version_never_changes():
    with pytest.raises(ConflictError):
        releases.submit(version(), version(digest="1" * 64))


def test_the_author_cannot_approve():
    with pytest.raises(ForbiddenError, match="another person"):
        releases.approve(version(), by="author", at=T0, note="")


def test_approval_needs_a_recorded_back_test():
    with pytest.raises(PreconditionFailedError, match="back-test"):
        releases.approve(version(reference=""), by="reviewer", at=T0, note="")


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
    assert model_entries([retired], T0) == {}


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


@given(st.lists(st.tuples(st.integers(0, 20), SCOPES, st.booleans()), max_size=12))
def test_effective_intervals_never_overlap(steps):
    models = {}
    for number, (hour, scope, retire) in enumerate(steps):
        model = approved(f"1.{number}.0", scope=scope)
        models[model.version] = model
        try:
            released = activate(model, [m for m in models.values() if m != model], T0 + hour * HOUR)
        except TwinError:
            continue
        models |= {m.version: m for m in released.changed}
        if retire:
            ended = releases.retire(released.model, at=T0 + (hour + 1) * HOUR).model
            models[ended.version] = ended
    for hour in range(-1, 24):
        at = T0 + hour * HOUR
        for asset_class in ("pump", "fan", "valve"):
            deciding = [
                m for m in models.values() if releases.model_at([m], at=at, asset_class=asset_class)
            ]
            assert len(deciding) <= 1
