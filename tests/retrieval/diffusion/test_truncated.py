import numpy as np
import pytest
from scipy import sparse

from landmarks.retrieval.diffusion import knn_graph, similar_together, truncated_solve
from landmarks.retrieval.search import all_neighbours
from resources import make_resources


@pytest.fixture
def case():
    """A graph of 150 nodes and each node's 40 nearest, itself first; some rows with empty places."""
    rows = np.random.default_rng(0).standard_normal((150, 6)).astype(np.float32)
    near = all_neighbours(rows, 39, make_resources()).indices
    columns = np.column_stack([np.arange(150, dtype=np.int32), near])
    columns[::7, 30:] = -1
    graph = knn_graph(all_neighbours(rows, 8, make_resources()))
    return graph, columns


def expected_rows(graph, columns, alpha, solver):
    expected = np.zeros(columns.shape)
    for row, nodes in enumerate(columns):
        nodes = nodes[nodes >= 0]
        part = np.eye(len(nodes)) - alpha * graph[nodes][:, nodes].toarray().astype(np.float64)
        expected[row, : len(nodes)] = solver(part, np.eye(len(nodes))[0])
    return expected


def test_solves_each_part(case):
    expected = expected_rows(*case, 0.99, np.linalg.solve)
    np.testing.assert_allclose(truncated_solve(*case, 0.99, 500, 1e-10, 2), expected, rtol=1e-5, atol=1e-6)


def test_ends_like_conjugate_gradients(case):
    def cg(matrix, y):
        return sparse.linalg.cg(matrix, y, rtol=1e-6, maxiter=20)[0]

    np.testing.assert_allclose(
        truncated_solve(*case, 0.99, 20, 1e-6, 2), expected_rows(*case, 0.99, cg), rtol=1e-4, atol=1e-6
    )


def test_company_order_and_workers_change_not_a_bit(case):
    graph, columns = case
    together = truncated_solve(graph, columns, 0.99, 20, 1e-6, 1)
    shuffled = np.random.default_rng(0).permutation(len(columns))
    for group in (1, 5):
        apart = truncated_solve(graph, columns[shuffled], 0.99, 20, 1e-6, 3, group, task=7)
        np.testing.assert_array_equal(apart, together[shuffled])


def test_a_node_without_edges_keeps_its_value(case):
    columns = np.array([[2, 0, -1], [1, 2, 0]], np.int32)
    values = truncated_solve(sparse.csr_array((3, 3), dtype=np.float32), columns, 0.99, 20, 1e-6, 1)
    np.testing.assert_array_equal(values, [[1, 0, 0], [1, 0, 0]])
    assert truncated_solve(case[0], columns[:0], 0.99, 20, 1e-6, 2).shape == (0, 3)


def test_near_images_stand_together():
    rng = np.random.default_rng(0)
    places = rng.permutation(np.repeat(np.arange(6), 16))
    rows = (np.eye(6)[places] + 0.01 * rng.standard_normal((96, 6))).astype(np.float32)
    order = similar_together(knn_graph(all_neighbours(rows, 14, make_resources())))
    assert sorted(order) == list(range(96))
    assert (np.diff(places[order]) != 0).sum() == 5
    assert similar_together(sparse.csr_array((3, 3), dtype=np.float32)).shape == (3,)
