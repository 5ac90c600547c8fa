import numpy as np
import pytest

from landmarks.retrieval import Ranking
from landmarks.retrieval.diffusion import last_copies, later_first, stand_in


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("budget", [1, 10**6])
def test_last_row_with_the_same_bits(dtype, budget):
    rng = np.random.default_rng(0)
    which = rng.integers(0, 30, 80)
    rows = rng.standard_normal((30, 5)).astype(dtype)[which]
    expected = [np.flatnonzero(which == image)[-1] for image in which]
    np.testing.assert_array_equal(last_copies(rows, budget), expected)
    assert len(last_copies(rows[:0])) == 0


def test_the_last_copy_takes_the_first_place():
    columns = np.array([[0, 4, 2], [1, 5, 6], [2, 0, 4], [3, 1, -1]], np.int32)
    expected = [[4, 0, 2], [7, 5, 1], [4, 0, 2], [3, 1, -1]]
    assert stand_in(columns, np.array([4, 7, 4, 3], np.int32)).tolist() == expected


def test_the_later_row_comes_first_among_equals():
    ranking = Ranking(
        np.array([[1, 2, 3, 4], [7, 8, -1, -1]], np.int32),
        np.array([[0.9, 0.5, 0.5, 0.1], [0.5, 0.5, -np.inf, -np.inf]], np.float32),
    )
    found = later_first(ranking)
    assert found.indices.tolist() == [[1, 3, 2, 4], [8, 7, -1, -1]]
    np.testing.assert_array_equal(found.scores, ranking.scores)
