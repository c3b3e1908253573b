"""Memory that clients cannot fill: so many entries, so long together."""

from hypothesis import given
from hypothesis import strategies as st

from twinmesh_federation import Engine, ExecutorOptions, GraphQLRequest, Subgraph, compose
from twinmesh_federation.remembered import DEFAULT_CHARS, Remembered
from twinmesh_federation.testing import LocalSubgraphs


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 60)), max_size=80))
def test_it_stays_within_its_bounds_and_keeps_what_came_last(puts):
    kept = Remembered(4, 100)
    for key, chars in puts:
        kept.put(key, (key, chars), chars)
        assert len(kept) <= 4
        assert kept.held_chars <= 100
        assert kept.get(key) == (key, chars)
    held = [kept.get(key) for key in range(10) if kept.get(key)]
    assert kept.held_chars == sum(chars for _, chars in held)


def test_a_text_that_is_longer_than_all_may_be_is_not_kept_and_replaces_what_was():
    kept = Remembered(4, 10)
    kept.put("a", 1, 5)
    kept.put("a", 2, 11)
    assert kept.get("a") is None
    assert (len(kept), kept.held_chars) == (0, 0)


async def test_long_documents_do_not_pile_up():
    supergraph = compose([Subgraph("a", "http://a", "type Query { a(t: String): Int }")]).supergraph
    options = ExecutorOptions(document_cache=10_000)
    engine = Engine(LocalSubgraphs({}), supergraph=supergraph, options=options)
    long = "x" * 900_000
    for number in range(40):
        await engine.execute(GraphQLRequest(f'{{ a(t: "{number}{long}") }}'))
    executor = engine.executor
    for cache in (executor._documents, executor.planner._cache, executor.planner._texts):
        assert cache.held_chars <= DEFAULT_CHARS
        assert len(cache) < 20
