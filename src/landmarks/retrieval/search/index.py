"""Exact search: the K index images most similar to each query, in bounded memory and identical on every machine.

A ranking by float32 products is not reproducible: their last bits depend on block size, library and GPU, and libraries
choose arbitrarily among equal scores. So a fast search in float32, or in bfloat16 if the processor supports it,
proposes slightly more than K candidates, which are ranked by float64 products, and an error bound proves for each query
that no other image belongs among its top K. The few queries without proof (those with many near-equal images) are
searched in float64.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import (
    MIB,
    UNIT_TOLERANCE,
    Descriptors,
    check_matrix,
    check_rows,
    gather,
    prepared_blocks,
    row_norms,
    rows_in_budget,
)
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.search import bfloat16
from landmarks.retrieval.search.backends import Backend, BackendName, Candidates, choose_backend
from landmarks.retrieval.search.exact_scores import rescored, rescored_lists, search_float64

# Additional candidates beyond K. With fewer, more queries need the float64 search; with more, rescoring is slower.
MARGIN = 28
# Maximum size of a block of index rows. Smaller blocks need more merging, larger ones gain nothing.
BLOCK_BYTES = 256 * MIB


class Searcher(Protocol):
    """The interface of exact and approximate search, which stages use.

    Attributes:
        k: default number of results per query.
        memory_budget_mb: working memory of a search, MiB.
    """

    k: int
    memory_budget_mb: int

    def search(self, queries: Descriptors, database: Descriptors, k: int | None = None) -> Ranking:
        """Find the k (by default `self.k`) nearest rows of `database` [N, D] for each row of `queries` [Q, D]."""
        ...

    def signature(self) -> dict[str, Any]:
        """Return the JSON values on which the result depends besides the arguments, for cache keys."""
        ...


@dataclass(eq=False)
class ExactIndex:
    """Exact search by cosine similarity.

    Args:
        k: places of the ranking; 100 for mAP@100.
        backend: ``faiss``, ``torch``, ``bf16``, or ``auto``: the first available of faiss-gpu, torch on a GPU,
            faiss-cpu, torch. ``bf16`` finds candidates in bfloat16 and leaves queries that this cannot decide to
            ``auto``; without a GPU ``auto`` does the same for large searches, if the processor supports bfloat16.
        normalize: L2-normalise queries and index, so that the score is the cosine similarity. Otherwise it is the
            inner product.
        memory_budget_mb: working memory besides the arguments and the result, MiB. With a GPU the same amount is
            allowed there.
    """

    k: int = 100
    backend: BackendName = "auto"
    normalize: bool = True
    memory_budget_mb: int = 1024

    def __post_init__(self) -> None:
        if self.k < 1 or self.memory_budget_mb < 1:
            raise LandmarksError(
                f"index: k ({self.k}) and memory_budget_mb ({self.memory_budget_mb}) must be 1 or more"
            )
        choose_backend(self.backend, self.k)

    def search(self, queries: Descriptors, database: Descriptors, k: int | None = None) -> Ranking:
        """Find the nearest index images.

        Args:
            queries: [Q, D] float32 or float16.
            database: [N, D] float32 or float16, may be memory-mapped; read in blocks.
            k: places of the ranking; `self.k` by default.

        Returns:
            Ranking [Q, k]; places beyond N are empty. Scores are float64 inner products rounded to float32.
        """
        k = self.k if k is None else k
        check_search(queries, database, k, self.normalize)
        depth = min(k + MARGIN, len(database))
        backend = choose_backend(self.backend, depth)
        half = self._bfloat16_rows(queries, database, k)
        # Candidates are held twice while two blocks are merged.
        query_bytes = 8 * queries.shape[1] + max(48 * depth, bfloat16.query_bytes(queries.shape[1], k) if half else 0)
        tile = rows_in_budget(query_bytes, self.memory_budget_mb * MIB // 4)
        parts = [Ranking.empty(0, k)]
        for start in range(0, len(queries), tile):
            rows = np.arange(start, min(start + tile, len(queries)))
            prepared = gather(queries, rows, self.normalize)
            found = self._search_bfloat16(prepared, database, k, depth, backend, half) if half else None
            if found is None:
                # If bfloat16 could not decide most queries of this tile, it will not decide those of the next ones.
                half = 0
                found = self._search_tile(prepared, database, k, depth, backend)
            parts.append(found)
        return Ranking.joined(parts)

    def signature(self) -> dict[str, Any]:
        """Return the parameters on which the result depends: neither backend nor budget changes the ranking."""
        return {"kind": "exact", "normalize": self.normalize}

    def _bfloat16_rows(self, queries: Descriptors, database: Descriptors, k: int) -> int:
        """Return the rows to multiply at once in bfloat16; 0 if float32 is the better choice."""
        wanted = self.backend == "bf16" or (
            self.backend == "auto"
            and len(queries) * len(database) >= bfloat16.WORTHWHILE
            and bfloat16.has_bfloat16_units()
            and not torch.cuda.is_available()
        )
        budget = self.memory_budget_mb * MIB // 2
        return bfloat16.slice_rows(queries.shape[1], k, len(database), budget) if wanted else 0

    def _search_bfloat16(
        self, queries: NDArray[np.float32], database: Descriptors, k: int, depth: int, backend: Backend, rows: int
    ) -> Ranking | None:
        proposal = bfloat16.propose(queries, database, k, self.normalize, rows)
        if proposal is None:
            return None
        ranking = rescored_lists(queries, database, proposal.query, proposal.row, k, self.normalize)
        doubtful = np.flatnonzero(proposal.doubtful)
        if len(doubtful):
            found = self._search_tile(queries[doubtful], database, k, depth, backend)
            ranking.indices[doubtful], ranking.scores[doubtful] = found.indices, found.scores
        return ranking

    def _search_tile(
        self, queries: NDArray[np.float32], database: Descriptors, k: int, depth: int, backend: Backend
    ) -> Ranking:
        if depth == 0:
            return Ranking.empty(len(queries), k)
        dim = queries.shape[1]
        budget = self.memory_budget_mb * MIB
        rows = rows_in_budget(4 * dim + backend.row_bytes, min(budget // 2, BLOCK_BYTES))
        scores = np.empty((len(queries), 0), np.float32)
        indices = np.empty((len(queries), 0), np.int64)
        longest = 0.0
        for start, block in prepared_blocks(database, rows, "index descriptors", self.normalize):
            longest = max(longest, 1 + UNIT_TOLERANCE if self.normalize else float(row_norms(block).max()))
            found = backend.search(queries, block, min(depth, len(block)))
            scores, indices = _keep_largest((scores, indices), (found[0], found[1] + start), depth)

        # |computed - true| <= gamma_D |q| |x| for any order of summation (Higham, Accuracy and Stability of
        # Numerical Algorithms, 2nd ed., section 3.1); 2u more for rounding the rows and the score.
        unit = 2.0**-24
        error = (dim * unit / (1 - dim * unit) + 2 * unit) * row_norms(queries).astype(np.float64) * longest
        ceiling = scores.min(axis=1).astype(np.float64) + error
        ranking = rescored(queries, database, indices, k, self.normalize)
        if depth < len(database):
            doubtful = np.flatnonzero(ranking.scores[:, k - 1] <= ceiling)
            # Summed in another order the same score may round to one step lower, so the floor is a little lower.
            last = ranking.scores[doubtful, k - 1]
            floor = last - 4 * np.spacing(np.abs(last))
            exact = search_float64(queries[doubtful], database, floor, k, self.normalize, budget // 2)
            ranking.indices[doubtful], ranking.scores[doubtful] = exact.indices, exact.scores
        return ranking


def check_search(queries: Descriptors, database: Descriptors, k: int, normalize: bool) -> None:
    """Raise a LandmarksError for invalid arguments of a search; rows of the database are checked when they are read."""
    check_matrix(queries, "query descriptors")
    check_matrix(database, "index descriptors")
    if queries.shape[1] != database.shape[1]:
        raise LandmarksError(
            f"queries have {queries.shape[1]} dimensions and the index {database.shape[1]}: "
            "extract both with the same model"
        )
    if k < 1:
        raise LandmarksError(f"index: k ({k}) must be 1 or more")
    check_rows(queries, "query descriptors", normalize)


def _keep_largest(first: Candidates, second: Candidates, depth: int) -> Candidates:
    """Return the `depth` largest of both, in any order; no dropped score exceeds the smallest one kept."""
    scores = np.concatenate([first[0], second[0]], axis=1)
    indices = np.concatenate([first[1], second[1]], axis=1)
    if scores.shape[1] <= depth:
        return scores, indices
    keep = np.argpartition(scores, -depth, axis=1)[:, -depth:]
    return np.take_along_axis(scores, keep, axis=1), np.take_along_axis(indices, keep, axis=1)
