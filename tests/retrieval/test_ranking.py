import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import Gallery, Ranking, SearchState, best, completed
from resources import assert_same_ranking


def random_ranking(rng, queries, index_size, depth):
    """Few distinct scores, so that ties are common."""
    scores = rng.integers(0, 4, (queries, index_size)).astype(np.float32)
    return best(np.tile(np.arange(index_size), (queries, 1)), scores, depth)


def test_rules_of_a_ranking_are_checked():
    def ranking(indices, scores):
        return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))

    ranking([[3, -1]], [[0.5, -np.inf]])
    with pytest.raises(LandmarksError, match="query row 1 is not in order"):
        ranking([[1, 2], [1, 2]], [[0.5, 0.4], [0.4, 0.5]])
    with pytest.raises(LandmarksError, match="query row 0 has an index below -1"):
        ranking([[1, -2]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="empty place"):
        ranking([[1, -1]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="NaN"):
        ranking([[1]], [[np.nan]])
    with pytest.raises(LandmarksError, match="int32"):
        Ranking(np.zeros((1, 1), np.int64), np.zeros((1, 1), np.float32))
    with pytest.raises(LandmarksError, match=r"\[Q, K\]"):
        ranking([[1]], [[0.5, 0.4]])
    with pytest.raises(LandmarksError, match="twice"):
        ranking([[1, 1]], [[0.5, 0.4]]).check(1, 2)
    with pytest.raises(LandmarksError, match="outside the index of 1"):
        ranking([[1]], [[0.5]]).check(1, 1)
    with pytest.raises(LandmarksError, match="the query set has 2"):
        ranking([[1]], [[0.5]]).check(2, 2)


def test_a_file_gives_the_same_ranking(tmp_path):
    ranking = random_ranking(np.random.default_rng(0), 4, 5, 7)
    ranking.save(tmp_path / "ranking.npz")
    with np.load(tmp_path / "ranking.npz") as loaded:
        assert_same_ranking(Ranking(loaded["indices"], loaded["scores"]), ranking)
    assert [path.name for path in tmp_path.iterdir()] == ["ranking.npz"]


def make_ranking(rng, lengths, depth, largest):
    ranking = Ranking.empty(len(lengths), depth)
    for row, length in enumerate(lengths):
        ranking.indices[row, :length] = rng.choice(12, length, replace=False)
        ranking.scores[row, :length] = -np.sort(-rng.uniform(0.1, largest, length))
    return ranking


@given(st.integers(0, 10**6), st.integers(1, 8))
def test_earlier_images_follow_in_order(seed, depth):
    rng = np.random.default_rng(seed)
    found, earlier = (make_ranking(rng, rng.integers(0, depth + 1, 5), depth, largest) for largest in (3, 1))
    result = completed(found, earlier)
    result.check(5, 12)
    for row in range(5):
        first = [i for i in found.indices[row] if i >= 0]
        expected = (first + [i for i in earlier.indices[row] if i >= 0 and i not in first])[:depth]
        assert result.indices[row].tolist() == expected + [-1] * (depth - len(expected))
        np.testing.assert_array_equal(result.scores[row, : len(first)], found.scores[row, : len(first)])
        assert (result.scores[row, len(first) :] <= 0).all()


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
