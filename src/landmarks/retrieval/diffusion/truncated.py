"""Diffusion from single nodes over a small part of the graph each, for as many nodes as there are images.

Yang et al., "Efficient Image Retrieval via Decoupling Diffusion into Online and Offline Processing", AAAI 2019,
section 3.

What makes it fast: images that are near to each other diffuse over much the same part. So such images are taken
together, the union of their parts is gathered once into local arrays that stay in the processor's caches, and one
pass over its edges serves all of them. Each solution is 0 outside its own part, and its sums run over the nodes in
their order, with zeros in between: its company does not change a bit of it.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from landmarks.retrieval.diffusion.solve import conjugate_gradients, graph_arrays

# Images taken together: more share a pass, but have less in common.
GROUP = 32
# Rows that a thread takes at a time.
TASK = 256


def truncated_solve(
    graph: sparse.csr_array,
    columns: NDArray[np.int32],
    alpha: float,
    iterations: int,
    tolerance: float,
    workers: int,
) -> NDArray[np.float32]:
    """Solve ``(I - alpha S) f = e`` on a part of the graph for each row, e being 1 at the row's first node.

    In float64, from f = 0; it ends like `landmarks.retrieval.diffusion.solve.solve`.

    Args:
        graph: S, float32 [N, N].
        columns: int32 [B, T] distinct nodes of each part; -1 = empty, not in the first place. Rows with much in
            common had best stand together, as `similar_together` puts them; the result does not depend on it.
        alpha: share of a node's value that it takes from its neighbours.
        iterations: steps of conjugate gradients at most.
        tolerance: relative residual that is good enough.
        workers: threads; the result does not depend on them.

    Returns:
        float32 [B, T]: f at `columns`, 0 where empty.
    """
    arrays = graph_arrays(graph)
    values = np.zeros(columns.shape, np.float32)

    def part(first: int) -> None:
        rows = slice(first, first + TASK)
        unions = [np.unique(columns[i : i + GROUP]) for i in range(first, min(first + TASK, len(columns)), GROUP)]
        ends = np.cumsum([len(union) for union in unions])
        nodes = np.concatenate(unions)
        _solve_parts(*arrays, columns[rows], GROUP, nodes, ends, alpha, iterations, tolerance, values[rows])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(part, range(0, len(columns), TASK)))
    return values


def similar_together(graph: sparse.csr_array) -> NDArray[np.int32]:
    """An order of all nodes, int32 [N], in which near ones stand together: the reverse Cuthill-McKee order.

    Args:
        graph: [N, N] with entries at the same places above and below the diagonal.
    """
    return reverse_cuthill_mckee(graph, symmetric_mode=True)


@numba.njit(nogil=True, cache=True)
def _solve_parts(
    starts: NDArray[np.int64],
    edge_columns: NDArray[np.uint32],
    edge_values: NDArray[np.float32],
    columns: NDArray[np.int32],
    group: int,
    unions: NDArray[np.int32],
    ends: NDArray[np.int64],
    alpha: float,
    iterations: int,
    tolerance: float,
    values: NDArray[np.float32],
) -> None:
    """Write f at `columns` [B, T] into `values` [B, T], which holds zeros.

    Every `group` rows share a union of their nodes: sorted, perhaps after a -1, up to `ends` [B / group] in `unions`.
    """
    rows, places = columns.shape
    local = np.full(len(starts) - 1, -1, np.int32)  # number of a node within the union
    begin = 0
    for number in range(len(ends)):
        first, width = number * group, min(group, rows - number * group)
        nodes = unions[begin : ends[number]]
        begin = ends[number]
        if nodes[0] < 0:
            nodes = nodes[1:]
        count, bound = len(nodes), 0
        for i in range(count):
            local[nodes[i]] = i
            bound += starts[nodes[i] + 1] - starts[nodes[i]]
        local_starts, edges = np.empty(count + 1, np.int64), 0
        local_columns, local_values = np.empty(bound, np.uint32), np.empty(bound, np.float32)
        for i in range(count):
            local_starts[i] = edges
            for edge in range(starts[nodes[i]], starts[nodes[i] + 1]):
                target = local[edge_columns[edge]]
                if target >= 0:
                    local_columns[edges], local_values[edges] = target, edge_values[edge]
                    edges += 1
        local_starts[count] = edges
        residual, member = np.zeros((count, width)), np.zeros((count, width), np.bool_)
        for c in range(width):
            residual[local[columns[first + c, 0]], c] = 1.0
            for place in range(places):
                if columns[first + c, place] >= 0:
                    member[local[columns[first + c, place]], c] = True
        solution = conjugate_gradients(
            local_starts, local_columns, local_values, residual, member, alpha, iterations, tolerance
        )
        for c in range(width):
            for place in range(places):
                if columns[first + c, place] >= 0:
                    values[first + c, place] = solution[local[columns[first + c, place]], c]
        for i in range(count):
            local[nodes[i]] = -1
