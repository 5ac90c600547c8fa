import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval.expansion import check_expansion, expand
from landmarks.retrieval.ranking import Ranking


def unit(x):
    return x / np.linalg.norm(x)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("budget", [0, 64])
def test_equals_the_formula_row_by_row(alpha, budget):
    rng = np.random.default_rng(0)
    queries, database = (rng.standard_normal((n, 6)).astype(np.float32) for n in (5, 9))
    indices = np.array([[1, 2, 3], [0, 8, -1], [4, -1, -1], [-1, -1, -1], [5, 6, 7]], np.int32)
    scores = np.where(indices < 0, -np.inf, [0.9, 0.4, -0.2]).astype(np.float32)
    expanded = expand(queries, Ranking(indices, scores), database, alpha, budget)
    for query, row, weights, got in zip(queries, indices, scores, expanded, strict=True):
        total = unit(query)
        for index, weight in zip(row, weights, strict=True):
            if index >= 0:
                total = total + max(weight, 0) ** alpha * unit(database[index])
        np.testing.assert_allclose(got, unit(total), atol=1e-6)


def test_neighbours_that_cancel_the_descriptor_leave_it_as_it_was():
    queries = np.array([[2, 0]], np.float32)
    nearest = Ranking(np.array([[0]], np.int32), np.array([[-1]], np.float32))
    np.testing.assert_allclose(expand(queries, nearest, -queries, 0.0), [[1, 0]])


@pytest.mark.parametrize(("k", "alpha"), [(0, 1), (1, -1), (1, float("nan")), (1, float("inf"))])
def test_impossible_parameters_are_refused(k, alpha):
    with pytest.raises(LandmarksError, match="stage x: k must be"):
        check_expansion("stage x", k, alpha)
