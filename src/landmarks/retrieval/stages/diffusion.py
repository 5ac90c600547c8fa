"""Diffusion with global descriptors: rank the index by similarity that spreads along the graph of its neighbours.

There are three modes. ``offline``: Yang et al., "Efficient Image Retrieval via Decoupling Diffusion into Online and
Offline Processing", AAAI 2019: index images are diffused beforehand, and a query adds up the rows of its neighbours.
``joint``: queries and index images are diffused as one set and compared by their L2-normalised rows, as in the
published code. ``online``: Iscen et al., CVPR 2017: each query is diffused over the whole graph.
"""

from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors, check_rows, rows_in_budget
from landmarks.retrieval.diffusion import (
    DiffusedRows,
    LargestEntries,
    OfflineParameters,
    SparseRows,
    check_solver,
    diffused_rows,
    knn_graph,
    query_weights,
    rows_at_once,
    solve,
)
from landmarks.retrieval.neighbours import all_neighbours
from landmarks.retrieval.ranking import Ranking, completed
from landmarks.retrieval.search import check_search
from landmarks.retrieval.state import Resources, SearchState
from landmarks.storage import Column

# Rows of both sets that are copied at once.
CHUNK = 16_384

Mode = Literal["offline", "joint", "online"]


class Diffusion:
    """Re-rank the whole index by diffusion.

    The ranking keeps its depth. Images that diffusion does not reach follow the others, in their order so far, with
    scores of 0 and below: their earlier score minus that of the first place.

    Args:
        k: neighbours of an image in the graph, including itself as in the published code.
        query_k: neighbours of a query at which its diffusion starts; not used by ``joint``.
        gamma: exponent of similarities; larger values give near neighbours more weight.
        alpha: share of its value that an image takes from its neighbours.
        truncation: images that diffusion from one image may reach, including itself; not used by ``online``.
        mode: ``offline``, ``joint`` or ``online``.
        iterations: maximum number of conjugate gradient steps.
        tolerance: relative residual at which the solver stops.
    """

    guarded: ClassVar[bool] = True

    def __init__(
        self,
        k: int = 50,
        query_k: int = 10,
        gamma: float = 3.0,
        alpha: float = 0.99,
        truncation: int = 1000,
        mode: Mode = "offline",
        iterations: int = 20,
        tolerance: float = 1e-6,
    ) -> None:
        if k < 2 or query_k < 1 or truncation < 1 or not 0 < gamma < np.inf:
            raise LandmarksError(
                "diffusion: k must be 2 or more, query_k and truncation 1 or more, and gamma above 0, got "
                f"k={k}, query_k={query_k}, truncation={truncation}, gamma={gamma}"
            )
        if mode not in get_args(Mode):
            raise LandmarksError(f"diffusion: mode is {mode!r}: it must be one of {', '.join(get_args(Mode))}")
        check_solver("diffusion", alpha, iterations, tolerance)
        self.query_k = query_k
        self.mode = mode
        self.parameters = OfflineParameters(k, truncation, gamma, alpha, iterations, tolerance)

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by diffusion."""
        earlier = state.require_ranking("diffusion")
        if 0 in (len(state.queries), len(state.index), earlier.depth):
            return state
        find = {"offline": self._offline, "joint": self._joint, "online": self._online}[self.mode]
        return state.with_ranking(completed(find(state, earlier.depth, resources), earlier))

    def _offline(self, state: SearchState, depth: int, resources: Resources) -> Ranking:
        near = resources.index.search(state.queries, state.index, self.query_k)
        rows = diffused_rows(state.index, self.parameters, resources)
        num_images, places = rows.columns.shape
        starts = rows.row_of * places
        stored = SparseRows(starts, starts + places, rows.columns.reshape(-1), rows.values.reshape(-1), num_images)
        largest = LargestEntries(len(state.queries), depth, resources.workers)
        largest.add_product(query_weights(near, num_images, self.parameters.gamma), stored)
        return largest.ranking()

    def _joint(self, state: SearchState, depth: int, resources: Resources) -> Ranking:
        both = concatenated(state.queries, state.index, resources)
        rows = diffused_rows(both, self.parameters, resources)
        return largest_cosines(rows, len(state.queries), depth, resources)

    def _online(self, state: SearchState, depth: int, resources: Resources) -> Ranking:
        num_images, parameters = len(state.index), self.parameters
        near = resources.index.search(state.queries, state.index, self.query_k)
        others = all_neighbours(state.index, max(1, min(parameters.k, num_images) - 1), resources)
        graph = knn_graph(others, parameters.gamma)
        weights = query_weights(near, num_images, parameters.gamma)
        largest = LargestEntries(len(state.queries), depth, resources.workers)
        rows = rows_at_once(num_images, resources.workers, resources.memory_budget_mb)
        solver = (parameters.alpha, parameters.iterations, parameters.tolerance)
        for start in range(0, len(state.queries), rows):
            solutions = solve(graph, weights[start : start + rows].toarray(), *solver, resources.workers)
            largest.add_dense(solutions, start)
        return largest.ranking()


def concatenated(queries: Descriptors, index: Descriptors, resources: Resources) -> Descriptors:
    """Concatenate queries and index images, [Q + N, D], memory-mapped because they may not fit into memory."""
    check_search(queries, index, k=1, normalize=True)
    check_rows(index, "index descriptors", normalize=True)  # later errors could not name the set of an invalid row
    dtype = np.result_type(queries, index)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        first = queries[start:stop]
        second = index[max(0, start - len(queries)) : max(0, stop - len(queries))]
        return {"descriptors": np.concatenate([first, second]).astype(dtype)}

    columns = {"descriptors": Column(dtype, (index.shape[1],))}
    count = len(queries) + len(index)
    return resources.cache.rows("joined", count, columns, make, CHUNK, [queries, index], {})["descriptors"]


def largest_cosines(rows: DiffusedRows, num_queries: int, depth: int, resources: Resources) -> Ranking:
    """Rank index images by the cosine similarity of their diffused rows to the queries', if above 0: [Q, K]."""
    num_rows, places = rows.columns.shape
    largest = LargestEntries(num_queries, depth, resources.workers)
    budget = resources.memory_budget_mb * MIB
    queries_at_once = rows_in_budget(32 * places, budget // 4)
    images_at_once = rows_in_budget(40 * places, budget // 2)
    for first in range(num_queries, num_rows, images_at_once):
        block = _normalised(rows, first, min(first + images_at_once, num_rows)).T.tocsr()
        bounds = block.indptr.astype(np.int64)
        images = SparseRows(bounds[:-1], bounds[1:], block.indices, block.data, block.shape[1])
        for start in range(0, num_queries, queries_at_once):
            queries = _normalised(rows, start, min(start + queries_at_once, num_queries))
            largest.add_product(queries, images, start, first - num_queries)
    return largest.ranking()


def _normalised(rows: DiffusedRows, start: int, stop: int) -> sparse.csr_array:
    """Return rows `start` to before `stop`, float32 [stop - start, Q + N], L2-normalised, without stored zeros."""
    where = rows.row_of[start:stop]
    columns, values = rows.columns[where], rows.values[where]
    norms = np.sqrt(np.einsum("nt,nt->n", values, values, dtype=np.float64))
    kept = values != 0
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    scaled = (values / np.where(norms > 0, norms, 1)[:, None]).astype(np.float32)
    return sparse.csr_array((scaled[kept], columns[kept], starts), shape=(stop - start, len(rows.columns)))
