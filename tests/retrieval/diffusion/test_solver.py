import numpy as np
import pytest
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval import all_neighbours
from landmarks.retrieval.diffusion import (
    WIDTH,
    knn_graph,
    offline,
    rows_at_once,
    similar_together,
    solve,
    truncated_solve,
    working_bytes,
)
from resources import make_resources


def make_graph(number, seed=0):
    rows = np.random.default_rng(seed).standard_normal((number, 5)).astype(np.float32)
    return knn_graph(all_neighbours(rows, 6, make_resources()))


@pytest.mark.parametrize("number", [1, 2, 40, 120])
@pytest.mark.parametrize("alpha", [0, 0.5, 0.99])
def test_solves_the_system(number, alpha):
    graph = make_graph(number)
    y = np.random.default_rng(1).random((11, number))
    y[3] = 0
    expected = np.linalg.solve(np.eye(number) - alpha * graph.toarray().astype(np.float64), y.T).T
    np.testing.assert_allclose(solve(graph, y, alpha, 500, 1e-10), expected, rtol=1e-5, atol=1e-6)


def test_steps_and_end_are_those_of_conjugate_gradients():
    graph = make_graph(90)
    y = np.random.default_rng(1).random((3, 90))
    system = sparse.eye_array(90, format="csr") - 0.99 * graph.astype(np.float64)
    for iterations, tolerance in ((1, 0), (7, 0), (500, 0.05)):
        expected = [sparse.linalg.cg(system, row, rtol=tolerance, maxiter=iterations)[0] for row in y]
        np.testing.assert_allclose(solve(graph, y, 0.99, iterations, tolerance), expected, rtol=1e-5)


def test_results_do_not_depend_on_the_batch_and_the_workers():
    graph = make_graph(70)
    y = np.random.default_rng(1).random((3 * WIDTH + 1, 70))
    together = solve(graph, y, workers=3)
    for row in (0, 5, 3 * WIDTH):
        np.testing.assert_array_equal(solve(graph, y[row : row + 1])[0], together[row])


def test_no_nodes_and_no_right_hand_sides():
    assert solve(make_graph(4), np.zeros((0, 4))).shape == (0, 4)
    assert solve(sparse.csr_array((0, 0), dtype=np.float32), np.zeros((2, 0))).shape == (2, 0)


def test_blocks_follow_the_budget():
    assert rows_at_once(10**6, 2, 128) == 2 * WIDTH  # one pass a thread, whatever the budget
    assert rows_at_once(1000, 2, 64) > 100 * WIDTH
    rows = rows_at_once(100_000, 2, 256)
    assert working_bytes(100_000, 2) + rows * 100_000 * 8 <= 256 * 2**20


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((2, 3)), "do not fit"),
        (np.zeros(4), "do not fit"),
        (np.array([[0, np.nan, 0, 0]]), "right-hand sides 0 to 0 hold NaN"),
    ],
)
def test_bad_input(y, message):
    with pytest.raises(LandmarksError, match=message):
        solve(make_graph(4), y)


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


@pytest.mark.parametrize(
    ("iterations", "tolerance", "solver", "rtol"),
    [
        (500, 1e-10, np.linalg.solve, 1e-5),
        (20, 1e-6, lambda matrix, y: sparse.linalg.cg(matrix, y, rtol=1e-6, maxiter=20)[0], 1e-4),
    ],
)
def test_solves_each_part_and_ends_like_conjugate_gradients(case, iterations, tolerance, solver, rtol):
    found = truncated_solve(*case, 0.99, iterations, tolerance, 2)
    np.testing.assert_allclose(found, expected_rows(*case, 0.99, solver), rtol=rtol, atol=1e-6)


def test_order_batch_and_workers_change_no_bit(case, monkeypatch):
    graph, columns = case
    together = truncated_solve(graph, columns, 0.99, 20, 1e-6, 1)
    shuffled = np.random.default_rng(0).permutation(len(columns))
    monkeypatch.setattr(offline, "TASK", 7)
    for group in (1, 5):
        monkeypatch.setattr(offline, "GROUP", group)
        apart = truncated_solve(graph, columns[shuffled], 0.99, 20, 1e-6, 3)
        np.testing.assert_array_equal(apart, together[shuffled])


def test_a_node_without_edges_keeps_its_value(case):
    columns = np.array([[2, 0, -1], [1, 2, 0]], np.int32)
    values = truncated_solve(sparse.csr_array((3, 3), dtype=np.float32), columns, 0.99, 20, 1e-6, 1)
    np.testing.assert_array_equal(values, [[1, 0, 0], [1, 0, 0]])
    assert truncated_solve(case[0], columns[:0], 0.99, 20, 1e-6, 2).shape == (0, 3)


def test_the_order_puts_near_images_together():
    rng = np.random.default_rng(0)
    places = rng.permutation(np.repeat(np.arange(6), 16))
    rows = (np.eye(6)[places] + 0.01 * rng.standard_normal((96, 6))).astype(np.float32)
    order = similar_together(knn_graph(all_neighbours(rows, 14, make_resources())))
    assert sorted(order) == list(range(96))
    assert (np.diff(places[order]) != 0).sum() == 5
    assert similar_together(sparse.csr_array((3, 3), dtype=np.float32)).shape == (3,)
