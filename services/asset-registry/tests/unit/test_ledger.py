from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asset_registry.decide import Ledger
from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Recorded,
    RelationFact,
    RelationKind,
    SignalFact,
    Statement,
    Unchanged,
    Window,
)
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError, PreconditionFailedError
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId, SubjectToken, Tenant
from twinmesh_sdk.core.times import OPEN_US

ACME = Tenant("acme")
PUMP = AssetId("ast_01J0000000000000000000000A")
LINE_A = AssetId("ast_01J0000000000000000000000B")
LINE_B = AssetId("ast_01J0000000000000000000000C")


class Book:
    """Keeps every record ever, as a store does, and opens a ledger per write."""

    def __init__(self):
        self.records = {}
        self.now_us = 1_000

    def ledger(self):
        self.now_us += 1
        current = [r for r in self.records.values() if r.interval.current]
        return Ledger(ACME, current, recorded_at_us=self.now_us, recorded_by="ann")

    def save(self, ledger):
        for record in (*ledger.closed, *ledger.added):
            self.records[record.version_id] = record

    def state(self, fact, start, end=None):
        ledger = self.ledger()
        outcome = ledger.state(Statement(fact, start, end))
        self.save(ledger)
        return outcome

    def shown(self, lane, window):
        return [
            r for r in self.records.values() if r.fact.lane == lane and window.shows(r.interval)
        ]

    def holds(self, lane):
        """What holds now: content and bounds."""
        return sorted(
            (r.interval.valid_from_us, r.interval.valid_to_us, r.fact.content)
            for r in self.records.values()
            if r.fact.lane == lane and r.interval.current
        )


@pytest.fixture
def book():
    book = Book()
    for asset in (PUMP, LINE_A, LINE_B):
        book.state(AssetFact(asset, "a name", "pump"), 0)
    return book


def configuration(label, number=0):
    return ConfigurationFact(ConfigurationId(f"cfg_01J{number:023d}"), PUMP, label)


LANE = ("configuration", PUMP)


def test_a_new_version_ends_the_one_before(book):
    book.state(configuration("v1", 1), 10)
    outcome = book.state(configuration("v2", 2), 20)

    assert isinstance(outcome, Recorded)
    assert [(a, b, c[0]) for a, b, c in book.holds(LANE)] == [(10, 20, "v1"), (20, OPEN_US, "v2")]


def test_what_was_known_before_can_still_be_read(book):
    first = book.state(configuration("v1", 1), 10)
    second = book.state(configuration("v2", 2), 20)
    known_first = first.record.interval.recorded_from_us
    known_second = second.record.interval.recorded_from_us

    then = book.shown(LANE, Window(25, 26, known_first))
    now = book.shown(LANE, Window(25, 26, known_second))

    assert [r.fact.label for r in then] == ["v1"]
    assert [r.fact.label for r in now] == ["v2"]


def test_a_version_said_about_an_earlier_time_lasts_until_the_next(book):
    book.state(configuration("v2", 2), 20)
    book.state(configuration("v1", 1), 10)

    assert [(a, b) for a, b, _ in book.holds(LANE)] == [(10, 20), (20, OPEN_US)]


def test_a_repeat_changes_nothing(book):
    book.state(configuration("v1", 1), 10)
    book.state(configuration("v2", 2), 20)
    before = dict(book.records)

    assert isinstance(book.state(configuration("v1", 3), 10), Unchanged)
    assert isinstance(book.state(configuration("v2", 4), 20), Unchanged)
    assert isinstance(book.state(configuration("v2", 5), 25, 30), Unchanged)
    assert book.records == before


def test_a_version_keeps_its_id_when_its_end_moves(book):
    first = book.state(configuration("v1", 1), 10)
    book.state(configuration("v2", 2), 20)
    corrected = book.state(configuration("v2", 9), 15)

    ids = {
        r.fact.label: r.fact.configuration_id for r in book.records.values() if r.fact.lane == LANE
    }
    assert ids["v1"] == first.record.fact.configuration_id
    assert corrected.record.fact.configuration_id == configuration("v2", 2).configuration_id
    assert [(a, b, c[0]) for a, b, c in book.holds(LANE)] == [
        (10, 15, "v1"),
        (15, 20, "v2"),
        (20, OPEN_US, "v2"),
    ]


def test_the_end_of_a_version_can_be_corrected_to_earlier_and_later(book):
    book.state(configuration("v1", 1), 10)
    book.state(configuration("v2", 2), 20)

    book.state(configuration("v1", 3), 10, 15)
    assert [(a, b) for a, b, _ in book.holds(LANE)] == [(10, 15), (20, OPEN_US)]

    book.state(configuration("v1", 4), 10, 25)
    assert [(a, b) for a, b, _ in book.holds(LANE)] == [(10, 25), (25, OPEN_US)]


def test_a_repeated_start_does_not_open_what_was_ended(book):
    alias = AliasFact(AliasKey("cmms", "CW4"), PUMP)
    book.state(alias, 10)
    book.state(alias, 10, 20)

    assert isinstance(book.state(alias, 10), Unchanged)
    assert [(a, b) for a, b, _ in book.holds(alias.lane)] == [(10, 20)]
    book.state(alias, 20)
    assert [(a, b) for a, b, _ in book.holds(alias.lane)] == [(10, 20), (20, OPEN_US)]


