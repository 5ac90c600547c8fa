import numpy as np

from landmarks.retrieval.search import rescored, rescored_lists


def test_orders_candidates_by_exact_scores_and_leaves_empty_places_last():
    database = np.array([[1, 0], [0, 2], [3, 4], [1, 0]], np.float32)
    queries = np.array([[1, 0]], np.float32)
    ranking = rescored(queries, database, np.array([[-1, 2, 3, 0, -1]]), 4, normalize=True)
    assert ranking.indices.tolist() == [[0, 3, 2, -1]]
    np.testing.assert_allclose(ranking.scores, [[1, 1, 0.6, -np.inf]])
    assert rescored(queries, database, np.array([[1, 2]]), 1, normalize=False).scores.tolist() == [[3]]


def test_lists_of_any_length_give_what_rows_filled_up_give():
    rng = np.random.default_rng(0)
    database = rng.standard_normal((60, 5)).astype(np.float32)
    queries = rng.standard_normal((23, 5)).astype(np.float32)
    candidates = np.where(rng.random((23, 60)) < rng.random((23, 1)), np.arange(60), -1)
    candidates[4] = -1
    expected = rescored(queries, database, candidates, 7, normalize=True)
    order = rng.permutation(np.flatnonzero(candidates.ravel() >= 0))
    ranking = rescored_lists(queries, database, order // 60, order % 60, 7, normalize=True, at_once=4)
    np.testing.assert_array_equal(ranking.indices, expected.indices)
    np.testing.assert_array_equal(ranking.scores, expected.scores)
