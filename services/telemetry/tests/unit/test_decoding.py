import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.model.raw import RawMessage
from telemetry.model.reading import RawReadings
from telemetry.model.signal import ForeignName
from telemetry.wire.batch import decode_raw_batch, encode_raw_batch
from telemetry.wire.raw import BlockDecoder
from telemetry.wire.subjects import parse_subject
from telemetry.wire.values import read_time
from twinmesh_sdk.core.errors import InvalidInputError

NOW = 1_767_225_600_000_000


def decode(*messages):
    """Messages are (subject, data)."""
    return BlockDecoder().decode(
        [
            RawMessage(subject=subject, data=data, seq=n + 1, stamped_us=NOW)
            for n, (subject, data) in enumerate(messages)
        ],
        epoch=1,
        arrival=lambda tenant, wall_us: wall_us,
        replays={},
    )


def reading(**fields):
    return json.dumps({"ts": "2026-01-01T00:00:00Z", "value": 1.5} | fields).encode()


@pytest.mark.parametrize(
    ("stamp", "us"),
    [
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T01:00:00.5+01:00", NOW + 500_000),
        (1_767_225_600, NOW),
        (1_767_225_600.25, NOW + 250_000),
        (1_767_225_600_000, NOW),
    ],
)
def test_stamps_are_read_in_every_documented_form(stamp, us):
    assert read_time(stamp) == (us, False)


@pytest.mark.parametrize("stamp", [None, True, "soon", "", float("nan"), 1e300, [1], 10**40])
def test_what_is_no_stamp_is_refused(stamp):
    with pytest.raises(InvalidInputError):
        read_time(stamp)


def test_a_zoneless_stamp_is_marked():
    block = decode(("raw.acme.skid.p1.flow", reading(ts="2026-01-01T00:00:00")))

    assert block.readings.zoneless.tolist() == [True]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "MALFORMED"),
        (b"\xff\xfe", "MALFORMED"),
        (b"[]", "MALFORMED"),
        (b"[" * 100_000, "MALFORMED"),
        (reading(value="high"), "MALFORMED"),
        (reading(value=[1]), "MALFORMED"),
        (reading(seq=-1), "MALFORMED"),
        (reading(seq=1.5), "MALFORMED"),
        (reading(quality="Excellent"), "MALFORMED"),
        (reading(quality=2**32), "MALFORMED"),
        (reading(ts="yesterday"), "BAD_TIME"),
        (b'{"value": 1}', "BAD_TIME"),
    ],
)
def test_each_kind_of_nonsense_is_one_row_with_its_reason(data, reason):
    block = decode(("raw.acme.skid.p1.flow", data))

    assert len(block.readings) == 0
    (row,) = block.refused
    assert (row.reason.value, row.payload, row.tenant, row.source) == (
        reason,
        data,
        "acme",
        "skid",
    )


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "null", '"nan"', "1e999"])
def test_what_is_no_number_passes_decoding_to_be_judged_as_a_value(value):
    data = b'{"ts": 1767225600, "value": ' + value.encode() + b"}"

    block = decode(("raw.acme.skid.p1.flow", data))

    assert not block.refused
    assert not np.isfinite(block.readings.value).any()


@given(data=st.binary(max_size=200), kind=st.sampled_from(["p1.flow", "batch", "replay", "x", ""]))
def test_every_message_is_accounted_for_whatever_it_holds(data, kind):
    block = decode((f"raw.acme.skid.{kind}", data))

    if kind == "replay":
        assert len(block.readings) + len(block.refused) == 0
    elif kind == "batch" and not block.refused:
        assert len(block.readings) > 0
    else:
        assert len(block.readings) + len(block.refused) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "ts": json_values,
            "value": json_values,
            "quality": json_values,
            "seq": json_values,
        },
    )
)
def test_any_json_is_a_reading_or_a_row(fields):
    block = decode(("raw.acme.skid.p1.flow", json.dumps(fields).encode()))

    assert len(block.readings) + len(block.refused) == 1


@pytest.mark.parametrize(
    ("subject", "kind", "tenant"),
    [
        ("raw.acme.skid.p1.flow", "json", "acme"),
        ("raw.acme.skid.batch", "batch", "acme"),
        ("raw.acme.skid.replay", "replay", "acme"),
        ("raw.acme.skid.p1", "wrong", "acme"),
        ("raw.acme.skid.p1.flow.x", "wrong", "acme"),
        ("raw.ACME.skid.p1.flow", "wrong", "-"),
        ("raw.acme.skid.p 1.flow", "wrong", "acme"),
        ("raw", "wrong", "-"),
    ],
)
def test_a_subject_names_tenant_and_kind_or_is_wrong(subject, kind, tenant):
    found = parse_subject(subject)

    assert (found.kind, found.tenant) == (kind, tenant)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(-(10**15), 10**15),
            st.floats(allow_nan=False),
            st.integers(0, 2**32 - 1),
            st.integers(-1, 2**62),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_batch_survives_the_wire(rows):
    readings = RawReadings(
        names=tuple(ForeignName("acme", "skid", "p1", f"s{n}") for n in range(3)),
        name_ix=np.array([r[0] for r in rows], np.int64),
        observed_us=np.array([r[1] for r in rows], np.int64),
        zoneless=np.zeros(len(rows), bool),
        value=np.array([r[2] for r in rows], np.float64),
        source_status=np.array([r[3] for r in rows], np.uint32),
        sequence=np.array([r[4] for r in rows], np.int64),
        arrived_us=np.full(len(rows), NOW),
        raw_seq=np.zeros(len(rows), np.int64),
        raw_ix=np.arange(len(rows)),
        replay_ix=np.full(len(rows), -1),
    )

    back = decode_raw_batch(encode_raw_batch(readings))

    names = [back.names[i] for i in back.name_index]
    assert names == [f"p1/s{r[0]}" for r in rows]
    assert back.observed_us.tolist() == [r[1] for r in rows]
    assert back.value.tolist() == [r[2] for r in rows]
    assert back.status.tolist() == [r[3] for r in rows]
    assert back.sequence.tolist() == [r[4] for r in rows]