def test_a_pump_that_moves_is_part_of_one_line_at_a_time(book):
    book.state(RelationFact(PUMP, LINE_A, RelationKind.PART_OF), 0)
    book.state(RelationFact(PUMP, LINE_B, RelationKind.PART_OF), 1200)
    book.state(RelationFact(PUMP, LINE_B, RelationKind.PART_OF), 1130)

    lane = ("relation", PUMP, "PART_OF")
    assert book.holds(lane) == [
        (0, 1130, (LINE_A,)),
        (1130, 1200, (LINE_B,)),
        (1200, OPEN_US, (LINE_B,)),
    ]


def test_a_pump_may_feed_two_lines(book):
    for line in (LINE_A, LINE_B):
        book.state(RelationFact(PUMP, line, RelationKind.FEEDS), 0)

    assert len(book.holds(("relation", PUMP, "FEEDS", LINE_A))) == 1
    assert len(book.holds(("relation", PUMP, "FEEDS", LINE_B))) == 1


def test_a_name_with_two_candidates_keeps_both(book):
    key = AliasKey("cmms", "CW4")
    book.state(AliasFact(key, PUMP, confidence_ratio=0.99), 10)
    book.state(AliasFact(key, LINE_A, confidence_ratio=0.2), 20)

    ledger = book.ledger()
    assert ledger.candidates(key, 15) == (PUMP,)
    assert ledger.candidates(key, 25) == tuple(sorted((PUMP, LINE_A)))


def test_something_unknown_cannot_be_spoken_about(book):
    stranger = AssetId("ast_01J0000000000000000000000Z")
    for fact in (
        replace(configuration("v1"), asset_id=stranger),
        AliasFact(AliasKey("cmms", "x"), stranger),
        RelationFact(PUMP, stranger, RelationKind.FEEDS),
        RelationFact(stranger, PUMP, RelationKind.FEEDS),
    ):
        with pytest.raises(NotFoundError):
            book.state(fact, 0)


def signal(name, number, device="dev1"):
    address = Address(SubjectToken("plc"), SubjectToken(device), SubjectToken("ai_1"))
    return SignalFact(SignalId(f"sig_01J{number:023d}"), PUMP, name, "L/min", "m3/s", 1.0, address)


def test_an_address_speaks_for_one_signal_at_a_time(book):
    book.state(signal("flow", 1), 0, 100)

    with pytest.raises(PreconditionFailedError, match="already speaks"):
        book.state(signal("flow_2", 2), 50)
    assert isinstance(book.state(signal("flow_2", 2), 100), Recorded)


def test_a_signal_keeps_its_id_whatever_its_definition_becomes(book):
    book.state(signal("flow", 1), 0)
    outcome = book.state(signal("flow", 2, device="dev2"), 50)

    assert outcome.record.fact.signal_id == signal("flow", 1).signal_id


@pytest.mark.parametrize(("start", "end"), [(10, 10), (20, 10), (-(2**62), None)])
def test_an_impossible_period_is_refused(book, start, end):
    with pytest.raises(InvalidInputError):
        book.state(configuration("v1"), start, end)


def test_a_change_says_what_it_replaced(book):
    book.state(configuration("v1", 1), 10)
    ledger = book.ledger()
    ledger.state(Statement(configuration("v2", 2), 5))
    ledger.state(Statement(configuration("v3", 3), 8, 12))

    replaced = [a.superseded_ids for a in ledger.announcements]
    assert replaced == [(), tuple(configuration("v", n).configuration_id for n in (1, 2))]


statements = st.lists(
    st.tuples(
        st.sampled_from(["v1", "v2", "v3"]),
        st.integers(0, 30),
        st.one_of(st.none(), st.integers(1, 15)),
    ),
    min_size=1,
    max_size=15,
)


@settings(max_examples=300)
@given(statements, st.integers(1, 3))
def test_of_one_lane_no_two_records_ever_hold_at_once(said, per_write):
    book = Book()
    book.state(AssetFact(PUMP, "a name", "pump"), 0)
    for first in range(0, len(said), per_write):
        ledger = book.ledger()
        for n, (label, start, length) in enumerate(said[first : first + per_write]):
            end = None if length is None else start + length
            ledger.state(Statement(configuration(label, first + n), start, end))
        book.save(ledger)

    records = [r for r in book.records.values() if r.fact.lane == LANE]
    for i, one in enumerate(records):
        for other in records[i + 1 :]:
            assert not one.interval.overlaps(other.interval), (one, other)


@settings(max_examples=300)
@given(statements)
def test_the_last_statement_about_a_time_holds(said):
    book = Book()
    book.state(AssetFact(PUMP, "a name", "pump"), 0)
    for n, (label, start, length) in enumerate(said):
        book.state(configuration(label, n), start, None if length is None else start + length)
        (found,) = book.shown(LANE, Window(start, start + 1))
        assert found.fact.label == label
        assert isinstance(
            book.state(configuration(label, 99), start, found.interval.valid_to_us), Unchanged
        )


@settings(max_examples=200)
@given(statements)
def test_what_was_known_at_a_time_never_changes(said):
    book = Book()
    book.state(AssetFact(PUMP, "a name", "pump"), 0)
    seen = {}
    for n, (label, start, length) in enumerate(said):
        book.state(configuration(label, n), start, None if length is None else start + length)
        for known, answers in seen.items():
            assert [label_at(book, t, known) for t in range(46)] == answers
        seen[book.now_us] = [label_at(book, t, book.now_us) for t in range(46)]


def label_at(book, moment, known):
    found = book.shown(LANE, Window(moment, moment + 1, known))
    return found[0].fact.label if found else None
