import json

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.index import ExactIndex
from landmarks.retrieval.stages.qe import QueryExpansion
from landmarks.retrieval.stages.search import Search
from landmarks.retrieval.state import SearchState
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
