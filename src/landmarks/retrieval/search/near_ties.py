"""Search in float64, for queries whose K-th score is too close to the rest for float32 to decide.

It happens with many copies of one picture, and with a network that maps everything to nearly one direction. Slow
beside the float32 search and seldom needed; still exact, blocked, and without a loop over queries.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import Descriptors, prepared_blocks, rows_in_budget
from landmarks.retrieval.ranking import EMPTY, Ranking

# Queries multiplied at once.
TILE = 64


def search_float64(
    queries: NDArray[np.float32],
    database: Descriptors,
    floor: NDArray[np.float32],
    k: int,
    normalize: bool,
    budget_bytes: int,
) -> Ranking:
    """The k largest inner products, computed in float64 and rounded to float32, ties in order of row.

    Args:
        queries: [Q, D], already prepared like the index.
        database: [N, D] with N >= k.
        floor: [Q] a score that at least k index rows reach, so that lower ones can be left out at once.
        k: places of the ranking.
        normalize: L2-normalise the index rows.
        budget_bytes: working memory.

    Returns:
        Ranking [Q, k].
    """
    ranking = Ranking.empty(len(queries), k)
    if not len(queries):
        return ranking
    indices, scores, floor = ranking.indices, ranking.scores, floor.copy()
    # A score costs 8 bytes, its rounding 4, its mask 1 and, where all rows tie, its entry in the lists 40 more.
    rows = rows_in_budget(12 * queries.shape[1] + 53 * TILE, budget_bytes)
    for start, block in prepared_blocks(database, rows, "index descriptors", normalize):
        block64 = block.astype(np.float64)
        for first in range(0, len(queries), TILE):
            part = slice(first, first + TILE)
            products = (queries[part].astype(np.float64) @ block64.T).astype(np.float32)
            # Equal scores with a lower row are already held, so a full row of ties at the floor may still lose.
            query, row = np.nonzero(products >= floor[part, None])
            held_query, held_place = np.nonzero(indices[part] != EMPTY)
            query = np.concatenate([held_query, query])
            score = np.concatenate([scores[part][held_query, held_place], products[query[len(held_query) :], row]])
            row = np.concatenate([indices[part][held_query, held_place], row + start])
            _fill(indices[part], scores[part], query, row, score)
        floor = np.maximum(floor, scores[:, -1])
    return Ranking(indices, scores)


def _fill(
    indices: NDArray[np.int32],
    scores: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    score: NDArray[np.float32],
) -> None:
    """Write the best of scattered (query, row, score) results into the ranking's rows, in place."""
    order = np.lexsort((row, -score, query))
    query, row, score = query[order], row[order], score[order]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    keep = place < indices.shape[1]
    indices[query[keep], place[keep]] = row[keep]
    scores[query[keep], place[keep]] = score[keep]
