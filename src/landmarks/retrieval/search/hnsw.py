"""Hierarchical navigable small worlds: a graph of near images that a search walks towards the query.

Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
World Graphs", TPAMI 2020. The graph compares descriptors of 8 bits a component: a quarter of the memory and, because
a walk waits for memory, faster than float32; exact scores of the candidates make up for the rounding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, gather, prepared_blocks
from landmarks.retrieval.search.approximate_index import ApproximateIndex, on_one_thread

# Rows that show the range of each component.
SAMPLE = 16_384
# Rows added at once. Fixed, because faiss shuffles them within a block, and the order shapes the graph.
ADD_ROWS = 16_384


@dataclass(eq=False)
class HnswIndex(ApproximateIndex):
    """Candidates from a walk through a graph, re-ranked by exact scores. Takes N x (D + 8 `links`) bytes.

    The levels of the graph are faiss's own fixed draw. The other arguments are those of `ApproximateIndex`.

    Args:
        links: neighbours that an image is linked to, twice as many at the bottom of the hierarchy.
        build_width: candidates kept while an image is put in; larger is slower to build and finds more.
        search_width: candidates kept in a search, at least; k x `oversampling` where that is more.
        repeatable: build on one thread. On several it is faster by their number, but the graph, and with it the last
            few results, depends on which thread was first.
    """

    kind = "hnsw"

    links: int = 32
    build_width: int = 64
    search_width: int = 128
    repeatable: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.links < 2 or self.build_width < 1 or self.search_width < 1:
            raise LandmarksError(
                f"index {self.kind}: links ({self.links}) must be 2 or more, build_width ({self.build_width}) and "
                f"search_width ({self.search_width}) 1 or more"
            )

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
