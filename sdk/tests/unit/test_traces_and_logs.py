"""Spans are kept as lines in bounded files; logs are one JSON object per line."""

import json
import logging

import pytest

from twinmesh_sdk.adapters import trace_files, tracing
from twinmesh_sdk.runtime.json_logs import JsonFormatter

CAUSE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"


@pytest.fixture
def spans(tmp_path):
    end = tracing.configure(service="tester", version="1", trace_dir=str(tmp_path))
    ended = []

    def read():
        if not ended:
            end()
            ended.append(True)
        lines = (tmp_path / "tester.jsonl").read_text().splitlines()
        return {line["name"]: line for line in map(json.loads, lines)}

    yield read
    if not ended:
        end()


def test_a_span_continues_its_cause_and_links_the_others(spans):
    with (
        tracing.span("outer", parent=CAUSE, links=[OTHER, "nonsense"]),
        tracing.span("inner", attributes={"a": 1}),
    ):
        carried = tracing.traceparent()

    kept = spans()
    assert carried.split("-")[1] == CAUSE.split("-")[1]
    assert kept["inner"]["parent_id"] == kept["outer"]["span_id"]
    assert kept["outer"]["trace_id"] == CAUSE.split("-")[1]
    assert kept["outer"]["parent_id"] == CAUSE.split("-")[2]
    assert [link["trace_id"] for link in kept["outer"]["links"]] == [OTHER.split("-")[1]]
    assert kept["inner"]["attributes"] == {"a": 1}


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_an_unreadable_cause_begins_a_new_trace(spans, parent):
    with tracing.span("outer"), tracing.span("fresh", parent=parent):
        pass

    kept = spans()
    assert kept["fresh"]["parent_id"] == ""
    assert kept["fresh"]["trace_id"] != kept["outer"]["trace_id"]


def test_a_failure_is_marked(spans):
    with pytest.raises(RuntimeError), tracing.span("broken"):
        raise RuntimeError("why")

    assert spans()["broken"]["status"] == "ERROR"
    assert "why" in spans()["broken"]["message"]


def test_the_files_are_bounded(tmp_path):
    exporter = trace_files.TraceFiles(tmp_path, "tester", max_file_bytes=100)
    end = tracing.configure(service="other", version="1", trace_dir=str(tmp_path / "x"))
    with tracing.span("some") as span:
        pass
    for _ in range(10):
        exporter.export([span])
    end()

    kept = sorted(path.name for path in tmp_path.glob("tester*"))
    assert kept == ["tester.1.jsonl", "tester.2.jsonl", "tester.jsonl"]


def test_a_log_line_holds_a_constant_message_and_fields():
    record = logging.getLogger("x").makeRecord(
        "x", logging.INFO, "f", 1, "asset created", (), None, extra={"asset_id": "a", "n": 3}
    )

    line = json.loads(JsonFormatter("tester").format(record))

    assert line["message"] == "asset created"
    assert (line["asset_id"], line["n"], line["service"]) == ("a", 3, "tester")


def test_a_field_cannot_break_a_line():
    record = logging.getLogger("x").makeRecord(
        "x", logging.INFO, "f", 1, "m", (), None, extra={"text": "a\nb" * 5000}
    )

    line = JsonFormatter("tester").format(record)

    assert "\n" not in line
    assert len(line) < 5000
