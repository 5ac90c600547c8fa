import numpy as np

from landmarks.retrieval.search import search_float64


def test_equals_a_full_sort_with_many_blocks_and_ties():
    rng = np.random.default_rng(0)
    database = rng.integers(-1, 2, (500, 4)).astype(np.float32)
    queries = rng.integers(-1, 2, (130, 4)).astype(np.float32)
    scores = queries @ database.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    expected = np.take_along_axis(scores, order, axis=1)
    for floor in (expected[:, -1], np.full(130, -np.inf, np.float32)):
        ranking = search_float64(queries, database, floor, 10, normalize=False, budget_bytes=200_000)
        np.testing.assert_array_equal(ranking.indices, order)
        np.testing.assert_array_equal(ranking.scores, expected)


def test_no_queries_cost_nothing():
    none = np.empty((0, 4), np.float32)
    assert search_float64(none, np.ones((3, 4), np.float32), none[:, 0], 2, True, 1000).indices.shape == (0, 2)
