"""Approximate search: the base class of all kinds, and the HNSW graph.

The base class keeps the index, scores the candidates exactly and reports the recall; a kind only builds a faiss index
and searches it for candidates. The scores of faiss are not used: candidates are scored in float64 from the original
descriptors, so an approximate ranking may miss images, but never misplaces one.
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

# Smaller sets are searched exactly: that takes milliseconds, and they are too small to train on.
SMALLEST = 1000
# Queries searched at once. Fixed, because rounding could depend on it.
TILE = 4096
# Rows from which the range of each component is learned.
SAMPLE = 16_384
# Rows added at once. Fixed, because faiss shuffles them within a block, and the order shapes the graph.
ADD_ROWS = 16_384


@dataclass(frozen=True)
class _Built:
    """A faiss index and the database from which it was built."""

    database: weakref.ref[Any]
    content: str | None
    index: Any


@dataclass(eq=False)
class ApproximateIndex(ABC):
    """Approximate search by cosine similarity, on the CPU.

    The index of the last database is kept as long as the database exists, so that repeated searches build it once.
    Sets of fewer than `SMALLEST` index images, or of no more than the number of candidates, are searched exactly, which
    is logged. The same seed gives the same ranking; faiss trains and searches in float32, so another processor or
    version may find other candidates.

    Args:
        k: places of the ranking; 100 for mAP@100.
        oversampling: candidates per place of the ranking, which are then ranked by exact scores.
        memory_budget_mb: working memory of a search, MiB. The index needs memory in addition, as documented for each
            kind.
        seed: seed of training.
        recall_queries: number of queries of the first search in each database on which recall@k against exact search
            is measured and logged; 0 = none.
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
        require_faiss(f"index {self.kind}", ", or use index=exact")
        self._exact = ExactIndex(self.k, memory_budget_mb=self.memory_budget_mb)
        self._built: _Built | None = None

    def search(self, queries: Descriptors, database: Descriptors, k: int | None = None) -> Ranking:
        """Find index images near each query; see `ExactIndex.search` for arguments and result.

        Queries with too few candidates are searched exactly.
        """
        k = self.k if k is None else k
        check_search(queries, database, k, normalize=True)
        candidates = math.ceil(k * self.oversampling)
        if len(database) < SMALLEST or candidates >= len(database):
            log.info("%s: only %d index images for k=%d, which are searched exactly", self.kind, len(database), k)
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
        """Search exactly for queries with fewer candidates than places, all of which can be filled."""
        short = np.flatnonzero(~ranking.filled.all(axis=1))
        if not len(short):
            return
        log.info(
            "%s: found fewer than %d images for %d of %d queries, as happens if many rows are equal; these queries are "
            "searched exactly",
            self.kind,
            ranking.depth,
            len(short),
            len(queries),
        )
        exact = self._exact.search(gather(queries, short, normalize=False), database, ranking.depth)
        ranking.indices[short], ranking.scores[short] = exact.indices, exact.scores

    def signature(self) -> dict[str, Any]:
        """Return the parameters on which the result depends: all but the memory budget."""
        kept = {"kind": self.kind, "oversampling": self.oversampling, "seed": self.seed, "filled": True}
        return kept | self._parameters()

    @abstractmethod
    def _build(self, database: Descriptors) -> Any:
        """Build a faiss index of all rows [N, D], which are known to be valid."""

    @abstractmethod
    def _candidates(self, index: Any, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Return at least `count` candidate rows [Q, C] for normalised queries [Q, D]; -1 where there are no more."""

    @abstractmethod
    def _parameters(self) -> dict[str, Any]:
        """Return the kind's own parameters, for `signature`."""

    def _index_of(self, database: Descriptors) -> tuple[Any, bool]:
        """Return the faiss index of a database, and whether it was built now."""
        # A read-only database is recognised by its identity, a writable one by its content.
        fixed = isinstance(database, np.memmap) and not database.flags.writeable
        content = None if fixed else fingerprint(database)
        built = self._built
        if built is not None and built.database() is database and built.content == content:
            return built.index, False
        self._built = None  # frees its memory before the next one is built
        check_rows(database, "index descriptors", normalize=True)
        index = self._build(database)
        self._built = _Built(weakref.ref(database, self._forget), content, index)
        return index, True

    def _forget(self, database: weakref.ref[Any]) -> None:
        """Drop the index when its database is garbage-collected."""
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
    """Compute recall@K: the share of the exact results that were found, averaged over queries.

    An image counts as found if another with the same score stands in its place: which of several copies of an image
    takes the last place is not an error.

    Args:
        found: [Q, K], the results of approximate search.
        exact: [Q, K], the results of exact search.

    Returns:
        Recall from 0 to 1; 1 if all exact rankings are empty.
    """
    wanted = exact.filled.sum(axis=1)
    if not wanted.any():
        return 1.0
    last = np.take_along_axis(exact.scores, np.maximum(wanted - 1, 0)[:, None], axis=1)
    hits = (found.filled & (found.scores >= last)).sum(axis=1)
    return float(np.mean(np.minimum(hits, wanted)[wanted > 0] / wanted[wanted > 0]))


@dataclass(eq=False)
class HnswIndex(ApproximateIndex):
    """Approximate search by HNSW: a walk through a graph of similar images towards the query.

    Malkov and Yashunin, "Efficient and Robust Approximate Nearest Neighbor Search Using Hierarchical Navigable Small
    World Graphs", TPAMI 2020. The graph stores descriptors with 8 bits per component: a quarter of the memory and
    faster than float32, because memory access limits a walk; exact scores of the candidates correct the rounding.
    The index takes N x (D + 8 `links`) bytes. faiss draws the levels of the graph with its own fixed seed. The other
    arguments are those of `ApproximateIndex`.

    Args:
        links: neighbours to which an image is linked, twice as many in the bottom layer.
        build_width: candidates kept while an image is inserted (efConstruction); larger values build more slowly and
            find more.
        search_width: minimum number of candidates kept in a search (efSearch); k x `oversampling` if that is more.
        repeatable: build on one thread. Several threads build faster in proportion to their number, but the graph, and
            with it the last few results, then depends on their timing.
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
        # All candidates that a walk kept are scored exactly, since they need no further walk.
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
