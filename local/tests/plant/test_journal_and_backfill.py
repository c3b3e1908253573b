import io

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_local.plant import journal as journals
from twinmesh_local.plant.backfill import HEADER, READINGS_PER_BATCH, BackfillDoor, batches
from twinmesh_local.plant.identity import TokenSource
from twinmesh_local.plant.importing import csv_of, rows_of
from twinmesh_local.plant.journal import Journal, Phase
from twinmesh_local.plant.model import AssetSpec, PlantSpec, SignalSpec, Track
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import PlantTime


def test_a_journal_survives_the_disk(tmp_path):
    journal = Journal(run="r1", seed=7, phase=Phase.REPLAYING, pace=PlantTime(1, 2.0, 3))
    journal.assets["P-101"] = 5
    journals.save(tmp_path / "plant.json", journal)
    assert journals.load(tmp_path / "plant.json", run="r1") == journal
    assert journals.load(tmp_path / "plant.json", run="r2") is None
    assert journals.load(tmp_path / "none.json", run="r1") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run":1}', "\0"])
def test_a_broken_journal_begins_anew(tmp_path, text):
    (tmp_path / "plant.json").write_text(text)
    assert journals.load(tmp_path / "plant.json", run="r1") is None
    with pytest.raises(InvalidInputError):
        Journal.from_json(text)


def track(rows, columns, *, holes=()):
    values = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns)
    for hole in holes:
        values.flat[hole] = np.nan
    return Track(
        source="historian",
        device="b1",
        signals=tuple(f"s{k}" for k in range(columns)),
        stamps=1_500_000_000_000_000 + np.arange(rows, dtype=np.int64) * 3_600_000_000,
        values=values,
        zoned=False,
    )


@given(st.integers(1, 30_000), st.integers(1, 4))
def test_batches_carry_every_reading_once(rows, columns):
    cut = list(batches(track(rows, columns)))
    assert sum(batch.rows for batch in cut) == rows
    assert sum(batch.readings for batch in cut) == rows * columns
    assert all(batch.readings <= READINGS_PER_BATCH for batch in cut)


def test_a_restart_cuts_the_same_batches():
    whole = list(batches(track(25_000, 2)))
    assert list(batches(track(25_000, 2), from_row=whole[0].rows)) == whole[1:]
    assert list(batches(track(25_000, 2), from_row=whole[0].rows + 1)) == whole[1:]


def test_an_empty_cell_is_no_line():
    (batch,) = batches(track(3, 2, holes=[1, 4]))
    lines = batch.body.decode().splitlines()
    assert lines[0] == HEADER
    assert lines[1:] == [
        "b1,s0,2017-07-14T02:40:00.000000,0.0,0",
        "b1,s0,2017-07-14T03:40:00.000000,2.0,1",
        "b1,s1,2017-07-14T03:40:00.000000,3.0,1",
        "b1,s1,2017-07-14T04:40:00.000000,5.0,2",
    ]
    assert batch.readings == 4


async def test_the_door_is_asked_again_while_it_is_away_and_told_who_asks():
    seen = []

    async def answer(request):
        seen.append(request)
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "abc", "expires_in": 300})
        return httpx.Response(503 if len(seen) < 4 else 202, json={"repeated": 0})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        tokens = TokenSource(http, url="http://issuer/token", client="plant", secret="s")
        door = BackfillDoor(http, url="http://telemetry/", tokens=tokens)
        await door.send("historian", next(batches(track(1, 1))))
    assert [r.url.path for r in seen] == ["/token"] + ["/v1/readings"] * 3
    assert seen[-1].headers["authorization"] == "Bearer abc"
    assert dict(seen[-1].url.params) == {"source": "historian", "zone": "UTC"}


async def test_a_refused_batch_is_an_error_that_says_why():
    async def answer(request):
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "abc", "expires_in": 300})
        return httpx.Response(400, text="no such column")

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        tokens = TokenSource(http, url="http://issuer/token", client="plant", secret="s")
        door = BackfillDoor(http, url="http://telemetry", tokens=tokens)
        with pytest.raises(InvalidInputError, match="no such column"):
            await door.send("historian", next(batches(track(1, 1))))


def test_the_import_tables_name_every_asset_once_and_refer_to_no_other():
    spec = SignalSpec("flow", "Flow", "L/min", "m3/s", 1.0, 0.0, None)
    plant = PlantSpec(
        assets=(
            AssetSpec("SITE", "site"),
            AssetSpec("P-1", "pump", "rig", "P-1", (spec,), located_in="SITE"),
        )
    )
    rows = rows_of(plant + plant)
    assert [row[0] for row in rows["assets"]] == ["SITE", "P-1"]
    assert [row[:3] for row in rows["relations"]] == [("P-1", "LOCATED_IN", "SITE")]
    text = io.StringIO(csv_of("signals", rows["signals"]))
    assert text.readline().startswith("asset,name,source_unit,unit,range_min")
    assert text.readline().startswith("P-1,flow,L/min,m3/s,0.0,,1.0,rig,P-1,Flow,")


@pytest.mark.parametrize("bad", ["a.b", "a b", "", "x" * 65, "a>"])
def test_names_that_could_be_no_topic_are_refused(bad):
    with pytest.raises(InvalidInputError):
        AssetSpec(bad, "pump")
