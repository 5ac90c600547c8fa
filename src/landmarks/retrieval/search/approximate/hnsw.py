"""Hierarchical navigable small worlds: a graph of near images that a search walks towards the query.

Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
World Graphs", TPAMI 2020. The graph compares descriptors of 8 bits a component: a quarter of the memory and, because
a walk waits for memory, faster than float32; exact scores of the candidates make up for the rounding.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, gather, prepared_blocks
from landmarks.retrieval.search.approximate.index import ApproximateIndex, on_one_thread

# Rows that show the range of each component.
SAMPLE = 16_384
# Rows added at once. Fixed, because faiss shuffles them within a block, and the order shapes the graph.
ADD_ROWS = 16_384


class HnswIndex(ApproximateIndex):
    """Candidates from a walk through a graph, re-ranked by exact scores. Takes N x (D + 8 `links`) bytes.

    Args:
        k: places of the ranking.
        links: neighbours that an image is linked to, twice as many at the bottom of the hierarchy.
        build_width: candidates kept while an image is put in; larger is slower to build and finds more.
        search_width: candidates kept in a search, at least; k x `oversampling` where that is more.
        oversampling: candidates a place.
        repeatable: build on one thread. On several it is faster by their number, but the graph, and with it the last
            few results, depends on which thread was first.
        memory_budget_mb: MiB of working memory, besides the index.
        seed: of the samples that show the range of components and the recall; the levels of the graph are faiss's own
            fixed draw.
        recall_queries: queries to measure recall on, 0 for none.

    Raises:
        LandmarksError: a parameter out of range, or faiss is not installed.
    """

    kind = "hnsw"

    def __init__(
        self,
        k: int = 100,
        links: int = 32,
        build_width: int = 64,
        search_width: int = 128,
        oversampling: float = 2.0,
        repeatable: bool = True,
        memory_budget_mb: int = 1024,
        seed: int = 0,
        recall_queries: int = 0,
    ) -> None:
        super().__init__(k, oversampling, memory_budget_mb, seed, recall_queries)
        if links < 2 or build_width < 1 or search_width < 1:
            raise LandmarksError(
                f"index {self.kind}: links ({links}) must be 2 or more, build_width ({build_width}) and search_width "
                f"({search_width}) 1 or more"
            )
        self.links = links
        self.build_width = build_width
        self.search_width = search_width
        self.repeatable = repeatable

    def _build(self, database: Descriptors) -> Any:
        import faiss

        rows, dim = database.shape
        codec: Any = faiss.ScalarQuantizer.QT_8bit  # an integer, which faiss's own stub does not say
        index = faiss.IndexHNSWSQ(dim, codec, self.links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.build_width
        with on_one_thread(self.repeatable):
            picked = np.sort(np.random.default_rng(self.seed).choice(rows, min(rows, SAMPLE), replace=False))
            index.train(gather(database, picked))
            for _, block in prepared_blocks(database, ADD_ROWS, "index descriptors"):
                index.add(block)
        return index

    def _candidates(self, index: Any, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        # All that a walk has kept is scored exactly: it costs no further walk.
        index.hnsw.efSearch = max(count, self.search_width)
        rows: NDArray[np.int64] = index.search(queries, min(index.hnsw.efSearch, index.ntotal))[1]
        return rows

    def _parameters(self) -> dict[str, Any]:
        return {
            "links": self.links,
            "build_width": self.build_width,
            "search_width": self.search_width,
            "repeatable": self.repeatable,
        }
