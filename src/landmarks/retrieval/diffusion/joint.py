"""Diffusion of queries and index images as one set, compared by their L2-normalised rows.

What the published code of Yang et al., AAAI 2019, does with queries that are known beforehand.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.retrieval.blocks import MIB, Descriptors, check_rows, rows_in_budget
from landmarks.retrieval.diffusion.offline import DiffusedRows
from landmarks.retrieval.diffusion.products import LargestEntries, SparseRows
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search import check_search
from landmarks.storage import Column


def concatenated(queries: Descriptors, index: Descriptors, resources: Resources, chunk: int = 16_384) -> Descriptors:
    """Queries, then index images, [Q + N, D], memory-mapped out of the cache: they may not fit into memory.

    `chunk` rows are copied at once.

    Raises:
        LandmarksError: other dimensions, a bad row, or no room for the cache.
    """
    check_search(queries, index, k=1, normalize=True)
    check_rows(index, "index descriptors", normalize=True)  # later, nobody would know which set a bad row is of
    dtype = np.result_type(queries, index)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        first = queries[start:stop]
        second = index[max(0, start - len(queries)) : max(0, stop - len(queries))]
        return {"descriptors": np.concatenate([first, second]).astype(dtype)}

    columns = {"descriptors": Column(dtype, (index.shape[1],))}
    count = len(queries) + len(index)
    return resources.cache.rows("joined", count, columns, make, chunk, [queries, index], {})["descriptors"]


def largest_cosines(rows: DiffusedRows, num_queries: int, depth: int, resources: Resources) -> Ranking:
    """Index images whose diffused rows are most alike the queries'.

    Args:
        rows: of Q queries, then N index images.
        num_queries: Q.
        depth: K.
        resources: workers and the memory budget, a quarter of which queries and a half index images take.

    Returns:
        Ranking [Q, K] of index images with a cosine above 0.
    """
    num_rows, places = rows.columns.shape
    largest = LargestEntries(num_queries, depth, resources.workers)
    budget = resources.memory_budget_mb * MIB
    queries_at_once = rows_in_budget(32 * places, budget // 4)
    images_at_once = rows_in_budget(40 * places, budget // 2)
    for first in range(num_queries, num_rows, images_at_once):
        block = _normalised(rows, first, min(first + images_at_once, num_rows)).T.tocsr()
        bounds = block.indptr.astype(np.int64)
        images = SparseRows(bounds[:-1], bounds[1:], block.indices, block.data, block.shape[1])
        for start in range(0, num_queries, queries_at_once):
            queries = _normalised(rows, start, min(start + queries_at_once, num_queries))
            largest.add_product(queries, images, start, first - num_queries)
    return largest.ranking()


def _normalised(rows: DiffusedRows, start: int, stop: int) -> sparse.csr_array:
    """Rows start to stop, float32 [stop - start, Q + N], L2-normalised, without zeros."""
    where = rows.row_of[start:stop]
    columns, values = rows.columns[where], rows.values[where]
    norms = np.sqrt(np.einsum("nt,nt->n", values, values, dtype=np.float64))
    kept = values != 0
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    scaled = (values / np.where(norms > 0, norms, 1)[:, None]).astype(np.float32)
    return sparse.csr_array((scaled[kept], columns[kept], starts), shape=(stop - start, len(rows.columns)))
