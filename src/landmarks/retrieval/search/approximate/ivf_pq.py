"""Inverted lists of product codes: the smallest index, 50 MB for GLDv2's 761,757 index images.

Jégou et al., "Product Quantization for Nearest Neighbor Search", TPAMI 2011 (IVFADC with re-ranking).
"""

from typing import Any

from landmarks.errors import LandmarksError
from landmarks.retrieval.search.approximate.inverted_lists import ITERATIONS, InvertedLists

BITS = 8
# Training rows for each of the 256 values of a code byte; more refine the codes hardly.
ROWS_PER_CODE = 64


class IvfPqIndex(InvertedLists):
    """Candidates from inverted lists of product codes, re-ranked by exact scores. Takes N x (`code_bytes` + 8) bytes.

    Args:
        k: places of the ranking.
        lists: cells of the inverted file; None takes 4 √N.
        probes: cells that a query looks into; None takes a tenth.
        code_bytes: bytes that stand for a descriptor; the largest divisor of D that is not above is taken.
        oversampling: candidates a place; codes are coarse, so it takes several to have the right ones among them.
        memory_budget_mb: MiB of working memory, besides the index.
        seed: of k-means.
        recall_queries: queries to measure recall on, 0 for none.

    Raises:
        LandmarksError: a parameter out of range, or faiss is not installed.
    """

    kind = "ivf_pq"

    def __init__(
        self,
        k: int = 100,
        lists: int | None = None,
        probes: int | None = None,
        code_bytes: int = 64,
        oversampling: float = 5.0,
        memory_budget_mb: int = 1024,
        seed: int = 0,
        recall_queries: int = 0,
    ) -> None:
        super().__init__(k, lists, probes, oversampling, memory_budget_mb, seed, recall_queries)
        if code_bytes < 1:
            raise LandmarksError(f"index {self.kind}: code_bytes is {code_bytes}: it must be 1 or more")
        self.code_bytes = code_bytes

    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        import faiss

        parts = next(parts for parts in range(min(self.code_bytes, dim), 0, -1) if dim % parts == 0)
        index = faiss.IndexIVFPQ(quantizer, dim, lists, parts, BITS, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.seed, index.pq.cp.niter = self.seed, ITERATIONS
        index.pq.cp.min_points_per_centroid, index.pq.cp.max_points_per_centroid = 1, ROWS_PER_CODE
        return index

    def _parameters(self) -> dict[str, Any]:
        return {**super()._parameters(), "code_bytes": self.code_bytes}
