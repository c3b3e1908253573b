"""How a model version may move: two persons, one period per scope at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from governance.decide.release_signatures import signature_changes
from governance.model.releases import (
    Activation,
    BackTest,
    ModelState,
    ModelVersion,
    Recall,
)
from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    PreconditionFailedError,
)
from twinmesh_sdk.core.times import format_time

LONGEST_APPROVAL: Final = timedelta(days=3 * 366)
NO_TRAINING: Final = "none: "
_RELEASABLE: Final = (ModelState.APPROVED, ModelState.SHADOW, ModelState.ACTIVE)
_ENDED: Final = (ModelState.RETIRED, ModelState.RECALLED)


@dataclass(frozen=True, slots=True)
class Released:
    """The version after the step, and everything that changed with it.

    Attributes:
        model: The version asked about.
        changed: Versions to save; empty when the step was taken before.
    """

    model: ModelVersion
    changed: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """A second person's word, and what it binds to: the artefact's digest, signed."""

    by: str
    at: datetime
    note: str
    expires_at: datetime
    signed: str


def submit(
    known: ModelVersion | None, submitted: ModelVersion, others: Sequence[ModelVersion] = ()
) -> Released:
    """Take a new version in; a repeat of the same content changes nothing.

    A draft may be replaced, by a further draft or for good. A submitted version never changes.

    Args:
        others: The other versions of the model: its signature must serve their callers, unless
            its major version is a new one.

    Raises:
        ConflictError: The version exists with another content.
        PreconditionFailedError: Its signature breaks callers of the version before it.
    """
    if submitted.state is ModelState.SUBMITTED:
        _check_signature(submitted, others)
    if known is None or known.state is ModelState.DRAFT:
        unchanged = known is not None and known.same_content(submitted)
        if known is not None and unchanged and known.state is submitted.state:
            return Released(known)
        return Released(submitted, (submitted,))
    if known.same_content(submitted):
        return Released(known)
    raise ConflictError(
        f"{known.name} {known.version} was submitted with another content",
        hint="a submitted version never changes: submit the next version",
    )


def _check_signature(submitted: ModelVersion, others: Sequence[ModelVersion]) -> None:
    earlier = [
        m for m in others if m.state is not ModelState.DRAFT and m.version < submitted.version
    ]
    if not earlier:
        return
    last = max(earlier, key=lambda m: m.version)
    if last.version.major != submitted.version.major:
        return
    found = signature_changes(last.signature, submitted.signature, model=str(submitted.name))
    if found:
        words = "; ".join(f"{f.code} {f.subject}: {f.message}" for f in found[:10])
        raise PreconditionFailedError(
            f"its signature breaks callers of {last.version}: {words}",
            hint="keep the signature, or submit it as the next major version",
        )


def approve(model: ModelVersion, approval: Approval) -> Released:
    """Approve by a second person.

    Raises:
        ForbiddenError: The approver submitted it.
        InvalidInputError: The approval has no sensible end.
        PreconditionFailedError: It is a draft or ended, or what an approval rests on is missing.
    """
    if model.submitted_by == approval.by:
        raise ForbiddenError(
            f"{approval.by} submitted {model.name} {model.version}, so another person approves it",
            hint="ask someone with the role models.approve",
        )
    if model.state in {ModelState.DRAFT, *_ENDED}:
        raise PreconditionFailedError(
            f"{model.name} {model.version} is {model.state}", hint="submit it, or the next version"
        )
    if model.state is not ModelState.SUBMITTED:
        return Released(model)
    if not approval.at < approval.expires_at <= approval.at + LONGEST_APPROVAL:
        raise InvalidInputError("an approval ends in the future, within three years")
    missing = [*_missing(model.back_test), *_untold(model)]
    if missing:
        raise PreconditionFailedError(
            f"{model.name} {model.version} cannot be approved: {'; '.join(missing)}",
            hint="submit a version with a back-test that beats its named baseline",
        )
    approved = model.approved(
        by=approval.by,
        at=approval.at,
        note=approval.note,
        expires_at=approval.expires_at,
        signed=approval.signed,
    )
    return Released(approved, (approved,))


def _missing(test: BackTest) -> list[str]:
    """Return what a back-test lacks, or does not show."""
    found = []
    if not test.reference:
        found.append("it has no recorded back-test")
    if not test.metric or test.achieved is None or test.threshold is None:
        found.append("its back-test names no metric with achieved value and threshold")
    elif not _at_least(test, test.achieved, test.threshold):
        found.append(f"its back-test misses the threshold {test.threshold:g} of {test.metric}")
    if not test.baseline or test.baseline_achieved is None:
        found.append("its back-test names no baseline")
    elif test.achieved is not None and not _beats(test, test.achieved, test.baseline_achieved):
        found.append(f"its back-test does not beat the baseline {test.baseline[:80]}")
    return found


def _untold(model: ModelVersion) -> list[str]:
    told = model.training_data
    if told.startswith(NO_TRAINING) and len(told) > len(NO_TRAINING):
        return []
    if told.startswith("sha256:") and len(told) == 71:
        return []
    return ["it names no snapshot of training data (sha256:…, or `none: ` and why)"]


def _at_least(test: BackTest, value: float, bound: float) -> bool:
    return value <= bound if test.lower_is_better else value >= bound


def _beats(test: BackTest, value: float, other: float) -> bool:
    return value < other if test.lower_is_better else value > other


def shadow(model: ModelVersion, *, now: datetime) -> Released:
    """Let an approved version run beside the active one, without deciding.

    Raises:
        PreconditionFailedError: It is not approved, or its approval has expired.
    """
    if model.state is ModelState.SHADOW:
        return Released(model)
    if model.state is not ModelState.APPROVED:
        raise _not_approved(model)
    _check_expiry(model, now)
    shadowing = model.shadowing()
    return Released(shadowing, (shadowing,))


def activate(
    model: ModelVersion,
    others: Iterable[ModelVersion],
    *,
    effective_from: datetime,
    by: str,
    at: datetime,
) -> Released:
    """Make a version the active one for its scope from a time on; its predecessor ends then.

    Args:
        model: The approved version.
        others: The other versions of the same model.
        effective_from: Plant time.
        by: Who activates.
        at: Wall time.

    Raises:
        PreconditionFailedError: Not approved; or the period would overlap another one's.
    """
    last = model.activation
    if last is not None and last.reaches(effective_from):
        if last.effective_from == effective_from and model.state is ModelState.ACTIVE:
            return Released(model)
        raise PreconditionFailedError(
            f"{model.name} {model.version} is active from {format_time(last.effective_from)}",
            hint="an activation does not move: activate the next version",
        )
    if model.state not in _RELEASABLE:
        raise _not_approved(model)
    _check_expiry(model, at)
    changed = [
        _ended_for(model, other, effective_from)
        for other in others
        if _meets(model, other, effective_from)
    ]
    active = model.activated(
        Activation(
            effective_from=effective_from, effective_to=None, activated_by=by, recorded_at=at
        )
    )
    return Released(active, (active, *changed))


def _ended_for(model: ModelVersion, other: ModelVersion, start: datetime) -> ModelVersion:
    """Return a version that ends where another one begins.

    Raises:
        PreconditionFailedError: It cannot: scopes that are neither equal nor apart, or a later one.
    """
    assert other.activation is not None
    if other.scope != model.scope:
        raise PreconditionFailedError(
            f"its scope overlaps that of {other.name} {other.version}",
            hint="retire that version, or choose scopes that are equal or apart",
        )
    started = other.activation.effective_from
    if start <= started or other.activation.effective_to is not None:
        raise PreconditionFailedError(
            f"{other.name} {other.version} is active from {format_time(started)}",
            hint=f"choose a time after {format_time(started)}",
        )
    return other.until(start)


def roll_back(
    model: ModelVersion, others: Iterable[ModelVersion], *, now: datetime, by: str, at: datetime
) -> Released:
    """End a version and let the one before it decide again, in one step.

    Args:
        model: The version that is active, or will be.
        others: The other versions of the same model.
        now: Plant time from which the earlier one decides again.
        by: Who rolls back.
        at: Wall time.

    Raises:
        PreconditionFailedError: It is not active, nothing came before it, or that was recalled.
    """
    last = model.activation
    if model.state is not ModelState.ACTIVE or last is None or not last.reaches(now):
        raise PreconditionFailedError(
            f"{model.name} {model.version} is not active", hint="see `twinmesh model list`"
        )
    before = predecessor(model, others)
    if before is None or before.state in _ENDED:
        gone = f"{before.version} before it is {before.state}" if before else "none came before it"
        raise PreconditionFailedError(
            f"{model.name} {model.version} cannot be rolled back: {gone}",
            hint="activate another version, or recall this one: the model then abstains",
        )
    if now <= last.effective_from:  # it never decided: take the step back
        ended, again = model.until(last.effective_from), before.reopened()
    else:
        again = before.activated(Activation(now, None, by, at))
        ended = model.until(now)
    ended = replace(ended, state=ModelState.APPROVED)
    return Released(ended, (ended, again))


def predecessor(model: ModelVersion, others: Iterable[ModelVersion]) -> ModelVersion | None:
    """Return the version that decided before one that is active, whatever became of it."""
    return next((other for other in others if _precedes(other, model)), None)


def _precedes(other: ModelVersion, model: ModelVersion) -> bool:
    """Tell whether a version ended where another one's last period began, in the same scope."""
    assert model.activation is not None
    last = other.activation
    return (
        other.version != model.version
        and last is not None
        and other.scope == model.scope
        and last.effective_to == model.activation.effective_from
    )


