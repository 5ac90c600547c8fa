"""Diffusion over the whole graph: ``(I - alpha S) f = y`` by conjugate gradients, many right-hand sides at once.

Iscen et al., CVPR 2017, section 3.2. One pass over the graph serves `WIDTH` right-hand sides, whose values at a node
are adjacent in memory, because fetching nodes dominates the cost. Each right-hand side has its own step lengths and
stopping test, and its sums run over the nodes in order, so that its solution does not depend on the others.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB

# Right-hand sides per pass: 8 float64 values fill a cache line.
WIDTH = 8


def check_solver(stage: str, alpha: float, iterations: int, tolerance: float) -> None:
    """Raise a LandmarksError unless 0 <= alpha < 1, iterations >= 1 and tolerance >= 0."""
    if not 0 <= alpha < 1:
        raise LandmarksError(f"{stage}: alpha is {alpha}: it must be 0 or more and below 1")
    if iterations < 1 or not 0 <= tolerance < np.inf:
        raise LandmarksError(
            f"{stage}: iterations must be 1 or more and tolerance 0 or more, got iterations={iterations}, "
            f"tolerance={tolerance}"
        )


def solve(
    graph: sparse.csr_array,
    right_hand_sides: NDArray[Any],
    alpha: float = 0.99,
    iterations: int = 20,
    tolerance: float = 1e-6,
    workers: int = 1,
) -> NDArray[np.float32]:
    """Solve ``(I - alpha S) f = y`` for every row y of `right_hand_sides` [B, N]: float32 [B, N].

    Conjugate gradients run in float64 from f = 0; a row stops after `iterations` or when the length of the residual is
    at most `tolerance` times that of y. Where S has an empty row, f equals y; a row of zeros gives zeros. S is
    symmetric, as `landmarks.retrieval.diffusion.graph.knn_graph` makes it. Each of `workers` threads takes `WIDTH` rows
    at a time; the result does not depend on their number. Working memory: ``working_bytes(N, workers)``.
    """
    check_solver("diffusion", alpha, iterations, tolerance)
    num_nodes = graph.shape[0]
    if graph.shape != (num_nodes, num_nodes) or right_hand_sides.shape[1:] != (num_nodes,):
        raise LandmarksError(
            f"diffusion: a graph {graph.shape} and right-hand sides {right_hand_sides.shape} do not fit; "
            "expected [N, N] and [B, N]"
        )
    starts, columns, values = graph_arrays(graph)
    everywhere = np.ones((num_nodes, WIDTH), np.bool_)
    solutions = np.empty(right_hand_sides.shape, np.float32)

    def part(first: int) -> None:
        rows = right_hand_sides[first : first + WIDTH]
        residual = np.zeros((num_nodes, WIDTH))
        residual[:, : len(rows)] = rows.T
        if not np.isfinite(residual.sum()):
            raise LandmarksError(f"diffusion: right-hand sides {first} to {first + len(rows) - 1} hold NaN or infinity")
        parameters = (alpha, iterations, tolerance)
        solution = conjugate_gradients(starts, columns, values, residual, everywhere, *parameters)
        solutions[first : first + WIDTH] = solution[:, : len(rows)].T

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, range(0, len(right_hand_sides), WIDTH)))
    return solutions


def working_bytes(num_nodes: int, workers: int) -> int:
    """Return the memory that `solve` takes besides its arguments and its result."""
    return (4 * 8 + 1) * WIDTH * num_nodes * workers


def rows_at_once(num_nodes: int, workers: int, memory_budget_mb: int) -> int:
    """Return how many right-hand sides fit a budget with solutions and solver: whole passes, one or more per thread."""
    left = memory_budget_mb * MIB - working_bytes(num_nodes, workers)
    passes = left // max(1, 8 * WIDTH * num_nodes)
    return WIDTH * int(min(max(workers, passes), 512))


def graph_arrays(graph: sparse.csr_array) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]:
    """Return row starts, columns and values for the kernels; unsigned columns avoid a test for negative indices."""
    columns = graph.indices.astype(np.int32, copy=False).view(np.uint32)
    return graph.indptr.astype(np.int64, copy=False), columns, graph.data.astype(np.float32, copy=False)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def conjugate_gradients(
    starts: NDArray[np.int64],
    columns: NDArray[np.uint32],
    values: NDArray[np.float32],
    residual: NDArray[np.float64],
    member: NDArray[np.bool_],
    alpha: float,
    iterations: int,
    tolerance: float,
) -> NDArray[np.float64]:
    """Solve ``(I - alpha S) f = y`` on a part of the graph for each column."""
    # Plain loops, because whole-array expressions take seconds to compile. The inner loops over columns are vectorised.
    num_nodes, width = residual.shape
    solution, direction = np.zeros((num_nodes, width)), np.zeros((num_nodes, width))
    image = np.zeros((num_nodes, width))  # of the direction: (I - alpha S) p
    squares, before, goals = np.zeros(width), np.zeros(width), np.zeros(width)
    ratio, step, product, flow = np.zeros(width), np.zeros(width), np.zeros(width), np.zeros(width)
    for i in range(num_nodes):
        for c in range(width):
            squares[c] += residual[i, c] * residual[i, c]
    for c in range(width):
        goals[c] = tolerance * tolerance * squares[c]
    for _ in range(iterations):
        running = 0
        for c in range(width):
            running += squares[c] > goals[c]
            product[c] = 0.0
        if running == 0:
            break
        for i in range(num_nodes):
            for c in range(width):
                direction[i, c] = residual[i, c] + ratio[c] * direction[i, c]
        for i in range(num_nodes):
            for c in range(width):
                flow[c] = 0.0
            edge, end = starts[i], starts[i + 1]
            while edge < end - 3:  # four at once, added one after another
                d0, d1 = direction[columns[edge]], direction[columns[edge + 1]]
                d2, d3 = direction[columns[edge + 2]], direction[columns[edge + 3]]
                v0, v1, v2, v3 = values[edge], values[edge + 1], values[edge + 2], values[edge + 3]
                for c in range(width):
                    flow[c] = flow[c] + v0 * d0[c] + v1 * d1[c] + v2 * d2[c] + v3 * d3[c]
                edge += 4
            while edge < end:
                d0, v0 = direction[columns[edge]], values[edge]
                for c in range(width):
                    flow[c] += v0 * d0[c]
                edge += 1
            for c in range(width):
                image[i, c] = direction[i, c] - alpha * flow[c] if member[i, c] else 0.0
                product[c] += direction[i, c] * image[i, c]
        for c in range(width):
            # A stopped column does not change. Where copies made S asymmetric, the product may not be positive.
            going = squares[c] > goals[c] and product[c] > 0.0
            step[c] = squares[c] / product[c] if going else 0.0
            ratio[c] = 1.0 if going else 0.0
            before[c] = squares[c]
            squares[c] = 0.0
        for i in range(num_nodes):
            for c in range(width):
                solution[i, c] += step[c] * direction[i, c]
                residual[i, c] -= step[c] * image[i, c]
                squares[c] += residual[i, c] * residual[i, c]
        for c in range(width):
            ratio[c] = squares[c] / before[c] if ratio[c] > 0.0 else 0.0
    return solution
