"""Inverted lists of descriptors with 8 bits a component: a quarter of the memory, almost the exact order."""

from typing import Any

from landmarks.retrieval.search.approximate.inverted_lists import InvertedLists


class ScalarIndex(InvertedLists):
    """Candidates from inverted lists of 8-bit components, re-ranked by exact scores. Takes N x (D + 8) bytes.

    Args:
        k: places of the ranking.
        lists: cells of the inverted file; None takes 4 √N. One list is plain scalar quantisation: every image is
            looked at, more slowly than exact search looks at float32.
        probes: cells that a query looks into; None takes a tenth.
        oversampling: candidates a place; little, because 8 bits hardly change the order.
        memory_budget_mb: MiB of working memory, besides the index.
        seed: of k-means.
        recall_queries: queries to measure recall on, 0 for none.

    Raises:
        LandmarksError: a parameter out of range, or faiss is not installed.
    """

    kind = "scalar"

    def __init__(
        self,
        k: int = 100,
        lists: int | None = None,
        probes: int | None = None,
        oversampling: float = 1.5,
        memory_budget_mb: int = 1024,
        seed: int = 0,
        recall_queries: int = 0,
    ) -> None:
        super().__init__(k, lists, probes, oversampling, memory_budget_mb, seed, recall_queries)

    def _empty(self, quantizer: Any, dim: int, lists: int) -> Any:
        import faiss

        codec: Any = faiss.ScalarQuantizer.QT_8bit
        return faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, codec, faiss.METRIC_INNER_PRODUCT)
