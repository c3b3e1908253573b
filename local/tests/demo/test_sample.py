from pathlib import Path

from twinmesh_local.demo.run import sample_query

README = Path(__file__).resolve().parents[3] / "README.md"


def test_readme_shows_the_query_that_the_demonstration_asks():
    text = README.read_text()
    block = text[text.index("<!-- sample -->") : text.index("<!-- /sample -->")]
    assert sample_query() in block


def test_the_sample_asks_for_configurations_as_known_at_two_times():
    assert sample_query().count("configurations") >= 2
    assert "knownAt: $knownThen" in sample_query()