def retire(model: ModelVersion, *, at: datetime) -> Released:
    """End a version; while it has no successor, its model is not active any more.

    Args:
        model: The version.
        at: Plant time at which an open period ends.
    """
    if model.state in _ENDED:
        return Released(model)
    retired = model.retired(at)
    return Released(retired, (retired,))


def recall(model: ModelVersion, *, recall: Recall, now: datetime) -> Released:
    """Let a version decide nothing more, whatever its state; what it decided is withdrawn.

    Args:
        model: The version.
        recall: By whom, when and why.
        now: Plant time at which an open period ends.

    Raises:
        InvalidInputError: No reason is given.
    """
    if not 0 < len(recall.reason.strip()) <= 1000:
        raise InvalidInputError("a recall says why, in at most 1,000 characters")
    if model.state is ModelState.RECALLED:
        return Released(model)
    recalled = model.recalled(recall, now)
    return Released(recalled, (recalled,))


def model_at(
    models: Iterable[ModelVersion],
    *,
    at: datetime,
    asset_class: str = "",
    site: str = "",
    configuration: str = "",
) -> ModelVersion | None:
    """Return the version that was in force at a plant time for an asset.

    A recalled version decides at no time, also not in the past.
    """
    for model in models:
        if model.state is ModelState.RECALLED:
            continue
        if any(period.covers(at) for period in model.activations) and model.scope.holds_for(
            asset_class=asset_class, site=site, configuration=configuration
        ):
            return model
    return None


def _meets(model: ModelVersion, other: ModelVersion, start: datetime) -> bool:
    """Tell whether another version's period reaches into the one that begins at `start`."""
    last = other.activation
    if last is None or other.version == model.version or other.state is ModelState.RECALLED:
        return False
    return last.reaches(start) and model.scope.overlaps(other.scope)


def _check_expiry(model: ModelVersion, now: datetime) -> None:
    if model.approval_expires_at is not None and now >= model.approval_expires_at:
        raise PreconditionFailedError(
            f"the approval of {model.name} {model.version} expired at "
            f"{format_time(model.approval_expires_at)}",
            hint="submit the next version with a fresh back-test",
        )


def _not_approved(model: ModelVersion) -> PreconditionFailedError:
    return PreconditionFailedError(
        f"{model.name} {model.version} is {model.state}, not APPROVED",
        hint="have it approved by a second person",
    )
