from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.wire.upload import readings_from_csv, readings_from_json
from twinmesh_sdk.core.errors import InvalidInputError

NOW = 1_767_225_600_000_000


def csv(text, zone=""):
    return readings_from_csv(text.encode(), tenant="acme", source="bms", zone=zone, arrived_us=NOW)


def test_a_csv_body_is_read_with_every_column():
    readings = csv(
        "ts,device,signal,value,quality,seq\n"
        "2026-01-01T00:00:00Z,m1,elec,1.5,Good,7\n"
        "2026-01-01T01:00:00+01:00,m1,gas,,UncertainSensorNotAccurate,\n"
    )
    assert [n.local for n in readings.names] == ["m1/elec", "m1/gas"]
    assert readings.observed_us.tolist() == [NOW, NOW]
    assert readings.value.tolist()[0] == 1.5
    assert str(readings.value[1]) == "nan"
    assert readings.source_status.tolist() == [0, 0x40930000]
    assert readings.sequence.tolist() == [7, -1]


def test_unix_times_and_a_declared_zone_are_read():
    assert csv("ts,device,signal,value\n1767225600,a,b,1").observed_us.tolist() == [NOW]
    assert csv("ts,device,signal,value\n1767225600000,a,b,1").observed_us.tolist() == [NOW]
    local = csv("ts,device,signal,value\n2026-01-01T01:00:00,a,b,1", zone="Europe/Berlin")
    assert local.observed_us.tolist() == [NOW]


def test_an_hour_that_the_clocks_repeat_means_its_first_run():
    body = "ts,device,signal,value\n2025-10-26 00:59:00,a,b,1\n2025-10-26 01:30:00,a,b,2"
    stamps = csv(body, zone="Europe/London").observed_us

    assert stamps.tolist()[1] - stamps.tolist()[0] == 31 * 60 * 1_000_000


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "CSV"),
        ("ts,device,signal\n1,a,b", "value"),
        ("ts,device,signal,value,colour\n1,a,b,1,red", "colour"),
        ("ts,device,signal,value\n1,a,b", "CSV"),
        ("ts,device,signal,value\n", "no readings"),
        ("ts,device,signal,value\n1767225600,a,b,1\n1767225600,a,b,much", "line 3"),
        ("ts,device,signal,value\nsoon,a,b,1", "line 2"),
        ("ts,device,signal,value\n2026-01-01T00:00:00,a,b,1", "zone"),
        ("ts,device,signal,value\n1767225600,a.b,c,1", "line 2"),
        ("ts,device,signal,value,seq\n1767225600,a,b,1,-5", "line 2"),
        ("ts,device,signal,value,quality\n1767225600,a,b,1,Fine", "line 2"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_place(body, told):
    with pytest.raises(InvalidInputError, match=told):
        csv(body)


@given(text=st.text(max_size=200))
def test_any_text_is_readings_or_a_clear_error(text):
    with suppress(InvalidInputError):
        assert len(csv("ts,device,signal,value\n" + text)) > 0


def json_body(text):
    return readings_from_json(text.encode(), tenant="acme", source="bms", zone="", arrived_us=NOW)


def test_a_json_body_is_read():
    readings = json_body(
        '{"readings": [{"device": "m1", "signal": "elec", "ts": "2026-01-01T00:00:00Z",'
        ' "value": 2, "seq": 3}, {"device": "m1", "signal": "elec", "ts": 1767225601,'
        ' "value": NaN, "quality": 0}]}'
    )
    assert readings.observed_us.tolist() == [NOW, NOW + 1_000_000]
    assert readings.sequence.tolist() == [3, -1]


@given(text=st.text(max_size=100))
def test_any_text_as_json_is_a_clear_error(text):
    with pytest.raises(InvalidInputError):
        json_body(text)
