import numpy as np
import pytest
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion import WIDTH, knn_graph, rows_at_once, solve, working_bytes
from landmarks.retrieval.search import all_neighbours
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


def test_company_and_workers_change_nothing():
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
    ("y", "parameters", "message"),
    [
        (np.zeros((2, 3)), {}, "do not fit"),
        (np.zeros(4), {}, "do not fit"),
        (np.array([[0, np.nan, 0, 0]]), {}, "right-hand sides 0 to 0 hold NaN"),
        (np.zeros((1, 4)), {"alpha": 1.0}, "alpha"),
        (np.zeros((1, 4)), {"alpha": -0.1}, "alpha"),
        (np.zeros((1, 4)), {"iterations": 0}, "iterations"),
        (np.zeros((1, 4)), {"tolerance": -1}, "tolerance"),
    ],
)
def test_bad_input(y, parameters, message):
    with pytest.raises(LandmarksError, match=message):
        solve(make_graph(4), y, **parameters)
