import gzip

import numpy as np
import pytest

from twinmesh_local.plant import meters, plan, skids
from twinmesh_local.plant.importing import csv_of, rows_of
from twinmesh_local.plant.pacing import Cursor

HEAD = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;"
    "Voltage;Volume Flow RateRMS"
)


def skab(path, start, count=20, *, labels=True, minute=0):
    lines = [HEAD + (";anomaly;changepoint" if labels else "")]
    for second in range(count):
        stamp = f"2021-05-0{start} 10:{minute:02d}:{second:02d}"
        cells = [stamp, *(f"{0.1 * (second + k):.3f}" for k in range(8))]
        lines.append(";".join(cells + (["1.0", "0.0"] if labels else [])))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def data(tmp_path):
    for name, day in (("a", 1), ("b", 2), ("c", 3)):
        skab(tmp_path / f"skab/many/{name}.csv", day)
    skab(tmp_path / "skab/few/x.csv", 1, labels=False)
    return tmp_path


def laid_out(data):
    runs, refused = skids.read_runs(data)
    assert refused == []
    return skids.lay_out(runs)


def test_folders_become_skids_in_order_of_their_files(data):
    found = {skid.name: [run.label for run in skid.runs] for skid in laid_out(data)}
    assert found == {
        "P-101": ["skab/many/a.csv", "skab/many/b.csv", "skab/many/c.csv"],
        "P-102": ["skab/few/x.csv"],
    }


