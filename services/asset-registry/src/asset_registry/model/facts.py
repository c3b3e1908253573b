"""Facts about assets. Each knows its lane: of one lane, one fact holds at a time."""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import (
    AssetId,
    ConfigurationId,
    SignalId,
    SubjectToken,
    Tenant,
    derived_id,
)
from twinmesh_sdk.core.units import conversion_of

Lane: TypeAlias = tuple[str, ...]

MAX_NAME_CHARS: Final = 200
MAX_ATTRIBUTES_CHARS: Final = 16_384
MAX_ATTRIBUTES_DEPTH: Final = 8
MAX_WHOLE: Final = 2**53
MAX_CADENCE_S: Final = 366.0 * 86_400.0
MAX_STUCK_AFTER: Final = 1_000_000

_CLASS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:-]{0,63}")
_SYSTEM: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
_OFFSET: Final = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")


class Lifecycle(StrEnum):
    """Where an asset stands between plan and scrap."""

    PLANNED = "PLANNED"
    IN_SERVICE = "IN_SERVICE"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    RETIRED = "RETIRED"


class RelationKind(StrEnum):
    """How one asset relates to another. A part has one whole, and a thing one place, at a time."""

    PART_OF = "PART_OF"
    LOCATED_IN = "LOCATED_IN"
    FEEDS = "FEEDS"
    MEASURES = "MEASURES"


class SignalKind(StrEnum):
    """How a signal's values relate to each other in time."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"


_ONE_AT_A_TIME: Final = frozenset({RelationKind.PART_OF, RelationKind.LOCATED_IN})


def _line(text: str, what: str, *, empty: bool = False) -> None:
    """Refuse text that is no single, bounded, printable line."""
    if not text and empty:
        return
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable() or text != text.strip():
        raise InvalidInputError(
            f"{what} needs 1 to {MAX_NAME_CHARS} printable characters without blanks around them, "
            f"got {text[:40]!r}"
        )


@dataclass(frozen=True, slots=True)
class AliasKey:
    """A foreign name: what a naming system calls something."""

    system: str
    value: str

    def __post_init__(self) -> None:
        """Check both parts."""
        if not _SYSTEM.fullmatch(self.system):
            raise InvalidInputError(
                f"alias system {self.system[:40]!r} needs 1 to 48 lower-case letters, digits, _ . -"
            )
        _line(self.value, "alias value")

    def anchor(self, tenant: Tenant) -> str:
        """Return the key of the anchor that serialises writes about this name."""
        return derived_id("als", tenant, self.system, self.value)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a signal comes from: `raw.<tenant>.<source>.<device>.<source_signal>`."""

    source: SubjectToken
    device: SubjectToken
    source_signal: SubjectToken

    def anchor(self, tenant: Tenant) -> str:
        """Return the key of the anchor that serialises writes about this address."""
        return derived_id("adr", tenant, self.source, self.device, self.source_signal)

    def __str__(self) -> str:
        """Return it as the subject's tail shows it."""
        return f"{self.source}.{self.device}.{self.source_signal}"


@dataclass(frozen=True, slots=True)
class AssetFact:
    """An asset has this name, class and place in its life."""

    asset_id: AssetId
    name: str
    asset_class: str
    lifecycle: Lifecycle = Lifecycle.IN_SERVICE

    def __post_init__(self) -> None:
        """Check the words."""
        _line(self.name, "name")
        if not _CLASS.fullmatch(self.asset_class):
            raise InvalidInputError(f"asset_class {self.asset_class[:40]!r} is not a class name")

    @property
    def lane(self) -> Lane:
        """One version of an asset at a time."""
        return ("asset", self.asset_id)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two statements say the same."""
        return (self.name, self.asset_class, self.lifecycle)


@dataclass(frozen=True, slots=True)
class AliasFact:
    """A naming system's word may mean this asset.

    Attributes:
        authority: Who vouches for it.
        confidence_ratio: 0 to 1. However high, a name with two candidates is never applied.
    """

    key: AliasKey
    asset_id: AssetId
    authority: str = ""
    confidence_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check authority and confidence."""
        _line(self.authority, "authority", empty=True)
        if not 0.0 <= self.confidence_ratio <= 1.0:
            raise InvalidInputError(
                f"confidence_ratio must be between 0 and 1, got {self.confidence_ratio}"
            )

    @property
    def lane(self) -> Lane:
        """One statement per name and candidate at a time; another candidate has its own lane."""
        return ("alias", self.key.system, self.key.value, self.asset_id)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two statements say the same."""
        return (self.authority, self.confidence_ratio)


@dataclass(frozen=True, slots=True)
class RelationFact:
    """One asset stands in a relation to another."""

    from_asset_id: AssetId
    to_asset_id: AssetId
    kind: RelationKind

    def __post_init__(self) -> None:
        """Refuse an asset related to itself."""
        if self.from_asset_id == self.to_asset_id:
            raise InvalidInputError(f"an asset cannot be {self.kind} itself")

    @property
    def lane(self) -> Lane:
        """A part has one whole at a time; it may feed many."""
        lane = ("relation", self.from_asset_id, str(self.kind))
        return lane if self.kind in _ONE_AT_A_TIME else (*lane, self.to_asset_id)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two statements say the same."""
        return (self.to_asset_id,)


