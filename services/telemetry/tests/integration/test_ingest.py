import asyncio
import json
import random

import numpy as np
import pytest

from telemetry.model.ingest import Counts
from telemetry.wire.batch import encode_raw_batch
from telemetry.wire.upload import readings_from_csv
from twinmesh.telemetry.v1 import readings_pb2 as pb

pytestmark = pytest.mark.stack

STAGES = [
    f"{side} {stage}" for stage in ("insert", "publish", "commit") for side in ("before", "after")
]


def seconds_ago(rig, seconds):
    return rig.now_us() // 1_000_000 - seconds


async def published(rig):
    """Every reading that twins can read, in stream order: (signal, observed, value)."""
    seen = []
    state = (await rig.bus.js.stream_info("TELE")).state
    for seq in range(1, state.last_seq + 1):
        message = await rig.bus.js.get_msg("TELE", seq)
        batch = pb.ReadingBatch.FromString(message.data)
        names = [s.signal_id for s in batch.signals]
        index = np.frombuffer(batch.signal_index_u32, "<u4")
        moments = np.frombuffer(batch.observed_at_us_i64, "<i8")
        values = np.frombuffer(batch.value_f64, "<f8")
        seen += [
            (names[i], int(m), float(v)) for i, m, v in zip(index, moments, values, strict=True)
        ]
    return seen


async def send_everything(rig, base):
    """Good readings, a duplicate, a correction, and one of each kind of bad input."""
    for n in range(20):
        for name in ("flow", "pressure", "power"):
            await rig.send("p101", name, {"ts": base + n, "value": n / 2, "seq": n})
    await rig.send("p101", "flow", {"ts": base + 3, "value": 1.5})
    await rig.send("p101", "flow", {"ts": base + 4, "value": 99.0})
    await rig.send("p101", "flow", b"{not json")
    await rig.send("p101", "flow", b'{"ts": 1, "value": NaN}')
    await rig.send("p101", "flow", {"ts": base + 86_400 * 365, "value": 1.0})
    await rig.send("ghost", "flow", {"ts": base, "value": 1.0})
    await rig.send("p101", "ghost", {"ts": base, "value": 1.0})


EVERYTHING = Counts(received=67, stored=61, duplicate=1, quarantined=5)


async def test_readings_are_stored_counted_and_published_in_order(rig):
    base = seconds_ago(rig, 100)
    await send_everything(rig, base)

    await rig.drain()

    assert await rig.counts() == EVERYTHING
    assert await rig.rows() == 61
    out = await published(rig)
    assert len(out) == 61
    flow = [m for name, m, _ in out if name.endswith("10")]
    assert flow == sorted(flow)


async def test_every_kind_of_bad_input_is_one_row_with_its_reason_and_payload(rig):
    await send_everything(rig, seconds_ago(rig, 100))
    await rig.drain()

    page = await rig.quarantine.page("acme", reason="", after="", limit=50)

    assert [row.reason.value for row in page.rows] == [
        "MALFORMED",
        "NOT_A_NUMBER",
        "FUTURE",
        "UNKNOWN_DEVICE",
        "UNKNOWN_SIGNAL",
    ]
    assert page.rows[0].payload == b"{not json"
    assert page.rows[0].headers["subject"] == "raw.acme.skid.p101.flow"
    assert page.total == 5


@pytest.mark.parametrize("stage", STAGES)
async def test_a_crash_at_any_stage_changes_no_count_and_loses_nothing(rig, stage):
    base = seconds_ago(rig, 100)
    await send_everything(rig, base)
    rig.hooks[stage] = True

    with pytest.raises(rig.Killed):
        await rig.drain()
    rig.restart()
    await rig.send("p101", "flow", {"ts": base + 50, "value": 5.0})
    await rig.drain()

    assert await rig.counts() == EVERYTHING + Counts(received=1, stored=1)
    assert await rig.rows() == 62
    out = await published(rig)
    assert len(set(out)) == 62
    page = await rig.quarantine.page("acme", reason="", after="", limit=50)
    assert len(page.rows) == 5


async def test_a_consumer_that_is_made_anew_repeats_nothing(rig):
    await send_everything(rig, seconds_ago(rig, 100))
    await rig.drain()
    await rig.bus.js.delete_consumer("RAW", "telemetry-ingest")
    rig.restart()
    await rig.drain()

    assert await rig.counts() == EVERYTHING
    assert await rig.rows() == 61


