"""Inverted lists: index images are grouped into cells around k-means centroids; a query searches only the nearest ones.

Sivic and Zisserman, "Video Google", ICCV 2003; Jégou et al., "Product Quantization for Nearest Neighbor Search",
TPAMI 2011, section 4. The subclasses define what a list stores of each image: a product code, or 8 bits per component.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, gather, prepared_blocks
from landmarks.retrieval.search.approximate_index import ApproximateIndex
from landmarks.retrieval.search.backends import faiss_threads

# Maximum number of rows to train centroids and codes: 256 MiB with 512 dimensions.
SAMPLE = 131_072
# faiss asks for at least this many training rows per centroid.
ROWS_PER_LIST = 39
ITERATIONS = 10
# Rows added at once. Fixed, because the rounding in the assignment to cells depends on it.
ADD_ROWS = 16_384


def number_of_lists(rows: int, asked: int | None) -> int:
    """Return the cells for `rows` index images: those asked for or 4 √N, limited by the rows to train them on."""
    wanted = asked if asked is not None else round(4 * math.sqrt(rows))
    return max(1, min(wanted, min(rows, SAMPLE) // ROWS_PER_LIST))


def number_of_probes(lists: int, asked: int | None) -> int:
    """Return the cells to search: those asked for, or a tenth and at least 16; at most all of them."""
    return min(lists, asked if asked is not None else max(16, lists // 10))


@dataclass(eq=False)
class InvertedLists(ApproximateIndex):
    """Approximate search in the nearest cells.

    The other arguments are those of `ApproximateIndex`.

    Args:
        lists: cells of the inverted file; None for 4 √N.
        probes: cells that a query searches; None for a tenth.
    """

    lists: int | None = None
    probes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(number is not None and number < 1 for number in (self.lists, self.probes)):
            raise LandmarksError(
                f"index {self.kind}: lists ({self.lists}) and probes ({self.probes}) must be 1 or more"
            )

    @abstractmethod
    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        """Make a faiss IndexIVF over a trained `quantizer`, with untrained codes."""

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
            min_points_per_centroid=1,  # avoids a warning if the sample is just large enough
            max_points_per_centroid=SAMPLE,
        )
        cells.train(sample)
        quantizer = faiss.IndexFlatIP(dim)
        centroids: Any = cells.centroids  # faiss's own stub allows None, as before training
        quantizer.add(centroids)
        index = self._empty(quantizer, dim, lists)
        # The steps of code training are so small that threads would mostly wait for each other.
        with faiss_threads(1):
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


BITS = 8
# Training rows for each of the 256 values of a code byte; more barely improve the codes.
ROWS_PER_CODE = 64


@dataclass(eq=False)
class IvfPqIndex(InvertedLists):
    """Approximate search by product codes, the smallest index.

    It takes N x (`code_bytes` + 8) bytes, 50 MB for GLDv2's 761,757 index images. Jégou et al., TPAMI 2011 (IVFADC with
    re-ranking). Codes are coarse, so several candidates per place are needed to include the right ones. The other
    arguments are those of `InvertedLists`.

    Args:
        code_bytes: bytes per descriptor; reduced to the next divisor of D.
    """

    kind = "ivf_pq"
    oversampling: float = 5.0
    code_bytes: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.code_bytes < 1:
            raise LandmarksError(f"index {self.kind}: code_bytes is {self.code_bytes}: it must be 1 or more")

    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        import faiss

        parts = next(parts for parts in range(min(self.code_bytes, dim), 0, -1) if dim % parts == 0)
        index = faiss.IndexIVFPQ(quantizer, dim, lists, parts, BITS, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.seed, index.pq.cp.niter = self.seed, ITERATIONS
        index.pq.cp.min_points_per_centroid, index.pq.cp.max_points_per_centroid = 1, ROWS_PER_CODE
        return index

    def _parameters(self) -> dict[str, Any]:
        return {**super()._parameters(), "code_bytes": self.code_bytes}


@dataclass(eq=False)
class ScalarIndex(InvertedLists):
    """Approximate search with 8 bits per component: a quarter of the memory, N x (D + 8) bytes, almost exact order.

    Few candidates per place are therefore enough. With one list it is plain scalar quantisation, which compares every
    image and is slower than exact search in float32. The arguments are those of `InvertedLists`.
    """

    kind = "scalar"
    oversampling: float = 1.5

    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        import faiss

        codec: Any = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, codec, faiss.METRIC_INNER_PRODUCT)