@dataclass(frozen=True, slots=True)
class ConfigurationFact:
    """An asset is configured like this: components, firmware, calibration, limits.

    Attributes:
        attributes_json: Canonical JSON object: sorted keys, no blanks.
    """

    configuration_id: ConfigurationId
    asset_id: AssetId
    label: str
    attributes_json: str = "{}"

    def __post_init__(self) -> None:
        """Check label and attributes."""
        _line(self.label, "label")
        if canonical_json(self.attributes_json) != self.attributes_json:
            raise InvalidInputError("attributes_json is not in its canonical form")

    @property
    def lane(self) -> Lane:
        """One configuration of an asset at a time."""
        return ("configuration", self.asset_id)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two statements say the same; the id is minted and says nothing."""
        return (self.label, self.attributes_json)


@dataclass(frozen=True, slots=True)
class SignalFact:
    """An asset has this signal, and a source speaks for it.

    Attributes:
        source_unit: UCUM code of what the source sends.
        unit: UCUM code of the SI unit that is stored.
        range_min: Physical range, in the stored unit; None is unbounded.
        cadence_s: Expected time between readings.
        time_zone: IANA name or UTC offset of the source's stamps; empty: stamps carry their own.
        stuck_after: Repeats of one value that mean "stuck"; 0: never.
    """

    signal_id: SignalId
    asset_id: AssetId
    name: str
    source_unit: str
    unit: str
    cadence_s: float
    address: Address
    range_min: float | None = None
    range_max: float | None = None
    time_zone: str = ""
    kind: SignalKind = SignalKind.GAUGE
    stuck_after: int = 0

    def __post_init__(self) -> None:
        """Check every part against the others."""
        SubjectToken(self.name)
        conversion_of(self.source_unit, self.unit)
        if not 0.0 < self.cadence_s <= MAX_CADENCE_S:
            raise InvalidInputError(
                f"cadence_s must be above 0 and at most a year, got {self.cadence_s}"
            )
        bounds = [bound for bound in (self.range_min, self.range_max) if bound is not None]
        if not all(math.isfinite(bound) for bound in bounds):
            raise InvalidInputError("a range needs finite bounds; leave one out for none")
        if len(bounds) == 2 and not bounds[0] < bounds[1]:
            raise InvalidInputError(f"range_min {bounds[0]} must lie below range_max {bounds[1]}")
        if not 0 <= self.stuck_after <= MAX_STUCK_AFTER:
            raise InvalidInputError(f"stuck_after must be between 0 and {MAX_STUCK_AFTER}")
        _check_zone(self.time_zone)

    @property
    def lane(self) -> Lane:
        """One definition per asset and name at a time."""
        return ("signal", self.asset_id, self.name)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two statements say the same; the id is minted and says nothing."""
        return (
            self.source_unit,
            self.unit,
            self.cadence_s,
            self.address,
            self.range_min,
            self.range_max,
            self.time_zone,
            self.kind,
            self.stuck_after,
        )


Fact: TypeAlias = AssetFact | AliasFact | RelationFact | ConfigurationFact | SignalFact


def _check_zone(zone: str) -> None:
    """Refuse what is neither an IANA zone nor an offset; empty is allowed."""
    if not zone or _OFFSET.fullmatch(zone):
        return
    try:
        if not _ZONE.fullmatch(zone):
            raise ZoneInfoNotFoundError(zone)
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(
            f"time_zone {zone[:40]!r} is unknown",
            hint="give an IANA name such as Europe/London, or an offset such as +01:00",
        ) from error


def _depth(value: object) -> int:
    """Return how deeply lists and objects are nested."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def canonical_json(text: str) -> str:
    """Return a JSON object in one form, whatever its order and blanks were.

    Raises:
        InvalidInputError: Not JSON, not an object, too long, too deep, or with NaN or infinities.
    """
    if len(text) > MAX_ATTRIBUTES_CHARS:
        raise InvalidInputError(f"attributes take at most {MAX_ATTRIBUTES_CHARS} characters")

    def refuse(constant: str) -> float:
        raise InvalidInputError(f"attributes must not contain {constant}")

    try:
        value = json.loads(text or "{}", parse_constant=refuse)
        if not isinstance(value, dict):
            raise InvalidInputError("attributes must be a JSON object")
        if _depth(value) > MAX_ATTRIBUTES_DEPTH:
            raise InvalidInputError(f"attributes nest at most {MAX_ATTRIBUTES_DEPTH} deep")
        canonical = json.dumps(
            _whole(value),
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
            ensure_ascii=False,
        )
        canonical.encode()
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("attributes are not JSON with finite numbers and text") from error
    return canonical


def _whole(value: object) -> object:
    """Write a whole float as an integer: a protobuf Struct knows doubles only."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_WHOLE:
        return int(value)
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise InvalidInputError(
            "attributes hold whole numbers up to 2^53", hint="write larger ones as text"
        )
    return value
