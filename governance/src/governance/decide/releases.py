"""How a model version may move: two persons, one period per scope at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from governance.model.releases import Activation, ModelState, ModelVersion
from twinmesh_sdk.core.errors import (
    ConflictError,
    ForbiddenError,
    PreconditionFailedError,
)
from twinmesh_sdk.core.times import format_time


@dataclass(frozen=True, slots=True)
class Released:
    """The version after the step, and everything that changed with it.

    Attributes:
        model: The version asked about.
        changed: Versions to save; empty when the step was taken before.
    """

    model: ModelVersion
    changed: tuple[ModelVersion, ...] = ()


def submit(known: ModelVersion | None, submitted: ModelVersion) -> Released:
    """Take a new version in; a repeat of the same content changes nothing.

    Raises:
        ConflictError: The version exists with another content.
    """
    if known is None:
        return Released(submitted, (submitted,))
    if known.same_content(submitted):
        return Released(known)
    raise ConflictError(
        f"{known.name} {known.version} was submitted with another content",
        hint="a submitted version never changes: submit the next version",
    )


def approve(model: ModelVersion, *, by: str, at: datetime, note: str) -> Released:
    """Approve by a second person.

    Raises:
        ForbiddenError: The approver submitted it.
        PreconditionFailedError: It is retired, or has no recorded back-test.
    """
    if model.submitted_by == by:
        raise ForbiddenError(
            f"{by} submitted {model.name} {model.version}, so another person approves it",
            hint="ask someone with the role models.approve",
        )
    if model.state is ModelState.RETIRED:
        raise PreconditionFailedError(
            f"{model.name} {model.version} is retired", hint="submit the next version"
        )
    if model.state is not ModelState.SUBMITTED:
        return Released(model)
    if not model.back_test.reference:
        raise PreconditionFailedError(
            f"{model.name} {model.version} has no recorded back-test",
            hint="submit a version with a back-test's reference",
        )
    approved = model.approved(by=by, at=at, note=note)
    return Released(approved, (approved,))


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
    if model.state is ModelState.ACTIVE and model.activation is not None:
        if model.activation.effective_from == effective_from:
            return Released(model)
        raise PreconditionFailedError(
            f"{model.name} {model.version} is active from "
            f"{format_time(model.activation.effective_from)}",
            hint="an activation does not move: activate the next version",
        )
    if model.state is not ModelState.APPROVED:
        raise PreconditionFailedError(
            f"{model.name} {model.version} is {model.state}, not APPROVED",
            hint="have it approved by a second person",
        )
    changed = []
    for other in others:
        if not _meets(model, other, effective_from):
            continue
        assert other.activation is not None
        started = other.activation.effective_from
        if other.scope != model.scope:
            raise PreconditionFailedError(
                f"its scope overlaps that of {other.name} {other.version}",
                hint="retire that version, or choose scopes that are equal or apart",
            )
        if effective_from <= started or other.activation.effective_to is not None:
            raise PreconditionFailedError(
                f"{other.name} {other.version} is active from {format_time(started)}",
                hint=f"choose a time after {format_time(started)}",
            )
        changed.append(other.until(effective_from))
    active = model.activated(
        Activation(
            effective_from=effective_from, effective_to=None, activated_by=by, recorded_at=at
        )
    )
    return Released(active, (active, *changed))


def retire(model: ModelVersion, *, at: datetime) -> Released:
    """End a version; while it has no successor, its model is not active any more.

    Args:
        model: The version.
        at: Plant time at which an open period ends.
    """
    if model.state is ModelState.RETIRED:
        return Released(model)
    retired = model.retired(at)
    return Released(retired, (retired,))


def model_at(
    models: Iterable[ModelVersion], *, at: datetime, asset_class: str = "", site: str = ""
) -> ModelVersion | None:
    """Return the version that was in force at a plant time for an asset of a class and site."""
    for model in models:
        period = model.activation
        if period is None or not period.effective_from <= at:
            continue
        if period.effective_to is not None and at >= period.effective_to:
            continue
        classes, sites = model.scope.asset_classes, model.scope.sites
        if (not classes or asset_class in classes) and (not sites or site in sites):
            return model
    return None


def _meets(model: ModelVersion, other: ModelVersion, start: datetime) -> bool:
    """Tell whether another version's period reaches into the one that begins at `start`."""
    period = other.activation
    if period is None or other.version == model.version:
        return False
    ends_before = period.effective_to is not None and period.effective_to <= start
    empty = period.effective_to == period.effective_from
    return not ends_before and not empty and model.scope.overlaps(other.scope)
