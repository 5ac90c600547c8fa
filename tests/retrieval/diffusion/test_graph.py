import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking, all_neighbours, best
from landmarks.retrieval.diffusion import graph as graph_module
from landmarks.retrieval.diffusion import knn_graph, last_copies, later_first, query_weights, stand_in
from resources import make_resources


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 8), st.sampled_from([0.5, 1.0, 3.0]))
def test_is_the_normalised_mutual_graph(seed, number, k, gamma):
    rows = np.random.default_rng(seed).standard_normal((number, 4)).astype(np.float32)
    # Rows of about unit length are taken as they are, and the root of a product near zero would show the difference.
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    neighbours = all_neighbours(rows, k, make_resources())
    unit = rows.astype(np.float64)
    named = np.zeros((number, number), bool)
    for i, near in enumerate(neighbours.indices):
        named[i, near[near >= 0]] = True
    affinity = np.where(named & named.T, np.maximum(unit @ unit.T, 0), 0) ** gamma
    degrees = affinity.sum(axis=1)
    scale = np.where(degrees > 0, np.maximum(degrees, 1e-300), np.inf) ** -0.5
    graph = knn_graph(neighbours, gamma)
    np.testing.assert_allclose(graph.toarray(), affinity * scale * scale[:, None], atol=2e-6)
    assert graph.dtype == np.float32 and (graph.toarray() == graph.toarray().T).all() and (graph.data > 0).all()


def test_oneself_and_empty_places_are_passed_over():
    ranking = Ranking(
        np.array([[0, 1], [0, -1], [2, 0], [-1, -1]], np.int32),
        np.array([[1, 0.5], [0.5, -np.inf], [1, 0.4], [-np.inf, -np.inf]], np.float32),
    )
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 1
    np.testing.assert_array_equal(knn_graph(ranking).toarray(), expected)


def test_the_smaller_of_two_similarities_counts():
    ranking = Ranking(
        np.array([[1, 2], [0, 2], [0, 1]], np.int32), np.array([[0.5, 0.5], [0.25, 0.25], [0.5, 0.25]], np.float32)
    )
    graph = knn_graph(ranking, 1.0).toarray()
    np.testing.assert_allclose(graph[0, 1], 0.25 / np.sqrt(0.75 * 0.5))
    assert graph[0, 1] == graph[1, 0]


def test_edges_to_the_last_copy_become_edges_to_oneself():
    ranking = Ranking(
        np.array([[1, 2], [0, 2], [0, 1]], np.int32), np.array([[1, 0.5], [1, 0.5], [0.5, 0.5]], np.float32)
    )
    plain, published = knn_graph(ranking, 1.0), knn_graph(ranking, 1.0, np.array([1, 1, 2], np.int32))
    expected = plain.toarray()
    expected[0, 0], expected[0, 1] = 1 / 1.5, 0
    np.testing.assert_allclose(published.toarray(), expected, rtol=1e-6)
    assert published.nnz == plain.nnz + 1  # a zero is kept where the edge was


def test_query_weights():
    near = Ranking(
        np.array([[3, 1, 0], [2, -1, -1]], np.int32), np.array([[0.5, 0.25, -0.5], [1, -np.inf, -np.inf]], np.float32)
    )
    np.testing.assert_allclose(query_weights(near, 5, 2.0).toarray(), [[0, 0.0625, 0, 0.25, 0], [0, 0, 1, 0, 0]])


def test_what_does_not_fit_is_refused():
    near = best(np.array([[4]]), np.array([[0.5]], np.float32), 1)
    assert knn_graph(Ranking.empty(0, 3)).shape == (0, 0)
    with pytest.raises(LandmarksError, match="outside the index of 1"):
        knn_graph(near)
    with pytest.raises(LandmarksError, match="outside the index of 4"):
        query_weights(near, 4)
    for gamma in (0, -1, np.nan, np.inf):
        with pytest.raises(LandmarksError, match="gamma"):
            knn_graph(Ranking.empty(1, 1), gamma)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("mib", [0, 2**20])
def test_last_row_with_the_same_bits(dtype, mib, monkeypatch):
    monkeypatch.setattr(graph_module, "MIB", mib)
    rng = np.random.default_rng(0)
    which = rng.integers(0, 30, 80)
    rows = rng.standard_normal((30, 5)).astype(dtype)[which]
    expected = [np.flatnonzero(which == image)[-1] for image in which]
    np.testing.assert_array_equal(last_copies(rows), expected)
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
