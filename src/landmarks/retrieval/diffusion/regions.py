"""Diffusion over the regions of a few images, and how the scores of an image's regions become the image's.

The graph over all regions of a large index is out of reach; Iscen et al. (CVPR 2017) truncate it to the images that
a first search has found. Here the neighbours are searched for among the regions of these images alone: the graph of one
query's short list, made, used and dropped.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.diffusion.graph import knn_graph, query_weights
from landmarks.retrieval.diffusion.solver import check_solver, solve
from landmarks.retrieval.ranking import EMPTY, Ranking

PoolingKind = Literal["gmp", "sum", "max"]

# Regions whose similarities to all others are held at once.
BLOCK = 256
# Sorts behind every similarity.
LAST = 1 << 62


@dataclass(frozen=True)
class RegionDiffusion:
    """How similarity flows; defaults as published for regions (Iscen et al., CVPR 2017)."""

    k: int = 200  # neighbours of a region in the graph, itself counted as in `landmarks.retrieval.stages.diffusion`
    query_k: int = 200  # neighbours at which each region of a query starts
    gamma: float = 3.0  # power of similarities; larger values trust near neighbours more
    alpha: float = 0.99  # share of its value that a region takes from its neighbours
    iterations: int = 20  # steps of conjugate gradients at most
    tolerance: float = 1e-6  # relative residual that is good enough

    def __post_init__(self) -> None:
        if self.k < 2 or self.query_k < 1 or not 0 < self.gamma < np.inf:
            raise LandmarksError(
                "regional diffusion: k must be 2 or more, query_k 1 or more and gamma above 0, got "
                f"k={self.k}, query_k={self.query_k}, gamma={self.gamma}"
            )
        check_solver("regional diffusion", self.alpha, self.iterations, self.tolerance)

    def others(self, regions: int) -> int:
        """How many other regions each of so many has as neighbours."""
        return max(1, min(self.k, regions) - 1)


def diffuse_within(
    queries: NDArray[np.float32], regions: NDArray[np.float32], diffusion: RegionDiffusion
) -> NDArray[np.float32]:
    """How much similarity of a query's regions [R, D] ends at each of a few others [M, D], all of length one: [M]."""
    wide = regions.astype(np.float64)
    graph = knn_graph(nearest(wide, wide, diffusion.others(len(wide)), others=True), diffusion.gamma)
    found = nearest(queries.astype(np.float64), wide, diffusion.query_k)
    start = query_weights(found, len(regions), diffusion.gamma).sum(axis=0, dtype=np.float64)
    return solve(graph, start[None], diffusion.alpha, diffusion.iterations, diffusion.tolerance)[0]


def region_working_bytes(regions: int, dim: int, diffusion: RegionDiffusion) -> int:
    """About what `diffuse_within` takes for so many regions [M, D]: similarities, graph, solver, wide copies."""
    return regions * (48 * min(diffusion.k, regions) + 40 * BLOCK + 16 * dim + 256)


def nearest(queries: NDArray[np.float64], regions: NDArray[np.float64], k: int, others: bool = False) -> Ranking:
    """The k most similar of a few regions [M, D], the lower row first where similarities are equal: [Q, min(k, M)].

    Products are float64, rounded to float32: the same whichever library multiplies. What is below 0 counts as 0, for
    it weighs nothing in diffusion. With `others` the queries [Q, D] are the regions, and none is its own neighbour.
    """
    k = min(k, len(regions))
    found = Ranking.empty(len(queries), k)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        similarity = np.maximum((queries[part] @ regions.T).astype(np.float32), 0) + np.float32(0)  # -0 becomes 0
        # The bits of floats from 0 on are ordered like the floats: similarity and row make one number to sort by.
        keys = (-similarity.view(np.int32).astype(np.int64) << 32) + np.arange(len(regions))
        if others:
            rows = np.arange(len(similarity))
            keys[rows, start + rows] = LAST
        keys = np.sort(np.partition(keys, k - 1, axis=1)[:, :k], axis=1)
        none = keys == LAST
        rows_found = np.where(none, 0, keys & 0xFFFFFFFF)
        found.indices[part] = np.where(none, EMPTY, rows_found)
        found.scores[part] = np.where(none, -np.inf, np.take_along_axis(similarity, rows_found, axis=1))
    return Ranking(found.indices, found.scores)


@dataclass(frozen=True)
class RegionPooling:
    """From scores of regions to one of the image.

    Generalised max pooling (Murray and Perronnin, "Generalized Max Pooling", CVPR 2014) weighs the regions
    x_1 … x_R by ``(K + λI)^-1 1`` with ``K_ij = x_i · x_j``: regions that resemble each other share one weight, so
    that a plain background in many regions does not outweigh an object in one. The weights are scaled by 1 + λ, which
    changes no order and gives a region that is alone the weight 1; for λ → ∞ it becomes the sum.
    """

    kind: PoolingKind = "gmp"  # as published for regional diffusion (Iscen et al., CVPR 2017); or sum, or max
    regulariser: float = 1.0  # λ of generalised max pooling

    def __post_init__(self) -> None:
        if self.kind not in get_args(PoolingKind):
            raise LandmarksError(f"pooling of regions is {self.kind!r}: it must be gmp, sum or max")
        if not 0 < self.regulariser < np.inf:
            raise LandmarksError(f"pooling of regions: regulariser is {self.regulariser}: it must be above 0")

    def weights(self, regions: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the scores of regions [N, R, D], of length one, are weighed with before they are summed: [N, R]."""
        if self.kind != "gmp":
            return np.ones(regions.shape[:2])
        wide = regions.astype(np.float64)
        system = wide @ wide.transpose(0, 2, 1) + self.regulariser * np.eye(regions.shape[1])
        ones = np.ones((*regions.shape[:2], 1))
        return (1 + self.regulariser) * np.linalg.solve(system, ones)[:, :, 0].astype(np.float64)

    def pool(self, scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """One score an image, float32 [..., N], of its regions' scores [..., N, R] and their weights [N, R]."""
        if self.kind == "max":
            return scores.max(axis=-1)
        return np.einsum("...nr,nr->...n", scores, weights, dtype=np.float64).astype(np.float32)
