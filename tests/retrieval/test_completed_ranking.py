import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.retrieval import Ranking, completed


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
