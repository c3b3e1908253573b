"""Ids and events: equal for one change, different for two, refused when malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk.adapters.nats.cloudevents import encode_header, envelope_of, headers_of
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.events import (
    MAX_EVENT_BYTES,
    Envelope,
    EventType,
    event_id,
    subject_of,
)
from twinmesh_sdk.core.ids import (
    AssetId,
    SignalId,
    SubjectToken,
    Tenant,
    derived_id,
    partition_of,
)
from twinmesh_sdk.testing.clock import START

TYPE = EventType("maintenance.work_item.opened.v1")
CHANGES = st.tuples(
    st.sampled_from(["acme", "globex"]), st.text(max_size=8), st.integers(0, 20), st.integers(0, 3)
)


def id_of(change):
    tenant, aggregate, version, ordinal = change
    return event_id(
        tenant=Tenant(tenant),
        type=TYPE,
        aggregate_id=aggregate,
        aggregate_version=version,
        ordinal=ordinal,
    )


@given(CHANGES, CHANGES)
def test_one_change_has_one_id_and_two_have_two(one, other):
    assert (id_of(one) == id_of(other)) == (one == other)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_parts_cannot_run_into_each_other(one, other):
    assert (derived_id("x", *one) == derived_id("x", *other)) == (one == other)


def test_ids_and_partitions_are_the_same_in_every_process_and_release():
    assert derived_id("evt", "acme", "a", 1) == "evt_efbbae8401cbc3bd2988e537098c239f"
    assert partition_of("ast_01ARZ3NDEKTSV4RRFFQ69G5FAV", 4) == 1


@given(st.text(max_size=30), st.integers(1, 64))
def test_a_partition_is_within_range_and_stable(asset, partitions):
    assert 0 <= partition_of(asset, partitions) < partitions
    assert partition_of(asset, partitions) == partition_of(asset, partitions)


@pytest.mark.parametrize("text", ["", "ACME", "a.b", "a" * 33, "a>", "a*", "é"])
def test_a_tenant_that_could_not_be_part_of_a_subject_is_refused(text):
    with pytest.raises(InvalidInputError):
        Tenant(text)


@pytest.mark.parametrize("text", ["", "a.b", "*", ">", "a b", "x" * 65, "a\n"])
def test_a_token_that_could_not_be_part_of_a_subject_is_refused(text):
    with pytest.raises(InvalidInputError):
        SubjectToken(text)


def test_an_asset_is_no_signal():
    asset = "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"

    assert AssetId(asset) == asset
    with pytest.raises(InvalidInputError):
        SignalId(asset)


@pytest.mark.parametrize("text", ["a.b.c", "a.b.c.v0", "A.b.c.v1", "a.b.c.d.v1", "a.b.c.v1\n"])
def test_an_event_type_has_four_parts(text):
    with pytest.raises(InvalidInputError):
        EventType(text)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@given(TEXTS, TEXTS, st.binary(max_size=50))
def test_an_event_survives_its_headers(subject, source, data):
    event = Envelope(
        id="evt_1",
        type=TYPE,
        source=source,
        tenant=Tenant("acme"),
        subject=subject,
        time=START,
        data=data,
        dataschema="a.B#00",
    )
    headers = headers_of(event, dataschema=event.dataschema, traceparent="")

    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert envelope_of(subject_of("acme", TYPE), headers, data) == event


@given(st.text(max_size=300))
def test_no_text_breaks_out_of_a_header(text):
    assert all(0x20 < ord(c) < 0x7F for c in encode_header(text))


def test_an_event_that_the_bus_would_refuse_is_refused_before_it_is_saved():
    with pytest.raises(InvalidInputError):
        Envelope(
            id="evt_1",
            type=TYPE,
            source="s",
            tenant=Tenant("acme"),
            subject="a",
            time=START,
            data=bytes(MAX_EVENT_BYTES + 1),
        )
