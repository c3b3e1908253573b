from pathlib import Path

import orjson

from telemetry.model.quarantine import Reason
from telemetry.wire.upload import UploadedReadings, readings_from_csv, readings_from_json

DOORS = Path(__file__).parents[4] / "docs" / "reference" / "doors.md"
MORE = {"tenant": "acme", "source": "bms", "zone": "", "arrived_us": 0}


def blocks(language):
    return [
        part.split("```")[0].strip() for part in DOORS.read_text().split(f"```{language}\n")[1:]
    ]


def test_every_reason_is_documented():
    text = DOORS.read_text()
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []


def test_the_documented_bodies_are_taken():
    (csv,) = blocks("csv")
    assert len(readings_from_csv(csv.encode(), **MORE)) == 2
    body = next(b for b in blocks("json") if "readings" in b and "device" in b)
    assert len(readings_from_json(body.encode(), **MORE)) == 1
    assert set(UploadedReadings.model_fields) == {"readings"}


def test_the_documented_message_is_taken():
    message = orjson.loads(blocks("json")[0])
    assert set(message) == {"ts", "value", "quality", "seq"}
