"""The ledger: what is known about a few assets, and what a statement does to it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar, cast

from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    Announcement,
    AssetFact,
    ConfigurationFact,
    Fact,
    Interval,
    Lane,
    Record,
    Recorded,
    RelationFact,
    SignalFact,
    Statement,
    Unchanged,
)
from twinmesh_sdk.core.errors import (
    LimitExceededError,
    NotFoundError,
    PreconditionFailedError,
)
from twinmesh_sdk.core.ids import AssetId, Tenant, derived_id
from twinmesh_sdk.core.times import OPEN_US

F = TypeVar("F", AssetFact, AliasFact, RelationFact, ConfigurationFact, SignalFact)

MAX_RECORDS_PER_LANE: Final = 10_000


class Ledger:
    """What we hold true now about a few assets, and the changes that statements make to it.

    One ledger is one transaction: every change in it is recorded at one wall time. Of one lane, the
    records that hold now never overlap in valid time; a correction closes `recorded_to` and adds
    what remains of the old beside the new.

    Args:
        current: Records that hold now (`recorded_to` open), of every lane that will be touched.
        recorded_at_us: Wall time, later than any recorded time of these lanes.
        recorded_by: Who makes the statements.
    """

    def __init__(
        self,
        tenant: Tenant,
        current: Iterable[Record[Fact]],
        *,
        recorded_at_us: int,
        recorded_by: str,
    ) -> None:
        self.tenant = tenant
        self.recorded_at_us = recorded_at_us
        self.recorded_by = recorded_by
        self._lanes: dict[Lane, list[Record[Fact]]] = {}
        self._candidates: dict[AliasKey, set[Lane]] = {}
        self._speakers: dict[Address, set[Lane]] = {}
        self._closed: dict[str, Record[Fact]] = {}
        self._added: dict[str, Record[Fact]] = {}
        self._announced: list[Announcement] = []
        for record in current:
            self._insert(record)

    @property
    def closed(self) -> tuple[Record[Fact], ...]:
        """Records that no longer hold, their `recorded_to` set to this ledger's time."""
        end = self.recorded_at_us
        return tuple(
            replace(record, interval=replace(record.interval, recorded_to_us=end))
            for record in self._closed.values()
        )

    @property
    def added(self) -> tuple[Record[Fact], ...]:
        """New records."""
        return tuple(self._added.values())

    @property
    def announcements(self) -> tuple[Announcement, ...]:
        """What others should hear, in the order of the statements."""
        return tuple(self._announced)

    def records(self, lane: Lane) -> tuple[Record[Fact], ...]:
        """Return what holds now in a lane, by valid time."""
        return tuple(self._lanes.get(lane, ()))

    def knows(self, asset_id: AssetId) -> bool:
        """Tell whether the asset exists."""
        return ("asset", asset_id) in self._lanes

    def require(self, asset_id: AssetId) -> None:
        """Pass silently when the asset exists.

        Raises:
            NotFoundError: It does not, or it belongs to another tenant.
        """
        if not self.knows(asset_id):
            raise NotFoundError(f"no asset {asset_id}", hint="register the asset first")

    def candidates(self, key: AliasKey, at_us: int) -> tuple[AssetId, ...]:
        """Return the assets that a foreign name may mean at a plant time, each once."""
        found = {
            cast("AliasFact", record.fact).asset_id
            for lane in self._candidates.get(key, ())
            for record in self._lanes[lane]
            if record.interval.valid_from_us <= at_us < record.interval.valid_to_us
        }
        return tuple(sorted(found))

    def ever_candidates(self, key: AliasKey) -> tuple[AssetId, ...]:
        """Return the assets that a foreign name is known to mean at any plant time, each once."""
        found = {
            cast("AliasFact", record.fact).asset_id
            for lane in self._candidates.get(key, ())
            for record in self._lanes[lane]
        }
        return tuple(sorted(found))

    def state(self, statement: Statement[F]) -> Recorded[F] | Unchanged[F]:
        """Take one statement into account.

        A repeat is `Unchanged`. An open end means "until whatever was said about a later time". An
        explicit end, stated about the same start and content, corrects the end. Anything else that
        was held true about the same time is superseded; what lies before and after it remains.

        Raises:
            NotFoundError: An asset that the statement speaks of does not exist.
            PreconditionFailedError: Another signal already speaks for this address at that time.
            LimitExceededError: The lane holds too many records.
        """
        said: Fact = statement.fact
        self._require_assets(said)
        known = self._lanes.get(said.lane, [])
        if len(known) >= MAX_RECORDS_PER_LANE:
            raise LimitExceededError(f"more than {MAX_RECORDS_PER_LANE} versions of one thing")
        start, end, corrected = self._extent(statement, known)
        if corrected is None and (same := _covered(known, said, start, end)) is not None:
            return Unchanged(cast("Record[F]", same))
        fact = _with_known_id(said, known, start, end)
        self._require_free_address(fact, start, end)
        superseded = self._cut(known, start, end, corrected)
        record = self._add(fact, start, end, self.recorded_by)
        self._announce(record, superseded)
        return Recorded(
            cast("Record[F]", record), tuple(cast("Record[F]", old) for old in superseded)
        )

    def _require_assets(self, fact: Fact) -> None:
        match fact:
            case AssetFact():
                return
            case RelationFact():
                self.require(fact.from_asset_id)
                self.require(fact.to_asset_id)
            case AliasFact() | ConfigurationFact() | SignalFact():
                self.require(fact.asset_id)

    @staticmethod
    def _extent(
        statement: Statement[F], known: Sequence[Record[Fact]]
    ) -> tuple[int, int, Record[Fact] | None]:
        """Return start and end of a statement, and the record whose end it corrects, if any."""
        fact, start, end = statement.fact, statement.valid_from_us, statement.valid_to_us
        if end is None:
            for record in known:
                there = record.interval.valid_from_us <= start < record.interval.valid_to_us
                if there and record.fact.content == fact.content:
                    return start, record.interval.valid_to_us, None
            later = [r.interval.valid_from_us for r in known if r.interval.valid_from_us > start]
            return start, min(later, default=OPEN_US), None
        for record in known:
            same = record.interval.valid_from_us == start and record.fact.content == fact.content
            if same and record.interval.valid_to_us > end:
                return start, end, record
        return start, end, None

    def _cut(
        self,
        known: Sequence[Record[Fact]],
        start: int,
        end: int,
        corrected: Record[Fact] | None,
    ) -> list[Record[Fact]]:
        """Close what overlaps, and put back what of it lies outside."""
        superseded = []
        for record in list(known):
            valid_from, valid_to = record.interval.valid_from_us, record.interval.valid_to_us
            if not (valid_from < end and start < valid_to):
                continue
            self._close(record)
            superseded.append(record)
            if valid_from < start:
                self._add(record.fact, valid_from, start, record.recorded_by)
            if end < valid_to and record is not corrected:
                self._add(record.fact, end, valid_to, record.recorded_by)
        return superseded

    def _close(self, record: Record[Fact]) -> None:
        self._lanes[record.fact.lane].remove(record)
        if self._added.pop(record.version_id, None) is None:
            self._closed[record.version_id] = record

    def _add(self, fact: Fact, start: int, end: int, recorded_by: str) -> Record[Fact]:
        version = derived_id(
            "ver", self.tenant, *fact.lane, self.recorded_at_us, start, len(self._announced)
        )
        interval = Interval(start, end, self.recorded_at_us)
        record: Record[Fact] = Record(version, fact, interval, recorded_by)
        self._added[version] = record
        self._insert(record)
        return record

    def _insert(self, record: Record[Fact]) -> None:
        fact = record.fact
        lane = self._lanes.setdefault(fact.lane, [])
        lane.append(record)
        lane.sort(key=lambda known: known.interval.valid_from_us)
        match fact:
            case AliasFact():
                self._candidates.setdefault(fact.key, set()).add(fact.lane)
            case SignalFact():
                self._speakers.setdefault(fact.address, set()).add(fact.lane)
            case _:
                pass

    def _require_free_address(self, fact: Fact, start: int, end: int) -> None:
        if not isinstance(fact, SignalFact):
            return
        for lane in self._speakers.get(fact.address, ()):
            for record in self._lanes[lane] if lane != fact.lane else ():
                other = cast("SignalFact", record.fact)
                shared = record.interval.valid_from_us < end and start < record.interval.valid_to_us
                if shared and other.address == fact.address:
                    raise PreconditionFailedError(
                        f"{fact.address} already speaks for signal {other.name} of "
                        f"{other.asset_id} at that time",
                        hint="end that signal's definition first, or give another address",
                    )

    def _announce(self, record: Record[Fact], superseded: Sequence[Record[Fact]]) -> None:
        fact = record.fact
        match fact:
            case AliasFact():
                aggregate = fact.key.anchor(self.tenant)
            case RelationFact():
                aggregate = fact.from_asset_id
            case AssetFact() | ConfigurationFact() | SignalFact():
                aggregate = fact.asset_id
        gone = sorted(
            {
                old.fact.configuration_id
                for old in superseded
                if isinstance(old.fact, ConfigurationFact)
            }
        )
        self._announced.append(Announcement(record, aggregate, tuple(gone)))


def _covered(
    known: Sequence[Record[Fact]], fact: Fact, start: int, end: int
) -> Record[Fact] | None:
    """Return a record that says so already, when start to end is covered by its like."""
    first: Record[Fact] | None = None
    reached = start
    for record in known:
        interval = record.interval
        if interval.valid_to_us <= reached or record.fact.content != fact.content:
            continue
        if interval.valid_from_us > reached:
            return None
        first = first or record
        reached = interval.valid_to_us
        if reached >= end:
            return first
    return None


def _with_known_id(fact: Fact, known: Sequence[Record[Fact]], start: int, end: int) -> Fact:
    """Keep ids stable: a signal's for ever, a configuration's while it says the same."""
    match fact:
        case SignalFact():
            for record in known:
                return replace(fact, signal_id=cast("SignalFact", record.fact).signal_id)
        case ConfigurationFact():
            for record in known:
                interval = record.interval
                touches = interval.valid_from_us <= end and start <= interval.valid_to_us
                if touches and record.fact.content == fact.content:
                    kept = cast("ConfigurationFact", record.fact)
                    return replace(fact, configuration_id=kept.configuration_id)
        case AssetFact() | AliasFact() | RelationFact():
            pass
    return fact
