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
MAX_FIELDS: Final = 256
MAX_NAME: Final = 128
MAX_ACTIVATIONS: Final = 200


class ModelName(TypedId):
    """A model, for example `pump-condition`."""

    __slots__ = ()
    pattern = re.compile(r"(?=.{1,64}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")


class ArtefactDigest(TypedId):
    """SHA-256 of a model's artefact: `sha256:` and 64 hexadecimal digits."""

    __slots__ = ()
    pattern = re.compile(r"sha256:[0-9a-f]{64}")

    @property
    def object_name(self) -> str:
        """Its name in the object store."""
        return f"artefact-{self.removeprefix('sha256:')}"


class ModelState(StrEnum):
    """Where a model version stands."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    APPROVED = "APPROVED"
    SHADOW = "SHADOW"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"
    RECALLED = "RECALLED"


@dataclass(frozen=True, slots=True, order=True)
class Bound:
    """What a signal may say while a model holds, ends included, in the signal's SI unit."""

    signal: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        if not 0 < len(self.signal) <= MAX_NAME:
            raise InvalidInputError("a bound of an envelope names its signal")
        if not -float("inf") < self.low <= self.high < float("inf"):
            raise InvalidInputError(f"the bounds of {self.signal[:40]} must be finite, low <= high")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a model holds. An empty set does not restrict.

    Attributes:
        configurations: Configuration versions of assets.
        envelope: Operating range; signals that are not named are free.
    """

    asset_classes: frozenset[str] = frozenset()
    sites: frozenset[str] = frozenset()
    configurations: frozenset[str] = frozenset()
    envelope: frozenset[Bound] = frozenset()

    def __post_init__(self) -> None:
        """Refuse scopes that nobody could read."""
        for values in (self.asset_classes, self.sites, self.configurations):
            if len(values) > MAX_SCOPE or any(not 0 < len(v) <= MAX_NAME for v in values):
                raise InvalidInputError(f"a scope names at most {MAX_SCOPE} short words")
        named = {bound.signal for bound in self.envelope}
        if len(self.envelope) > MAX_SCOPE or len(named) != len(self.envelope):
            raise InvalidInputError(f"an envelope bounds at most {MAX_SCOPE} signals, each once")

    def overlaps(self, other: "Scope") -> bool:
        """Tell whether an asset, in some state of operation, could be in both."""
        pairs = (
            (self.asset_classes, other.asset_classes),
            (self.sites, other.sites),
            (self.configurations, other.configurations),
        )
        if not all(not mine or not theirs or bool(mine & theirs) for mine, theirs in pairs):
            return False
        theirs_by = {bound.signal: bound for bound in other.envelope}
        return all(
            bound.low <= theirs_by[bound.signal].high and theirs_by[bound.signal].low <= bound.high
            for bound in self.envelope
            if bound.signal in theirs_by
        )

    def holds_for(self, *, asset_class: str, site: str, configuration: str) -> bool:
        """Tell whether an asset is in it, whatever it does at the moment."""
        pairs = (
            (self.asset_classes, asset_class),
            (self.sites, site),
            (self.configurations, configuration),
        )
        return all(not wanted or value in wanted for wanted, value in pairs)


@dataclass(frozen=True, slots=True)
class ModelField:
    """One input or output of a model.

    Attributes:
        kind: For example double, long, string, boolean.
        unit: UCUM code; empty where it has none.
        optional: Of an input: the model does without it.
    """

    name: str
    kind: str
    unit: str = ""
    optional: bool = False

    def __post_init__(self) -> None:
        """Refuse names that are none."""
        if not 0 < len(self.name) <= MAX_NAME or not 0 < len(self.kind) <= MAX_NAME:
            raise InvalidInputError("a field of a signature has a name and a kind")
        if len(self.unit) > MAX_NAME:
            raise InvalidInputError("a unit is a short UCUM code")


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """What a model reads and says: a schema, and governed like one."""

    inputs: tuple[ModelField, ...] = ()
    outputs: tuple[ModelField, ...] = ()

    def __post_init__(self) -> None:
        """Refuse lists without a bound, and names that are there twice."""
        for fields in (self.inputs, self.outputs):
            if len(fields) > MAX_FIELDS or len({f.name for f in fields}) != len(fields):
                raise InvalidInputError(f"a signature has at most {MAX_FIELDS} fields, each once")


@dataclass(frozen=True, slots=True)
class BackTest:
    """The recorded proof on which a model is approved.

    Attributes:
        threshold: What had to be achieved.
        lower_is_better: Of the metric, for example an error.
    """

    reference: str = ""
    metric: str = ""
    achieved: float | None = None
    baseline: str = ""
    baseline_achieved: float | None = None
    data_digest: str = ""
    threshold: float | None = None
    lower_is_better: bool = False

    def __post_init__(self) -> None:
        """Refuse texts without a bound and numbers that are none."""
        texts = (self.reference, self.metric, self.baseline, self.data_digest)
        if any(len(text) > MAX_TEXT for text in texts):
            raise InvalidInputError(f"a back-test's texts have at most {MAX_TEXT} characters")
        for number in (self.achieved, self.baseline_achieved, self.threshold):
            if number is not None and not abs(number) < float("inf"):
                raise InvalidInputError("a back-test's figures must be finite")


@dataclass(frozen=True, slots=True)
class Activation:
    """A model version is the active one for its scope during a period of plant time."""

    effective_from: datetime
    effective_to: datetime | None
    activated_by: str
    recorded_at: datetime

    def covers(self, moment: datetime) -> bool:
        """Tell whether a plant time lies in it."""
        return self.effective_from <= moment and (
            self.effective_to is None or moment < self.effective_to
        )

    def reaches(self, start: datetime) -> bool:
        """Tell whether something of it lies at or after a plant time."""
        return self.effective_to is None or self.effective_to > start


@dataclass(frozen=True, slots=True)
class Recall:
    """A version must not decide, and what it decided is withdrawn; wall time."""

    recalled_by: str
    recalled_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, from its draft to its end.

    Attributes:
        training_data: Digest of the snapshot that it was trained on, or `none: ` and why.
        signed: Governance's signature over the artefact's digest, hexadecimal; set by approval.
        approval_expires_at: Wall time after which it cannot be activated any more.
        activations: Its periods, oldest first; they never overlap.
    """

    name: ModelName
    version: Version
    artefact_digest: ArtefactDigest
    scope: Scope
    back_test: BackTest
    description: str
    submitted_by: str
    submitted_at: datetime
    training_data: str = ""
    signature: ModelSchema = ModelSchema()
    state: ModelState = ModelState.SUBMITTED
    approved_by: str = ""
    approved_at: datetime | None = None
    approval_note: str = ""
    approval_expires_at: datetime | None = None
    signed: str = ""
    activations: tuple[Activation, ...] = ()
    recall: Recall | None = None

    def __post_init__(self) -> None:
        """Refuse texts without a bound."""
        if max(map(len, (self.description, self.approval_note, self.training_data))) > MAX_TEXT:
            raise InvalidInputError(f"texts have at most {MAX_TEXT} characters")
        if len(self.activations) > MAX_ACTIVATIONS:
            raise InvalidInputError(f"a version has at most {MAX_ACTIVATIONS} periods")

    @property
    def activation(self) -> Activation | None:
        """Its last period; None before the first."""
        return self.activations[-1] if self.activations else None

    def same_content(self, other: "ModelVersion") -> bool:
        """Tell whether both say the same, whoever submitted them and when."""

        def content(model: "ModelVersion") -> tuple[object, ...]:
            return (
                model.artefact_digest,
                model.scope,
                model.back_test,
                model.description,
                model.training_data,
                model.signature,
            )

        return content(self) == content(other)

    def approved(
        self, *, by: str, at: datetime, note: str, expires_at: datetime, signed: str
    ) -> Self:
        """Return this version as approved."""
        return replace(
            self,
            state=ModelState.APPROVED,
            approved_by=by,
            approved_at=at,
            approval_note=note,
            approval_expires_at=expires_at,
            signed=signed,
        )

    def shadowing(self) -> Self:
        """Return this version as running beside the active one."""
        return replace(self, state=ModelState.SHADOW)

    def activated(self, activation: Activation) -> Self:
        """Return this version as active for one more period."""
        return replace(self, state=ModelState.ACTIVE, activations=(*self.activations, activation))

    def until(self, end: datetime) -> Self:
        """Return this version with its last period ended: its successor's begins.

        A period that would end when it begins, or before, never was: it is left out.
        """
        *earlier, last = self.activations
        if end <= last.effective_from:
            return replace(self, activations=tuple(earlier))
        return replace(self, activations=(*earlier, replace(last, effective_to=end)))

    def reopened(self) -> Self:
        """Return this version with its last period open again."""
        *earlier, last = self.activations
        return replace(self, activations=(*earlier, replace(last, effective_to=None)))

    def retired(self, at: datetime) -> Self:
        """Return this version as retired; what lies beyond `at` of its last period is left out."""
        last = self.activation
        ended = self.until(at) if last is not None and last.reaches(at) else self
        return replace(ended, state=ModelState.RETIRED)

    def recalled(self, recall: Recall, at: datetime) -> Self:
        """Return this version as recalled, and ended at plant time `at`."""
        return replace(self.retired(at), state=ModelState.RECALLED, recall=recall)
