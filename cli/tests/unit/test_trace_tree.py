"""A kept trace, as a tree."""

from twinmesh_cli.tracing import read_spans, tree

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(span_id, parent, name, start_ms, took_ms=1, **more):
    return {
        "trace_id": TRACE, "span_id": span_id, "parent_id": parent, "name": name,
        "service": "telemetry", "start_us": start_ms * 1000, "end_us": (start_ms + took_ms) * 1000,
        "status": "OK", "message": "", "attributes": {}, "links": [], **more,
    }  # fmt: skip


def test_children_stand_under_their_parent_in_order_of_their_start():
    spans = [
        span("c", "a", "store", 7),
        span("b", "a", "decode", 5),
        span("a", "", "ingest", 5, 10),
        span("d", "b", "parse", 6),
    ]

    names = [line.split("telemetry: ")[1] for line in tree(spans)]
    depths = [len(line) - len(line.split("telemetry:")[0].rstrip()) for line in tree(spans)]

    assert names == ["ingest", "decode", "parse", "store"]
    assert depths[0] < depths[1] < depths[2]


def test_a_span_whose_parent_was_not_kept_is_a_root():
    assert len(list(tree([span("b", "gone", "decode", 5)]))) == 1


def test_links_failures_and_durations_are_shown():
    failed = span("a", "", "call", 0, 12, status="ERROR", message="refused")
    failed["links"] = [{"trace_id": "f" * 32, "span_id": "1"}] * 10

    lines = list(tree([failed]))

    assert "12.0 ms" in lines[0]
    assert "ERROR refused" in lines[0]
    assert "f" * 32 in lines[1]
    assert "2 more links" in lines[-1]


def test_a_line_cut_short_by_a_crash_is_left_out(tmp_path):
    (tmp_path / "x.jsonl").write_text(
        '{"trace_id": "1", "span_id": "2"}\nnull\n{"trace_id": "1", "sp'
    )

    assert len(list(read_spans(tmp_path))) == 1
