"""Regional diffusion: similarity spreads from the regions of a query along a graph of the index's regions.

Iscen et al., "Efficient Diffusion on Region Manifolds: Recovering Small Objects with Compact CNN Representations",
CVPR 2017. An object in a corner of two images makes two of their regions similar although the whole images differ. It
is the last step of the pipeline that came seventh in the Google landmark challenges of 2018.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import MIB, Descriptors, check_matrix
from landmarks.retrieval.descriptors import gather_regions
from landmarks.retrieval.diffusion import (
    LargestEntries,
    PoolingKind,
    RegionDiffusion,
    RegionPooling,
    diffuse_within,
    knn_graph,
    query_weights,
    region_working_bytes,
    rows_at_once,
    solve,
)
from landmarks.retrieval.neighbours import all_neighbours
from landmarks.retrieval.ranking import EMPTY, Ranking, best, completed
from landmarks.retrieval.state import MISSING, Need, Resources, SearchState
from landmarks.storage import Column

# Queries per chunk of the cache; images whose pooling weights are computed at once.
QUERIES, IMAGES = 64, 1024


class RegionalDiffusion:
    """Re-ranks images by the similarity that reaches their regions.

    With `candidates` the best images of the ranking so far are re-ranked, each query on the graph of their regions
    alone, so the cost does not depend on the size of the index: 100 images of 14 regions give 1,400 nodes and take 0.1
    seconds of one core per query and 40 MB per thread; 1,000 images take 5 seconds and 400 MB. The memory budget limits
    the number of threads.

    With ``candidates=null`` the graph joins all N·R regions of the index and any image can be found. Its neighbours
    take 8·k bytes per region on disk and the graph as much in memory, five times as much while it is built, and the
    search for neighbours grows with (N·R)². The 761,757 index images of GLDv2 with 14 regions and k = 200 would need
    85 GB and weeks of exact search. With 5 regions, k = 50 and an approximate index for neighbours it is 8 GB.

    The ranking keeps its depth. Images that diffusion does not reach follow the others, in their order so far, with
    scores of 0 and below: their earlier score minus that of the first place.

    Args:
        candidates: number of images to re-rank, at most as many as the ranking has; None for the graph of the whole
            index.
        k: neighbours of a region in the graph, including itself.
        query_k: neighbours of each query region at which diffusion starts.
        gamma: exponent of similarities; larger values give near neighbours more weight.
        alpha: share of its value that a region takes from its neighbours.
        iterations: maximum number of conjugate gradient steps.
        tolerance: relative residual at which the solver stops.
        pooling: an image's score is the ``max`` of its regions' scores, their ``sum``, or, as published, a sum weighted
            by generalised max pooling, ``gmp``.
        regulariser: λ of generalised max pooling.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"regions"})
    guarded: ClassVar[bool] = True

    def __init__(
        self,
        candidates: int | None = 100,
        k: int = 200,
        query_k: int = 200,
        gamma: float = 3.0,
        alpha: float = 0.99,
        iterations: int = 20,
        tolerance: float = 1e-6,
        pooling: PoolingKind = "gmp",
        regulariser: float = 1.0,
    ) -> None:
        if candidates is not None and candidates < 1:
            raise LandmarksError(f"regional diffusion: candidates must be 1 or more, or null for all, not {candidates}")
        self.candidates = candidates
        self.diffusion = RegionDiffusion(k, query_k, gamma, alpha, iterations, tolerance)
        self.pooling = RegionPooling(pooling, regulariser)

    def __call__(self, state: SearchState, resources: Resources) -> SearchState:
        """Return the state with a ranking by regions."""
        earlier = state.require_ranking("regional diffusion")
        queries, index = state.query_regions, state.index_regions
        if queries is None or index is None:
            raise LandmarksError(f"regional diffusion needs {MISSING['regions']}")
        check_matrix(queries, "query regions", "[N, R, D]")
        check_matrix(index, "index regions", "[N, R, D]")
        if queries.shape[2] != index.shape[2]:
            raise LandmarksError(
                f"regions of queries have {queries.shape[2]} dimensions and those of the index "
                f"{index.shape[2]}: extract both with the same model"
            )
        if 0 in (len(queries), len(index), earlier.depth):
            return state
        if self.candidates is None:
            found = self._whole_graph(queries, index, earlier.depth, resources)
        else:
            short = Ranking(earlier.indices[:, : self.candidates], earlier.scores[:, : self.candidates])
            found = self._short_lists(queries, index, short, resources)
        return state.with_ranking(completed(found, earlier))

    def _short_lists(self, queries: Descriptors, index: Descriptors, short: Ranking, resources: Resources) -> Ranking:
        """Re-rank the images of each row of `short` that diffusion reaches, each query on a graph of its own."""
        nodes = short.depth * index.shape[1]
        each = region_working_bytes(nodes, index.shape[2], self.diffusion)
        threads = max(1, min(resources.workers, resources.memory_budget_mb * MIB // each))

        def score(query: int) -> NDArray[np.float32]:
            scores = np.zeros(short.depth, np.float32)
            images = short.indices[query][short.filled[query]]
            if len(images):
                own = gather_regions(queries, np.array([query]), "query regions")[0]
                regions = gather_regions(index, images, "index regions")
                flow = diffuse_within(own, regions.reshape(-1, regions.shape[2]), self.diffusion)
                weights = self.pooling.weights(regions)
                scores[: len(images)] = self.pooling.pool(flow.reshape(weights.shape), weights)
            return scores

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            with ThreadPoolExecutor(threads) as pool:
                return {"scores": np.stack(list(pool.map(score, range(start, stop))))}

        kept = resources.cache.rows(
            "regional",
            len(queries),
            {"scores": Column(np.float32, (short.depth,))},
            make,
            QUERIES,
            [queries, index, short.indices],
            self._parameters(),
        )
        reached = kept["scores"] > 0
        images, scores = np.where(reached, short.indices, EMPTY), np.where(reached, kept["scores"], -np.inf)
        return best(images, scores.astype(np.float32), short.depth)

    def _whole_graph(self, queries: Descriptors, index: Descriptors, depth: int, resources: Resources) -> Ranking:
        """Rank the best images of the whole index that diffusion reaches."""
        nodes, starts = index.reshape(-1, index.shape[2]), queries.reshape(-1, queries.shape[2])
        regions, diffusion = queries.shape[1], self.diffusion
        prepared: list[tuple[sparse.csr_array, NDArray[np.float64]]] = []  # filled only if the cache lacks rows

        def make(start: int, stop: int) -> Ranking:
            if not prepared:
                neighbours = all_neighbours(nodes, diffusion.others(len(nodes)), resources)
                prepared.append((knn_graph(neighbours, diffusion.gamma), self._weights(index)))
            graph, weights = prepared[0]
            near = resources.index.search(starts[start * regions : stop * regions], nodes, diffusion.query_k)
            flow = query_weights(near, len(nodes), diffusion.gamma)
            # Merge the rows of a query's regions into one row; values at the same node are added up.
            flow = sparse.csr_array((flow.data, flow.indices, flow.indptr[::regions]), (stop - start, len(nodes)))
            settings = (diffusion.alpha, diffusion.iterations, diffusion.tolerance)
            solved = solve(graph, flow.toarray(), *settings, resources.workers)
            largest = LargestEntries(stop - start, depth, resources.workers)
            largest.add_dense(self.pooling.pool(solved.reshape(-1, *weights.shape), weights), 0)
            return largest.ranking()

        signatures = {"index": resources.index.signature(), "neighbours": resources.neighbours.signature()}
        return resources.cache.ranking(
            "regional-whole",
            (len(queries), depth),
            make,
            rows_at_once(len(nodes), resources.workers, resources.memory_budget_mb),
            [queries, index],
            self._parameters(depth=depth, **signatures),
        )

    def _weights(self, index: Descriptors) -> NDArray[np.float64]:
        """Compute the pooling weights [N, R] of the whole index."""
        weights = np.empty(index.shape[:2])
        for start in range(0, len(index), IMAGES):
            rows = np.arange(start, min(start + IMAGES, len(index)))
            weights[rows] = self.pooling.weights(gather_regions(index, rows, "index regions"))
        return weights

    def _parameters(self, **others: Any) -> dict[str, Any]:
        return {**asdict(self.diffusion), **asdict(self.pooling), **others}
