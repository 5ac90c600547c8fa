import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Gallery, Ranking, SearchState

QUERIES, INDEX = np.ones((2, 3), np.float32), np.ones((5, 3), np.float32)


def test_what_lies_beside_must_fit():
    SearchState(QUERIES, INDEX, Ranking.empty(2, 4), query_regions=np.ones((2, 4, 3), np.float32))
    with pytest.raises(LandmarksError, match="index_regions has 2 rows, expected 5"):
        SearchState(QUERIES, INDEX, index_regions=np.ones((2, 4, 3), np.float32))
    with pytest.raises(LandmarksError, match="the query set has 2"):
        SearchState(QUERIES, INDEX, verified=Ranking.empty(3, 4))
    with pytest.raises(LandmarksError, match=r"gallery: 5 descriptors and landmarks of shape \(4,\)"):
        Gallery(INDEX, np.zeros(4, np.int32), 1)
    with pytest.raises(LandmarksError, match="the query set has 2"):
        SearchState(QUERIES, INDEX, Ranking.empty(3, 4))
    with pytest.raises(LandmarksError, match="stage verification needs a ranking"):
        SearchState(QUERIES, INDEX).require_ranking("verification")


def test_a_new_ranking_leaves_the_old_state_alone():
    state = SearchState(QUERIES, INDEX)
    assert state.with_ranking(Ranking.empty(2, 1)).ranking is not None
    assert state.ranking is None