async def test_overlapping_recordings_through_two_doors_in_any_order_equal_one_clean_load(rig):
    base = seconds_ago(rig, 1000)
    recording = [(name, base + n, float(n % 7)) for n in range(60) for name in ("flow", "pressure")]
    shuffled = recording[:90] + recording[30:]
    random.Random(7).shuffle(shuffled)
    lines = "ts,device,signal,value\n" + "\n".join(
        f"{ts},p101,{name},{value}" for name, ts, value in shuffled
    )
    readings = readings_from_csv(
        lines.encode(), tenant="acme", source="skid", zone="", arrived_us=rig.now_us()
    )
    await rig.bus.js.publish("raw.acme.skid.batch", encode_raw_batch(readings))
    for name, ts, value in shuffled[::-1]:
        await rig.send("p101", name, {"ts": ts, "value": value})

    await rig.drain()

    assert await rig.rows() == len(recording)
    assert await rig.counts() == Counts(
        received=2 * len(shuffled),
        stored=len(recording),
        duplicate=2 * len(shuffled) - len(recording),
    )
    table = await rig.clickhouse.read(
        "SELECT sum(value) AS s, max(toUnixTimestamp(observed_at)) AS m FROM readings"
    )
    assert table.column("s")[0].as_py() == sum(v for *_, v in recording)
    assert table.column("m")[0].as_py() == base + 59


async def test_readings_of_a_name_defined_later_come_through_by_themselves(rig):
    base = seconds_ago(rig, 100)
    for n in range(3):
        await rig.send("p102", "flow", {"ts": base + n, "value": 1.0 + n})
    lines = "ts,device,signal,value\n" + "\n".join(f"{base + n},p102,flow,7" for n in range(10, 30))
    batch = readings_from_csv(
        lines.encode(), tenant="acme", source="skid", zone="", arrived_us=rig.now_us()
    )
    await rig.bus.js.publish("raw.acme.skid.batch", encode_raw_batch(batch))
    await rig.drain()
    assert await rig.counts() == Counts(received=23, quarantined=23)
    page = await rig.quarantine.page("acme", reason="UNKNOWN_DEVICE", after="", limit=50)
    assert [row.readings for row in page.rows] == [1, 1, 1, 20]

    rig.define("p102", "flow", 20)
    rig.directory.forget("acme", "skid")
    assert await rig.replay.sweep() == 23
    await rig.drain()

    assert await rig.counts() == Counts(received=23, stored=23)
    assert (await rig.quarantine.page("acme", reason="", after="", limit=50)).total == 0
    assert await rig.replay.sweep() == 0


async def test_a_replay_that_fails_again_stays_in_quarantine(rig):
    await rig.send("p101", "flow", b"{not json")
    await rig.send("p101", "flow", {"ts": "yesterday", "value": 1})
    await rig.drain()

    assert await rig.replay("acme", ids=(), reason="MALFORMED") == 1
    await rig.drain()

    assert await rig.counts() == Counts(received=2, quarantined=2)
    page = await rig.quarantine.page("acme", reason="", after="", limit=50)
    assert sorted(row.reason.value for row in page.rows) == ["BAD_TIME", "MALFORMED"]


async def test_a_device_cannot_replay_or_reach_another_tenant(rig):
    await rig.send("p101", "flow", b"{not json")
    await rig.drain()
    page = await rig.quarantine.page("acme", reason="", after="", limit=50)
    ids = json.dumps([row.quarantine_id for row in page.rows]).encode()

    await rig.bus.js.publish("raw.globex.skid.replay", ids)
    await rig.bus.js.publish("raw.globex.skid.replay", b"garbage")
    await rig.drain()

    assert await rig.counts() == Counts(received=1, quarantined=1)
    assert await rig.counts("globex") == Counts()


async def test_a_stream_made_anew_counts_from_one_again_and_hides_nothing(rig):
    base = seconds_ago(rig, 100)
    await rig.send("p101", "flow", {"ts": base, "value": 1.0})
    await rig.drain()
    info = await rig.bus.js.stream_info("RAW")
    await rig.bus.js.delete_stream("RAW")
    await asyncio.sleep(1.1)  # the stream's age is known to the second
    await rig.bus.js.add_stream(info.config)
    rig.restart()
    await rig.send("p101", "flow", {"ts": base + 1, "value": 2.0})
    await rig.send("p101", "flow", {"ts": base, "value": 1.0})
    await rig.drain()

    assert await rig.counts() == Counts(received=3, stored=2, duplicate=1)


async def test_a_gap_in_the_stream_is_passed_over(rig):
    base = seconds_ago(rig, 100)
    for n in range(5):
        await rig.send("p101", "flow", {"ts": base + n, "value": 1.0})
    await rig.bus.js.delete_msg("RAW", 3)

    await rig.drain()

    assert await rig.counts() == Counts(received=4, stored=4)


async def test_a_subject_that_is_none_of_ours_is_counted_for_nobody(rig):
    await rig.bus.js.publish("raw.ACME.skid.p101.flow", b"{}")
    await rig.bus.js.publish("raw.acme.skid.p101.flow.extra", b"{}")

    await rig.drain()

    assert await rig.counts("-") == Counts(received=1, quarantined=1)
    assert await rig.counts() == Counts(received=1, quarantined=1)
