"""The offline part of diffusion, which does not depend on queries: from every image over its nearest neighbours.

Yang et al., AAAI 2019, section 3: for image i, the rows and columns of its nearest neighbours are taken from the graph,
which was normalised as a whole, and ``(I - alpha S) f = e_i`` is solved there. The results are cached chunk by chunk:
6 GB for 761,757 images with 1000 places.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.diffusion.graph import knn_graph, last_copies, later_first, stand_in
from landmarks.retrieval.diffusion.solver import conjugate_gradients, graph_arrays
from landmarks.retrieval.neighbours import all_neighbours
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.state import Resources
from landmarks.storage import Column

# Images per chunk.
CHUNK = 8192
# Rows that are solved in one pass over their nodes, and rows per thread task.
GROUP, TASK = 32, 256


@dataclass(frozen=True)
class OfflineParameters:
    """Parameters of diffusion, on which the rows depend besides descriptors and searcher.

    Attributes:
        k: neighbours of an image in the graph, including itself as in the published code.
        truncation: images that diffusion from one image may reach, including itself.
        gamma: exponent of the similarities in the graph.
        alpha: share of its value that an image takes from its neighbours.
        iterations: maximum number of conjugate gradient steps.
        tolerance: relative residual at which the solver stops.
    """

    k: int
    truncation: int
    gamma: float
    alpha: float
    iterations: int
    tolerance: float


class DiffusedRows(NamedTuple):
    """A sparse [N, N] matrix with T places per row, ordered so that rows of similar images are close together."""

    row_of: NDArray[np.int64]  # int64 [N], the row with the diffusion from each image
    columns: NDArray[np.int32]  # int32 [N, T], the image where diffusion starts, then its neighbours; -1 = empty
    values: NDArray[np.float32]  # float32 [N, T], 0 for images that diffusion does not reach


def diffused_rows(database: Descriptors, parameters: OfflineParameters, resources: Resources) -> DiffusedRows:
    """Diffuse from every image of a set [N, D], or read the result from the cache; memory-mapped.

    The last of several images with identical descriptors represents all, see `landmarks.retrieval.diffusion.graph`.
    Rows have T = min(truncation, N) places of 8 bytes each on disk.
    """
    num_images = len(database)
    places = max(1, min(parameters.truncation, num_images))
    prepare = cache(lambda: _prepare(database, parameters, resources))  # only called if the cache lacks rows

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        graph, last, others, order = prepare()
        images = order[start:stop]
        near = later_first(Ranking(others.indices[images], others.scores[images])).indices[:, : places - 1]
        columns = stand_in(np.column_stack([images, near]), last[images])
        solver = (parameters.alpha, parameters.iterations, parameters.tolerance)
        values = truncated_solve(graph, columns, *solver, resources.workers)
        return {"images": images, "columns": columns, "values": values}

    rows = resources.cache.rows(
        "diffused",
        num_images,
        {"images": Column(np.int32), "columns": Column(np.int32, (places,)), "values": Column(np.float32, (places,))},
        make,
        CHUNK,
        [database],
        {**asdict(parameters), "truncation": places, "searcher": resources.neighbours.signature()},
    )
    row_of = np.argsort(rows["images"])
    return DiffusedRows(row_of, np.asarray(rows["columns"]), np.asarray(rows["values"]))


def _prepare(
    database: Descriptors, parameters: OfflineParameters, resources: Resources
) -> tuple[sparse.csr_array, NDArray[np.int32], Ranking, NDArray[np.int32]]:
    """Return graph, last copies [N], nearest others of every image, and the order [N] of the rows."""
    depth = min(max(parameters.truncation, parameters.k), len(database)) - 1
    others = all_neighbours(database, max(1, depth), resources)
    nearest = Ranking.empty(len(database), min(parameters.k - 1, others.depth))
    for start in range(0, len(database), CHUNK):
        rows = slice(start, start + CHUNK)
        part = later_first(Ranking(others.indices[rows], others.scores[rows]))
        nearest.indices[rows], nearest.scores[rows] = part.indices[:, : nearest.depth], part.scores[:, : nearest.depth]
    last = last_copies(database)
    graph = knn_graph(nearest, parameters.gamma, last)
    return graph, last, others, similar_together(graph)


def truncated_solve(
    graph: sparse.csr_array,
    columns: NDArray[np.int32],
    alpha: float,
    iterations: int,
    tolerance: float,
    workers: int,
) -> NDArray[np.float32]:
    """Solve ``(I - alpha S) f = e`` on a part of the graph for each row, where e is 1 at the row's first node.

    Conjugate gradients run in float64 from f = 0 and stop as in `landmarks.retrieval.diffusion.solver.solve`. It is
    fastest if rows with common nodes are adjacent, as `similar_together` orders them, because `GROUP` rows share a
    pass; the result does not depend on the order.

    Args:
        graph: S, [N, N], from `knn_graph`.
        columns: int32 [B, T], the distinct nodes of each part; -1 = empty, but not in the first place.
        alpha: share of its value that a node takes from its neighbours.
        iterations: maximum number of conjugate gradient steps.
        tolerance: relative residual at which a row stops.
        workers: threads; the result does not depend on their number.

    Returns:
        float32 [B, T], f at `columns`; 0 where empty.
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
    """Return an order of all nodes, int32 [N], in which near ones are close together: reverse Cuthill-McKee.

    The graph [N, N] must have entries at the same places above and below the diagonal.
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
    """Write f at `columns` [B, T] to `values` [B, T]; each `group` of rows has its nodes in `unions`, up to its end."""
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
