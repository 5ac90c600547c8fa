"""Diffusion with global descriptors: rank the index by what flows to it along the graph of its neighbourhoods.

Three ways. ``offline``: Yang et al., "Efficient Image Retrieval via Decoupling Diffusion into Online and Offline
Processing", AAAI 2019: index images are diffused beforehand, a query adds up the rows of its neighbours. ``joint``:
queries and index images are diffused as one set and compared by their L2-normalised rows, as the published code does.
``online``: Iscen et al., CVPR 2017: each query is diffused over the whole graph.
"""

from typing import Literal, get_args

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion import (
    LargestEntries,
    OfflineParameters,
    SparseRows,
    check_solver,
    concatenated,
    diffused_rows,
    knn_graph,
    largest_cosines,
    query_weights,
    rows_at_once,
    solve,
)
from landmarks.retrieval.ranking import Ranking, completed
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search import all_neighbours
from landmarks.retrieval.state import SearchState

Mode = Literal["offline", "joint", "online"]


class Diffusion:
    """Re-rank the whole index by diffusion.

    The ranking keeps its depth. Images that no diffusion reaches follow those that it does, in their order so far;
    their scores are 0 and less, by how far they were below the first.

    Args:
        k: neighbours of an image in the graph, itself counted as in the published code.
        query_k: neighbours of a query where its diffusion starts; not used by ``joint``.
        gamma: power of similarities; larger values trust near neighbours more.
        alpha: share of its value that an image takes from its neighbours.
        truncation: images that diffusion from one image may reach, itself counted; not used by ``online``.
        mode: ``offline``, ``joint`` or ``online``.
        iterations: steps of conjugate gradients at most.
        tolerance: relative residual that is good enough.

    Raises:
        LandmarksError: a parameter out of range.
    """

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
        """The state with a new ranking.

        Raises:
            LandmarksError: no ranking yet, descriptors that do not fit or are bad, or no room for the cache.
        """
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
