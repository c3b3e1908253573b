"""Models: submitted by an author, approved by a second person, active for a scope from a time."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from governance.model.contracts import Version
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import TypedId

MAX_SCOPE: Final = 64
MAX_TEXT: Final = 2000


class ModelName(TypedId):
    """A model, for example `pump-condition`."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


class ArtefactDigest(TypedId):
    """SHA-256 of a model's artefact: `sha256:` and 64 hexadecimal digits."""

    __slots__ = ()
    pattern = re.compile(r"sha256:[0-9a-f]{64}")


class ModelState(StrEnum):
    """Where a model version stands."""

    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a model holds. An empty set does not restrict."""

    asset_classes: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse scopes that nobody could read."""
        for values in (self.asset_classes, self.sites):
            if len(values) > MAX_SCOPE or any(not 0 < len(v) <= 128 for v in values):
                raise InvalidInputError(f"a scope names at most {MAX_SCOPE} short words")

    def overlaps(self, other: "Scope") -> bool:
        """Tell whether an asset could be in both."""
        pairs = ((self.asset_classes, other.asset_classes), (self.sites, other.sites))
        return all(not mine or not theirs or bool(mine & theirs) for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class BackTest:
    """The recorded proof on which a model is approved."""

    reference: str = ""
    metric: str = ""
    achieved: float | None = None
    baseline: str = ""
    baseline_achieved: float | None = None
    data_digest: str = ""

    def __post_init__(self) -> None:
        """Refuse texts without a bound and numbers that are none."""
        texts = (self.reference, self.metric, self.baseline, self.data_digest)
        if any(len(text) > MAX_TEXT for text in texts):
            raise InvalidInputError(f"a back-test's texts have at most {MAX_TEXT} characters")
        for number in (self.achieved, self.baseline_achieved):
            if number is not None and not abs(number) < float("inf"):
                raise InvalidInputError("a back-test's figures must be finite")


@dataclass(frozen=True, slots=True)
class Activation:
    """A model version is the active one for its scope during a period of plant time."""

    effective_from: datetime
    effective_to: datetime | None
    activated_by: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, from submission to retirement."""

    name: ModelName
    version: Version
    artefact_digest: ArtefactDigest
    scope: Scope
    back_test: BackTest
    description: str
    submitted_by: str
    submitted_at: datetime
    state: ModelState = ModelState.SUBMITTED
    approved_by: str = ""
    approved_at: datetime | None = None
    approval_note: str = ""
    activation: Activation | None = None

    def __post_init__(self) -> None:
        """Refuse texts without a bound."""
        if max(len(self.description), len(self.approval_note)) > MAX_TEXT:
            raise InvalidInputError(f"texts have at most {MAX_TEXT} characters")

    def same_content(self, other: "ModelVersion") -> bool:
        """Tell whether both say the same, whoever submitted them and when."""
        return (self.artefact_digest, self.scope, self.back_test, self.description) == (
            other.artefact_digest,
            other.scope,
            other.back_test,
            other.description,
        )

    def approved(self, *, by: str, at: datetime, note: str) -> Self:
        """Return this version as approved."""
        return replace(
            self,
            state=ModelState.APPROVED,
            approved_by=by,
            approved_at=at,
            approval_note=note,
        )

    def activated(self, activation: Activation) -> Self:
        """Return this version as active."""
        return replace(self, state=ModelState.ACTIVE, activation=activation)

    def until(self, end: datetime) -> Self:
        """Return this version with its period closed: its successor's begins."""
        assert self.activation is not None
        return replace(self, activation=replace(self.activation, effective_to=end))

    def retired(self, at: datetime) -> Self:
        """Return this version as retired; an open period ends at `at`."""
        ended = self
        if self.activation is not None and self.activation.effective_to is None:
            ended = self.until(max(at, self.activation.effective_from))
        return replace(ended, state=ModelState.RETIRED)
