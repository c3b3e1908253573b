from hypothesis import given
from hypothesis import strategies as st

from gateway.trust_summary import MAX_PATHS, TrustSummary
from twinmesh_federation.execution.client import CachedPart

VERDICTS = ["UNASSESSED", "FRESH", "LATE", "STALE", "ABSENT"]


def said(verdict, quality="GOOD"):
    return {"twinmesh": {"trust": {"verdict": verdict, "quality": quality}}}


@given(st.lists(st.sampled_from(VERDICTS), min_size=1))
def test_the_worst_verdict_wins_in_any_order(verdicts):
    summary, backwards = TrustSummary(), TrustSummary()
    for verdict in verdicts:
        summary.add("a", ["x"], said(verdict))
    for verdict in reversed(verdicts):
        backwards.add("a", ["x"], said(verdict))
    rank = {"UNASSESSED": 0, "FRESH": 0, "LATE": 1, "STALE": 2, "ABSENT": 3}
    expected = max(rank[v] for v in verdicts)
    assert rank[summary.as_extension()["verdict"]] == expected
    assert rank[backwards.as_extension()["verdict"]] == expected


def test_causes_name_the_subgraphs_of_the_worst_only():
    summary = TrustSummary()
    summary.add("energy", ["asset", "energy"], said("FRESH"))
    summary.add("telemetry", ["asset", "signals", 0], said("STALE"))
    summary.add("maintenance", ["asset"], said("STALE", "UNCERTAIN"))
    extension = summary.as_extension()
    assert extension["causes"] == [{"subgraph": "maintenance", "path": ["asset"]}]


def test_causes_are_bounded():
    summary = TrustSummary()
    for index in range(3 * MAX_PATHS):
        summary.add("telemetry", ["assets", index], said("STALE"))
    assert len(summary.as_extension()["causes"]) == MAX_PATHS


def test_what_was_kept_is_a_reason_to_trust_less():
    summary = TrustSummary()
    summary.add("energy", ["asset"], said("FRESH"))
    reasons = summary.as_extension({"registry": CachedPart(3, ("Asset",), 12.34)})["reasons"]
    assert reasons == [
        {
            "code": "CACHED",
            "subject": "registry: Asset",
            "detail": "3 kept from up to 12.3 s ago",
        }
    ]
    assert summary.as_extension()["reasons"] == []


def test_a_stranger_that_says_nothing_or_nonsense_is_ignored():
    summary = TrustSummary()
    nonsense = {"twinmesh": {"trust": {"verdict": "SPLENDID"}}}
    for extensions in (None, 3, {}, {"twinmesh": 1}, nonsense):
        summary.add("stranger", [], extensions)
    assert summary.as_extension() is None
