"""Exact scores, by which the candidates of a fast or approximate search are ranked.

A score is the float64 inner product of the original descriptors, rounded to float32. Exact and approximate search share
this definition, so that a score does not depend on how its image was found.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import Descriptors, prepared_blocks, row_products, rows_in_budget
from landmarks.retrieval.ranking import EMPTY, Ranking, best, fill

# Queries multiplied at once in a full search, and queries whose lists of candidates are scored at once.
TILE, TOGETHER = 64, 1024


def rescored(
    queries: NDArray[np.float32], database: Descriptors, candidates: NDArray[np.integer], k: int, normalize: bool
) -> Ranking:
    """Rank candidates [Q, C], -1 = empty, of prepared queries by exact score, then by row, and keep k: [Q, k]."""
    return best(candidates, row_products(queries, database, candidates, normalize), k)


def rescored_lists(
    queries: NDArray[np.float32],
    database: Descriptors,
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    k: int,
    normalize: bool,
) -> Ranking:
    """Rank candidates as `rescored` does, given as unordered pairs [M] of query and row, any number per query."""
    counts = np.bincount(query, minlength=len(queries))
    order = np.argsort(query, kind="stable")
    query, row = query[order], row[order]
    place = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    ranking = Ranking.empty(len(queries), k)
    by_count = np.argsort(counts, kind="stable")
    rank = np.empty_like(by_count)
    rank[by_count] = np.arange(len(by_count))
    order = np.argsort(rank[query], kind="stable")
    query, row, place = query[order], row[order], place[order]
    ends = np.cumsum(counts[by_count])
    # Queries with similar numbers of candidates are processed together, so that there is little padding.
    for first in range(0, len(queries), TOGETHER):
        part = by_count[first : first + TOGETHER]
        pairs = slice(ends[first] - counts[part[0]], ends[first + len(part) - 1])
        candidates = np.full((len(part), counts[part[-1]]), EMPTY, np.int64)
        candidates[rank[query[pairs]] - first, place[pairs]] = row[pairs]
        found = rescored(queries[part], database, candidates, k, normalize)
        ranking.indices[part], ranking.scores[part] = found.indices, found.scores
    return ranking


def search_float64(
    queries: NDArray[np.float32],
    database: Descriptors,
    floor: NDArray[np.float32],
    k: int,
    normalize: bool,
    budget_bytes: int,
) -> Ranking:
    """Find the k largest inner products, computed in float64 and rounded to float32, ties ordered by row: [Q, k].

    The queries [Q, D] are normalised if the index is, which has k rows or more. `floor` [Q] is a score that at least k
    rows reach, so that rows with lower ones are skipped.
    """
    ranking = Ranking.empty(len(queries), k)
    if not len(queries):
        return ranking
    indices, scores, floor = ranking.indices, ranking.scores, floor.copy()
    # Bytes per score: 8 in float64, 4 rounded, 1 in the mask and, if all rows tie, 40 for its entry in the lists.
    rows = rows_in_budget(12 * queries.shape[1] + 53 * TILE, budget_bytes)
    for start, block in prepared_blocks(database, rows, "index descriptors", normalize):
        block64 = block.astype(np.float64)
        for first in range(0, len(queries), TILE):
            part = slice(first, first + TILE)
            products = (queries[part].astype(np.float64) @ block64.T).astype(np.float32)
            # Earlier blocks hold lower rows, which win ties, so rows at the floor may still be dropped by `fill`.
            query, row = np.nonzero(products >= floor[part, None])
            held_query, held_place = np.nonzero(indices[part] != EMPTY)
            query = np.concatenate([held_query, query])
            score = np.concatenate([scores[part][held_query, held_place], products[query[len(held_query) :], row]])
            row = np.concatenate([indices[part][held_query, held_place], row + start])
            fill(indices[part], scores[part], query, row, score)
        floor = np.maximum(floor, scores[:, -1])
    return Ranking(indices, scores)
