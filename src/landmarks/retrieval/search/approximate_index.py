"""Approximate search: what all kinds have in common, and the graph.

Build once, find candidates, score them exactly, tell the recall.
A kind only builds a faiss index and says how hard to look. Its own scores are never shown: candidates are read again
from the original descriptors and scored in float64, so an approximate ranking lacks images, but never misplaces one.
"""

import logging
import math
import weakref
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, check_rows, gather, prepared_blocks
from landmarks.retrieval.cache import fingerprint
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search.backends import faiss_threads, require_faiss
from landmarks.retrieval.search.exact_scores import rescored
from landmarks.retrieval.search.index import ExactIndex, check_search

log = logging.getLogger(__name__)

# Smaller sets are searched exactly: that takes milliseconds, and there is too little to train on.
SMALLEST = 1000
# Queries searched at once. Fixed, like every size that rounding could depend on.
TILE = 4096
# Rows that show the range of each component of a graph's descriptors.
SAMPLE = 16_384
# Rows added at once. Fixed, because faiss shuffles them within a block, and the order shapes the graph.
ADD_ROWS = 16_384


@dataclass(frozen=True)
class _Built:
    """A faiss index and the database that it was built from."""

    database: weakref.ref[Any]
    content: str | None
    index: Any


@dataclass(eq=False)
class ApproximateIndex(ABC):
    """Approximate search by cosine similarity, on the CPU.

    The index of the last database is kept as long as the database lives, so that a search in groups builds it once.
    Fewer than `SMALLEST` index images, or no more than there would be candidates, are searched exactly; the log says
    so. Rankings repeat with the same seed; faiss trains and searches in float32, so another processor or version may
    find other candidates.

    Args:
        k: places of the ranking; 100 is what mAP@100 looks at.
        oversampling: candidates found for each place of the ranking, from which exact scores choose.
        memory_budget_mb: MiB for the working memory of a search. The index itself comes on top; each kind says how
            much that is.
        seed: of training.
        recall_queries: measure recall@k against exact search on so many queries of the first search in each database
            and log it; 0 = do not.
    """

    kind: ClassVar[str]
    k: int = 100
    oversampling: float = 2.0
    memory_budget_mb: int = 1024
    seed: int = 0
    recall_queries: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.oversampling < math.inf:
            raise LandmarksError(f"index {self.kind}: oversampling is {self.oversampling}: it must be 1 or more")
        if self.recall_queries < 0 or self.seed < 0:
            raise LandmarksError(
                f"index {self.kind}: recall_queries ({self.recall_queries}) and seed ({self.seed}) must be 0 or more"
            )
        require_faiss(f"index {self.kind}", ", or take index=exact")
        self._exact = ExactIndex(self.k, memory_budget_mb=self.memory_budget_mb)
        self._built: _Built | None = None

    def search(self, queries: Descriptors, database: Descriptors, k: int | None = None) -> Ranking:
        """Find near index images; see `ExactIndex.search`. Queries with too few candidates are searched exactly."""
        k = self.k if k is None else k
        check_search(queries, database, k, normalize=True)
        candidates = math.ceil(k * self.oversampling)
        if len(database) < SMALLEST or candidates >= len(database):
            log.info("%s: %d index images for k=%d are few, so they are searched exactly", self.kind, len(database), k)
            return self._exact.search(queries, database, k)
        index, is_new = self._index_of(database)
        parts = [Ranking.empty(0, k)]
        for start in range(0, len(queries), TILE):
            tile = gather(queries, np.arange(start, min(start + TILE, len(queries))))
            found = self._candidates(index, tile, candidates)
            parts.append(rescored(tile, database, found, k, normalize=True))
        ranking = Ranking.joined(parts)
        self._fill_short(queries, database, ranking)
        if is_new and self.recall_queries and len(queries):
            self._report_recall(queries, database, ranking)
        return ranking

    def _fill_short(self, queries: Descriptors, database: Descriptors, ranking: Ranking) -> None:
        """Search exactly for queries that were given fewer candidates than places: there are images for all."""
        short = np.flatnonzero(~ranking.filled.all(axis=1))
        if not len(short):
            return
        log.info(
            "%s: found fewer than %d images for %d of %d queries, as happens where many rows are equal; these are "
            "searched exactly",
            self.kind,
            ranking.depth,
            len(short),
            len(queries),
        )
        exact = self._exact.search(gather(queries, short, normalize=False), database, ranking.depth)
        ranking.indices[short], ranking.scores[short] = exact.indices, exact.scores

    def signature(self) -> dict[str, Any]:
        """What the result depends on, all parameters but the memory budget."""
        kept = {"kind": self.kind, "oversampling": self.oversampling, "seed": self.seed, "filled": True}
        return kept | self._parameters()

    @abstractmethod
    def _build(self, database: Descriptors) -> Any:
        """A faiss index of all rows [N, D], which are known to be good."""

    @abstractmethod
    def _candidates(self, index: Any, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """At least `count` rows [Q, C] for normalised queries [Q, D]; -1 where there are no more."""

    @abstractmethod
    def _parameters(self) -> dict[str, Any]:
        """The kind's own parameters, for `signature`."""

    def _index_of(self, database: Descriptors) -> tuple[Any, bool]:
        """The faiss index of a database, and whether it was built now."""
        # What may be written to is recognised by its content, what cannot be by being the same object.
        fixed = isinstance(database, np.memmap) and not database.flags.writeable
        content = None if fixed else fingerprint(database)
        built = self._built
        if built is not None and built.database() is database and built.content == content:
            return built.index, False
        self._built = None  # its memory is free before the next one is built
        check_rows(database, "index descriptors", normalize=True)
        index = self._build(database)
        self._built = _Built(weakref.ref(database, self._forget), content, index)
        return index, True

    def _forget(self, database: weakref.ref[Any]) -> None:
        """Drop an index whose database is gone."""
        if self._built is not None and self._built.database is database:
            self._built = None

    def _report_recall(self, queries: Descriptors, database: Descriptors, ranking: Ranking) -> None:
        number = min(self.recall_queries, len(queries))
        rows = np.sort(np.random.default_rng(self.seed).choice(len(queries), number, replace=False))
        sample: Descriptors = queries[rows]
        exact = self._exact.search(sample, database, ranking.depth)
        share = recall(Ranking(ranking.indices[rows], ranking.scores[rows]), exact)
        log.info("%s: recall@%d %.4f on %d queries against exact search", self.kind, ranking.depth, share, number)


def recall(found: Ranking, exact: Ranking) -> float:
    """Recall@K: the share of the exact results [Q, K] that were found [Q, K], a mean over queries.

    An image counts as found in place of another with the same score, because which of several copies of an image
    takes the last place is no error. Where there is nothing to find it is 1.
    """
    wanted = exact.filled.sum(axis=1)
    if not wanted.any():
        return 1.0
    last = np.take_along_axis(exact.scores, np.maximum(wanted - 1, 0)[:, None], axis=1)
    hits = (found.filled & (found.scores >= last)).sum(axis=1)
    return float(np.mean(np.minimum(hits, wanted)[wanted > 0] / wanted[wanted > 0]))


@dataclass(eq=False)
class HnswIndex(ApproximateIndex):
    """Hierarchical navigable small worlds: a walk through a graph of near images towards the query.

    Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
    World Graphs", TPAMI 2020. The graph compares descriptors of 8 bits a component: a quarter of the memory and,
    because a walk waits for memory, faster than float32; exact scores of the candidates make up for the rounding.
    Takes N x (D + 8 `links`) bytes. The levels of the graph are faiss's own fixed draw. The other arguments are those
    of `ApproximateIndex`.

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
        with faiss_threads(1) if self.repeatable else nullcontext():
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
