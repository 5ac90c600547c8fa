"""Exact scores for the candidates that a fast or approximate search proposes.

Float64 inner products of the original descriptors, rounded to float32: the one definition of a score that exact and
approximate search share, so that a score does not tell which way its image was found.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.ranking import EMPTY, Ranking, best
from landmarks.retrieval.search.exact_products import row_products

# Queries whose lists are brought to one length at once.
QUERIES = 1024


def rescored(
    queries: NDArray[np.float32], database: Descriptors, candidates: NDArray[np.integer], k: int, normalize: bool
) -> Ranking:
    """Order candidates by their exact scores and keep k.

    Args:
        queries: [Q, D], already prepared like the index.
        database: [N, D], may be memory-mapped; only the candidates' rows are read.
        candidates: [Q, C] rows of `database`, each once a query; -1 = empty.
        k: places of the ranking.
        normalize: L2-normalise the index rows.

    Returns:
        Ranking [Q, k]; equal scores in order of row.
    """
    return best(candidates, row_products(queries, database, candidates, normalize), k)


def rescored_lists(
    queries: NDArray[np.float32],
    database: Descriptors,
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    k: int,
    normalize: bool,
) -> Ranking:
    """Like `rescored`, with as many candidates for each query as it needs: scattered pairs [M] of query and row.

    Queries with about as many candidates are taken together, so that little is filled up.
    """
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
    for first in range(0, len(queries), QUERIES):
        part = by_count[first : first + QUERIES]
        pairs = slice(ends[first] - counts[part[0]], ends[first + len(part) - 1])
        candidates = np.full((len(part), counts[part[-1]]), EMPTY, np.int64)
        candidates[rank[query[pairs]] - first, place[pairs]] = row[pairs]
        found = rescored(queries[part], database, candidates, k, normalize)
        ranking.indices[part], ranking.scores[part] = found.indices, found.scores
    return ranking