def test_names_and_values_of_files_do_not_matter(data, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for number in range(3):
        skab(other / f"skab/zzz/{9 - number}.csv", number + 1)
    assert [s.name for s in laid_out(other)] == ["P-101"]
    assert skids.signals_of(laid_out(other)[0]) == skids.signals_of(laid_out(data)[0])


def test_runs_that_overlap_in_time_get_a_further_skid(data):
    skab(data / "skab/many/again.csv", 1)
    found = {skid.name: len(skid.runs) for skid in laid_out(data)}
    assert found == {"P-101": 3, "P-102": 1, "P-103": 1}
    for skid in laid_out(data):
        for one, other in zip(skid.runs, skid.runs[1:], strict=False):
            assert one.end_us < other.start_us


def test_columns_become_signals_by_their_role(data):
    specs = {s.name: s for s in skids.signals_of(laid_out(data)[0])}
    assert set(specs) == {
        "vibration_1", "vibration_2", "current", "pressure", "temperature", "fluid_temperature",
        "voltage", "flow",
    }  # fmt: skip
    assert (specs["flow"].source_unit, specs["flow"].unit) == ("L/min", "m3/s")
    assert specs["flow"].source_signal == "Volume_Flow_RateRMS"
    assert {s.time_zone for s in specs.values()} == {"UTC"}
    assert {s.cadence_s for s in specs.values()} == {1.0}


def test_an_unknown_column_is_a_plain_signal_and_a_text_column_is_none(tmp_path):
    (tmp_path / "skab/rig").mkdir(parents=True)
    (tmp_path / "skab/rig/1.csv").write_text(
        "timestamp,Flow [m3/h],Torque,note,label\n"
        "2021-05-01T00:00:00Z,1.0,5,hello,1\n2021-05-01T00:00:01Z,2.0,,world,0\n"
    )
    skid = laid_out(tmp_path)[0]
    specs = {s.name: s for s in skids.signals_of(skid)}
    assert set(specs) == {"flow", "Torque"}
    assert specs["flow"].source_unit == "m3/h"
    assert specs["Torque"].unit == "1"
    track = skids.track_of(skid, skid.runs[0])
    assert track.zoned
    assert track.readings == 3


def test_labels_never_leave_the_replayer(data):
    recordings = plan.read_recordings(data)
    told = "".join(csv_of(name, rows) for name, rows in rows_of(recordings.plant).items())
    sent = b"".join(
        signal.encode() + payload
        for track in recordings.paced
        for signal, payload in Cursor(track, after_us=None).take(2**62)
    )
    for word in ("anomaly", "changepoint"):
        assert word not in told.lower()
        assert word.encode() not in sent.lower()
    assert recordings.readings == (3 + 1) * 20 * 8


def test_each_run_is_a_configuration_from_its_first_stamp(data):
    plant = plan.read_recordings(data).plant
    labels = {c.label: c.valid_from_us for c in plant.configurations if c.asset == "P-101"}
    assert list(labels) == [f"skab/many/{n}.csv" for n in "abc"]
    first = np.datetime64("2021-05-01T10:00:00", "us").astype(int)
    assert labels["skab/many/a.csv"] == first


def test_a_file_that_is_no_table_is_named_and_left_out(data):
    (data / "skab/many/empty.csv").write_text("")
    (data / "skab/many/binary.csv").write_bytes(b"\xff\xfe\x00\x01" * 100)
    (data / "skab/many/no-time.csv").write_text("a;b\n1;2\n")
    (data / "skab/many/short.csv").write_text(HEAD + "\n")
    (data / "skab/many/bad.csv.gz").write_bytes(b"not gzip at all")
    recordings = plan.read_recordings(data)
    assert len(recordings.notices) == 5
    assert len(recordings.paced) == 4


def test_unreadable_cells_are_left_out_and_said(data):
    text = (data / "skab/few/x.csv").read_text().replace("0.100", "broken", 1)
    (data / "skab/few/x.csv").write_text(text + "not a time;1;2;3;4;5;6;7;8\n")
    recordings = plan.read_recordings(data)
    assert recordings.notices == (
        "skab/few/x.csv: 2 cells or rows are no numbers and are left out",
    )


def test_stretches_jump_gaps_over_ten_minutes_only(tmp_path):
    skab(tmp_path / "skab/rig/a.csv", 1)
    skab(tmp_path / "skab/rig/b.csv", 1, minute=9)
    skab(tmp_path / "skab/rig/c.csv", 1, minute=30)
    skab(tmp_path / "skab/more/d.csv", 2)
    stretches = plan.stretches(plan.read_recordings(tmp_path).paced)
    spans = [(s.end_us - s.start_us) / 1e6 for s in stretches]
    assert spans == [9 * 60 + 19, 19, 19]


def test_rows_out_of_order_are_sent_in_order(tmp_path):
    skab(tmp_path / "skab/rig/a.csv", 1)
    head, *lines = (tmp_path / "skab/rig/a.csv").read_text().splitlines()
    (tmp_path / "skab/rig/a.csv").write_text("\n".join([head, *reversed(lines)]) + "\n")
    (track,) = plan.read_recordings(tmp_path).paced
    assert np.all(np.diff(track.stamps) > 0)


def meter_file(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write(text)


@pytest.fixture
def estate(tmp_path):
    meter_file(
        tmp_path / "ucam/public/electricity_kwh_2030.csv.gz",
        "timestamp_utc,x1,x2\n2030-01-01 00:00:00,1.5,\n2030-01-01 01:00:00,2.5,7\n",
    )
    meter_file(
        tmp_path / "ucam/public/gas_kwh_2030.csv.gz",
        "timestamp_utc,x1\n2030-01-01 00:00:00,0.5\n2030-01-01 01:00:00,0.25\n",
    )
    meter_file(
        tmp_path / "ucam/aux/weather_somewhere.csv.gz",
        "timestamp_utc,air_temperature [degC],rltv_hum [%]\n2030-01-01 00:00:00,2.6,92\n"
        "2030-01-01 01:00:00,2.7,93\n",
    )
    (tmp_path / "ucam/public/areas.csv").write_text("Building ID,GIA (m2)\nx1,100\n")
    return tmp_path


def test_meters_become_buildings_with_a_signal_per_quantity(estate):
    recordings = plan.read_recordings(estate)
    assets = {asset.name: asset for asset in recordings.assets}
    assert {s.name for s in assets["x1"].signals} == {"electricity_energy", "gas_energy"}
    assert {s.name for s in assets["x2"].signals} == {"electricity_energy"}
    assert assets["x1"].asset_class == "building"
    assert assets["weather_somewhere"].asset_class == "weather_station"
    units = {s.source_unit for a in assets.values() for s in a.signals}
    assert units == {"kW.h", "Cel", "%"}
    assert recordings.paced == ()
    assert recordings.readings == 3 + 2 + 4
    (described,) = recordings.plant.configurations
    assert (described.asset, dict(described.attributes)) == ("x1", {"GIA_m2": 100.0})


def test_a_coarse_recording_is_backfilled_and_a_fine_one_paced(estate):
    skab(estate / "skab/rig/a.csv", 1)
    recordings = plan.read_recordings(estate)
    assert [t.device for t in recordings.paced] == ["P-101"]
    assert {t.source for t in recordings.backfilled} == {meters.SOURCE}


def test_a_folder_without_recordings_is_an_empty_plant(tmp_path):
    recordings = plan.read_recordings(tmp_path)
    assert recordings.readings == 0
    assert recordings.plant.assets == ()
