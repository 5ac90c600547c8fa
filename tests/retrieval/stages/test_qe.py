import json
from dataclasses import replace

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking, SearchState
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import QueryExpansion, Search
from resources import make_resources


@pytest.mark.parametrize("alpha", [0, 3])
@pytest.mark.parametrize("normalize", [False, True])
def test_reproduces_published_rankings(oracles, reranking_map, alpha, normalize):
    folder = oracles / "reranking"
    queries, index = (np.load(folder / f"{name}.npy") for name in ("queries", "index"))
    resources = make_resources(ExactIndex(normalize=normalize))
    state = QueryExpansion(5, alpha)(Search()(SearchState(queries, index), resources), resources)
    expected = json.loads((folder / "expected.json").read_text())["map@100"][f"qe_k5_alpha{alpha}"]
    assert reranking_map(state.ranking) == pytest.approx(expected, abs=1e-3)
    published = np.load(folder / "expected_rankings.npz")[f"qe_k5_alpha{alpha}_scores"]
    np.testing.assert_allclose(state.ranking.scores, published, atol=1e-4)


def test_needs_a_ranking_that_is_deep_enough():
    state = SearchState(np.ones((1, 2), np.float32), np.ones((9, 2), np.float32))
    with pytest.raises(LandmarksError, match="query expansion needs a ranking"):
        QueryExpansion()(state, make_resources())
    resources = make_resources(ExactIndex(k=3))
    with pytest.raises(LandmarksError, match="k is 5, but the ranking has 3"):
        QueryExpansion(k=5)(Search()(state, resources), resources)
    with pytest.raises(LandmarksError, match="k=0"):
        QueryExpansion(k=0)
    with pytest.raises(LandmarksError, match="rounds must be 1"):
        QueryExpansion(rounds=0)
    with pytest.raises(LandmarksError, match="weights must be similarity or rank"):
        QueryExpansion(weights="ranks")


def test_fewer_index_images_than_k_adds_those_there_are():
    rng = np.random.default_rng(0)
    queries, index = (rng.standard_normal((n, 4)).astype(np.float32) for n in (2, 3))
    resources = make_resources(ExactIndex(k=10))
    state = QueryExpansion(k=8, alpha=0)(Search()(SearchState(queries, index), resources), resources)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, index)]
    total = unit[0] + unit[1].sum(axis=0)
    np.testing.assert_allclose(state.queries, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-6)


def test_later_rounds_add_what_was_found_to_the_first_query():
    rng = np.random.default_rng(1)
    queries, index = (rng.standard_normal((n, 8)).astype(np.float32) for n in (4, 50))
    resources = make_resources(ExactIndex(k=5))
    start = Search()(SearchState(queries, index), resources)
    once = QueryExpansion()(start, resources)
    by_hand = QueryExpansion()(replace(once, queries=queries), resources)
    twice = QueryExpansion(rounds=2)(start, resources)
    np.testing.assert_array_equal(twice.queries, by_hand.queries)
    assert not np.array_equal(twice.queries, once.queries)


def test_scores_of_another_kind_do_not_become_weights():
    rng = np.random.default_rng(2)
    queries, index = (rng.standard_normal((n, 8)).astype(np.float32) for n in (4, 50))
    resources = make_resources()
    start = Search()(SearchState(queries, index), resources)
    inliers = replace(start, ranking=Ranking(start.ranking.indices, start.ranking.scores + 1000))
    plain, other = QueryExpansion()(start, resources), QueryExpansion()(inliers, resources)
    np.testing.assert_array_equal(plain.queries, other.queries)
