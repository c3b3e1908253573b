"""Scalars, cursors and pages: round trips, and refusals in words."""

import contextlib
from datetime import datetime

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk import graphql
from twinmesh_sdk.core import trust as core
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.graphql import (
    CollectedTrust,
    Connection,
    Int64,
    bounded,
    collect_trust,
    decode_cursor,
    encode_cursor,
    subgraph_schema,
)
from twinmesh_sdk.testing.clock import START


@given(st.text(max_size=40), st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_round_trips(text, number):
    assert decode_cursor(encode_cursor(text, number), str, int) == (text, number)


@given(st.text(max_size=80))
def test_any_other_text_is_no_cursor(text):
    with contextlib.suppress(InvalidInputError):
        assert decode_cursor(text, str) is not None


@pytest.mark.parametrize(
    "cursor", ["", "!!", encode_cursor("a"), encode_cursor("a", 1, 2), "x" * 600, "W10", "é"]
)
def test_a_cursor_of_another_list_is_refused(cursor):
    with pytest.raises(InvalidInputError):
        decode_cursor(cursor, str, int)


def test_no_cursor_is_the_beginning():
    assert decode_cursor(None, str) is None


@pytest.mark.parametrize("first", [0, -1, 201])
def test_a_page_is_bounded(first):
    with pytest.raises(InvalidInputError, match="between 1 and 200"):
        bounded(first)


@given(st.integers(1, 10), st.integers(0, 11))
def test_a_page_tells_whether_more_follows(first, available):
    rows = [str(n) for n in range(min(available, first + 1))]
    page = Connection.page(rows, encode_cursor, first=first)

    assert len(page.edges) == min(available, first)
    assert page.page_info.has_next_page == (available > first)
    assert (page.page_info.end_cursor is None) == (available == 0)


@strawberry.type
class Query:
    @strawberry.field
    def at(self, moment: datetime) -> datetime:
        return moment

    @strawberry.field
    def count(self, number: Int64) -> Int64:
        return number


SCHEMA = subgraph_schema(Query)


async def test_a_time_is_read_in_any_zone_and_written_in_utc():
    result = await SCHEMA.execute('{ at(moment: "2026-01-05T10:00:00.000001+02:00") }')

    assert result.data == {"at": "2026-01-05T08:00:00.000001Z"}


@pytest.mark.parametrize("moment", ['"2026-01-05"', '"1700-01-01T00:00:00Z"', "5", '"x"'])
async def test_what_is_no_time_is_refused(moment):
    result = await SCHEMA.execute(f"{{ at(moment: {moment}) }}")

    assert result.errors


@pytest.mark.parametrize(("number", "fine"), [(2**62, True), (-(2**63), True), (2**63, False)])
async def test_a_large_number_keeps_its_digits(number, fine):
    query = "query($n: Int64!) { count(number: $n) }"

    result = await SCHEMA.execute(query, variable_values={"n": number})

    assert (result.data == {"count": number}) is fine


def test_the_worst_trust_of_an_answer_is_summed_up():
    collected = collect_trust()
    for verdict in (core.Verdict.FRESH, core.Verdict.STALE, core.Verdict.LATE):
        graphql.Trust.of(core.Trust(verdict, observed_at=START))

    extension = collected.as_extension()
    assert extension["count"] == 3
    assert extension["trust"]["verdict"] == "STALE"
    assert extension["trust"]["observedAt"] == format_time(START)


def test_an_answer_without_trust_says_nothing_of_it():
    assert CollectedTrust().as_extension() is None


def test_a_paged_field_says_how_long_its_lists_are():
    @strawberry.type
    class Paged:
        @strawberry.field(directives=[graphql.paged(20)])
        def names(self, first: int | None = None) -> graphql.Connection[str]:
            return graphql.Connection[str].page([], str, first=first or 20)

    sdl = graphql.sdl_of(graphql.subgraph_schema(Paged))
    assert (
        '@listSize(assumedSize: 20, slicingArguments: ["first"], sizedFields: ["edges", "nodes"], '
        "requireOneSlicingArgument: false)"
    ) in sdl
    assert '"@listSize"' in sdl
