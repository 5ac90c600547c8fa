"""Inverted lists: index images in cells around k-means centroids; a query looks into the nearest cells only.

Sivic and Zisserman, "Video Google", ICCV 2003; Jégou et al., "Product Quantization for Nearest Neighbor Search",
TPAMI 2011, section 4. What a list holds of each image, a product code or 8 bits a component, is the kind's business.
"""

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, gather, prepared_blocks
from landmarks.retrieval.search.approximate.index import ApproximateIndex, on_one_thread

# Rows that centroids and codes are trained on at most: 256 MiB of 512 dimensions.
SAMPLE = 131_072
# faiss asks for at least this many training rows a centroid.
ROWS_PER_LIST = 39
ITERATIONS = 10
# Rows added at once. Fixed, because assignment to cells is rounded differently in other sizes.
ADD_ROWS = 16_384


def number_of_lists(rows: int, asked: int | None) -> int:
    """Cells for `rows` index images: what was asked for, else 4 √N; few enough that each has rows to train on."""
    wanted = asked if asked is not None else round(4 * math.sqrt(rows))
    return max(1, min(wanted, min(rows, SAMPLE) // ROWS_PER_LIST))


def number_of_probes(lists: int, asked: int | None) -> int:
    """Cells to look into: what was asked for, else a tenth and at least 16; no more than there are."""
    return min(lists, asked if asked is not None else max(16, lists // 10))


class InvertedLists(ApproximateIndex):
    """Search in the nearest cells."""

    def __init__(
        self,
        k: int,
        lists: int | None,
        probes: int | None,
        oversampling: float,
        memory_budget_mb: int,
        seed: int,
        recall_queries: int,
    ) -> None:
        super().__init__(k, oversampling, memory_budget_mb, seed, recall_queries)
        if any(number is not None and number < 1 for number in (lists, probes)):
            raise LandmarksError(f"index {self.kind}: lists ({lists}) and probes ({probes}) must be 1 or more")
        self.lists = lists
        self.probes = probes

    @abstractmethod
    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        """A faiss IndexIVF over a trained `quantizer`, its codes untrained."""

    def _build(self, database: Descriptors) -> Any:
        import faiss

        rows, dim = database.shape
        lists = number_of_lists(rows, self.lists)
        picked = np.sort(np.random.default_rng(self.seed).choice(rows, min(rows, SAMPLE), replace=False))
        sample = gather(database, picked)
        cells = faiss.Kmeans(
            dim,
            lists,
            niter=ITERATIONS,
            seed=self.seed,
            spherical=True,
            min_points_per_centroid=1,  # warns otherwise where a sample is just large enough
            max_points_per_centroid=SAMPLE,
        )
        cells.train(sample)
        quantizer = faiss.IndexFlatIP(dim)
        centroids: Any = cells.centroids  # faiss's own stub allows None, as before training
        quantizer.add(centroids)
        index = self._empty(quantizer, dim, lists)
        # Codes are trained in steps so small that threads would mostly wait for each other.
        with on_one_thread():
            index.train(sample)
        del sample
        for _, block in prepared_blocks(database, ADD_ROWS, "index descriptors"):
            index.add(block)
        return index

    def _candidates(self, index: Any, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        index.nprobe = number_of_probes(index.nlist, self.probes)
        rows: NDArray[np.int64] = index.search(queries, count)[1]
        return rows

    def _parameters(self) -> dict[str, Any]:
        return {"lists": self.lists, "probes": self.probes}
