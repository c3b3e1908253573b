"""`twinmesh trace`: a trace kept in the state folder, as a tree."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from twinmesh_cli.asking import READER, post_query
from twinmesh_cli.running import failures_told, mesh
from twinmesh_sdk.core.errors import NotFoundError, UnavailableError

Span = Mapping[str, Any]

TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
PAGE: Final = 100
MAX_PAGES: Final = 100
MAX_LINKS: Final = 8
_ITEMS: Final = """
query Items($after: String) {
  workItems(first: 100, after: $after) {
    nodes { id traceId }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@click.command()
@click.argument("id")
@click.option(
    "--as", "name", default=READER, show_default=True, help="As whom to find the work item."
)
@click.option("--json", "as_json", is_flag=True, help="Print the spans as one JSON document.")
def trace(id: str, *, name: str, as_json: bool) -> None:
    """Print the trace of a work item, or the trace with an id of 32 hexadecimal digits."""
    with failures_told():
        trace_id = id if TRACE_ID.fullmatch(id) else trace_of_item(id, identity=name)
        spans = [s for s in read_spans(mesh().folder / "traces") if s["trace_id"] == trace_id]
        if not spans:
            raise NotFoundError(f"no span of trace {trace_id} is kept in the state folder")
    if as_json:
        click.echo(json.dumps({"trace_id": trace_id, "spans": spans}, indent=2))
        return
    click.echo(f"trace {trace_id}")
    for line in tree(spans):
        click.echo(line)


def trace_of_item(item: str, *, identity: str) -> str:
    """Return the trace id that the gateway gives for a work item.

    Raises:
        NotFoundError: There is no such work item, or it has no trace.
        UnavailableError: The gateway does not answer the question.
    """
    after = None
    for _ in range(MAX_PAGES):
        answer = post_query(_ITEMS, {"after": after}, {}, identity)
        page = (answer.get("data") or {}).get("workItems")
        if page is None:
            words = "; ".join(str(e.get("message")) for e in answer.get("errors") or ())
            raise UnavailableError(f"the gateway knows no work items now: {words}")
        for node in page["nodes"]:
            if node["id"] == item:
                return _of(node)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    raise NotFoundError(f"no work item {item!r}")


def _of(node: Mapping[str, Any]) -> str:
    trace_id = str(node.get("traceId") or "")
    if not TRACE_ID.fullmatch(trace_id):
        raise NotFoundError(f"work item {node['id']} carries no trace")
    return trace_id


def read_spans(folder: Path) -> Iterator[Span]:
    """Yield every span kept in a folder of JSON lines; a line cut short by a crash is left out."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    span = json.loads(line)
                except ValueError:
                    continue
                if isinstance(span, dict) and "trace_id" in span:
                    yield span


def tree(spans: Sequence[Span]) -> Iterator[str]:
    """Yield a trace's lines: children under their parent, in order of their start."""
    ids = {span["span_id"] for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda s: s["start_us"]):
        parent = span.get("parent_id") or ""
        children[parent if parent in ids else ""].append(span)
    begin_us = min(span["start_us"] for span in spans)

    def lines(span: Span, depth: int) -> Iterator[str]:
        yield _line(span, depth, begin_us)
        links = span.get("links") or []
        for link in links[:MAX_LINKS]:
            yield f"{'':>24}{'  ' * (depth + 1)}~ link to trace {link['trace_id']}"
        if len(links) > MAX_LINKS:
            yield f"{'':>24}{'  ' * (depth + 1)}~ and {len(links) - MAX_LINKS} more links"
        for child in children[span["span_id"]]:
            yield from lines(child, depth + 1)

    for root in children[""]:
        yield from lines(root, 0)


def _line(span: Span, depth: int, begin_us: int) -> str:
    at_ms = (span["start_us"] - begin_us) / 1000
    took_ms = (span["end_us"] - span["start_us"]) / 1000
    failed = f"  ERROR {span.get('message', '')}" if span.get("status") == "ERROR" else ""
    name = f"{'  ' * depth}{span.get('service', '?')}: {span.get('name', '?')}"
    return f"{at_ms:>11.1f} {took_ms:>9.1f} ms {name}{failed}"
