"""Diffusion over the regions of a few images, and pooling of the scores of an image's regions.

The graph over all regions of a large index is too expensive; Iscen et al. (CVPR 2017) truncate it to the images that a
first search found. Here each query has its own temporary graph, whose neighbours are searched among the regions of its
short list alone.
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

# Regions whose similarities to all others are in memory at once.
BLOCK = 256
# A sort key after that of every similarity.
LAST = 1 << 62


@dataclass(frozen=True)
class RegionDiffusion:
    """Parameters of diffusion, see `RegionalDiffusion`; the defaults are published values (Iscen et al., CVPR 2017)."""

    k: int = 200
    query_k: int = 200
    gamma: float = 3.0
    alpha: float = 0.99
    iterations: int = 20
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.k < 2 or self.query_k < 1 or not 0 < self.gamma < np.inf:
            raise LandmarksError(
                "regional diffusion: k must be 2 or more, query_k 1 or more and gamma above 0, got "
                f"k={self.k}, query_k={self.query_k}, gamma={self.gamma}"
            )
        check_solver("regional diffusion", self.alpha, self.iterations, self.tolerance)

    def others(self, regions: int) -> int:
        """Return how many other regions each of this number of regions has as neighbours."""
        return max(1, min(self.k, regions) - 1)


def diffuse_within(
    queries: NDArray[np.float32], regions: NDArray[np.float32], diffusion: RegionDiffusion
) -> NDArray[np.float32]:
    """Diffuse from a query's regions [R, D] to a few others [M, D], all of length one: scores [M] of the latter."""
    wide = regions.astype(np.float64)
    graph = knn_graph(nearest(wide, wide, diffusion.others(len(wide)), others=True), diffusion.gamma)
    found = nearest(queries.astype(np.float64), wide, diffusion.query_k)
    start = query_weights(found, len(regions), diffusion.gamma).sum(axis=0, dtype=np.float64)
    return solve(graph, start[None], diffusion.alpha, diffusion.iterations, diffusion.tolerance)[0]


def region_working_bytes(regions: int, dim: int, diffusion: RegionDiffusion) -> int:
    """Estimate the memory of `diffuse_within` for M regions: similarities, graph, solver, float64 copies."""
    return regions * (48 * min(diffusion.k, regions) + 40 * BLOCK + 16 * dim + 256)


def nearest(queries: NDArray[np.float64], regions: NDArray[np.float64], k: int, others: bool = False) -> Ranking:
    """Find the k most similar of a few regions [M, D], equal similarities ordered by row: [Q, min(k, M)].

    Products are float64 rounded to float32, so they do not depend on the library. Negative ones become 0, their weight
    in diffusion. With `others` the queries [Q, D] are the regions themselves, and none is its own neighbour.
    """
    k = min(k, len(regions))
    found = Ranking.empty(len(queries), k)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        similarity = np.maximum((queries[part] @ regions.T).astype(np.float32), 0) + np.float32(0)  # -0 becomes 0
        # The bits of non-negative floats are ordered like the floats, so similarity and row form one sort key.
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
    """Pools the scores of an image's regions into one.

    Generalised max pooling (Murray and Perronnin, "Generalized Max Pooling", CVPR 2014) weights the regions
    x_1 … x_R by ``(K + λI)^-1 1`` with ``K_ij = x_i · x_j``: similar regions share one weight, so that a uniform
    background in many regions does not outweigh an object in one. The weights are scaled by 1 + λ, which does not
    change the order and gives a single region the weight 1; for λ → ∞ pooling becomes the sum.
    """

    kind: PoolingKind = "gmp"  # as published for regional diffusion (Iscen et al., CVPR 2017); or sum, or max
    regulariser: float = 1.0  # λ of generalised max pooling

    def __post_init__(self) -> None:
        if self.kind not in get_args(PoolingKind):
            raise LandmarksError(f"pooling of regions is {self.kind!r}: it must be gmp, sum or max")
        if not 0 < self.regulariser < np.inf:
            raise LandmarksError(f"pooling of regions: regulariser is {self.regulariser}: it must be above 0")

    def weights(self, regions: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights [N, R] in the sum of scores, for regions [N, R, D] of length one."""
        if self.kind != "gmp":
            return np.ones(regions.shape[:2])
        wide = regions.astype(np.float64)
        system = wide @ wide.transpose(0, 2, 1) + self.regulariser * np.eye(regions.shape[1])
        ones = np.ones((*regions.shape[:2], 1))
        return (1 + self.regulariser) * np.linalg.solve(system, ones)[:, :, 0].astype(np.float64)

    def pool(self, scores: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return one score per image, float32 [..., N], from its regions' scores [..., N, R] and weights [N, R]."""
        if self.kind == "max":
            return scores.max(axis=-1)
        return np.einsum("...nr,nr->...n", scores, weights, dtype=np.float64).astype(np.float32)
