"""Lengths and inner products of descriptors in float64, as fast as memory gives the rows.

NumPy would copy every row to float64 first, on one core; beside a search that keeps all cores busy for a few seconds
that is a third more time. These kernels read a row once, where it lies, in as many threads as there are cores.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from landmarks.data.processes import available_cores
from landmarks.retrieval.blocks import UNIT_TOLERANCE, Descriptors

# Rows that a thread takes at once; fewer are not worth handing over.
ROWS = 8192

# Sums may be taken in any order, so that they use wide registers: float64 leaves bits enough.
_compiled: Callable[[Any], Any] = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})


def row_lengths(block: Descriptors) -> NDArray[np.float32]:
    """Euclidean length of every row [B] of [B, D]."""
    lengths = np.empty(len(block), np.float32)

    def work(start: int) -> None:
        part = slice(start, start + ROWS)
        _lengths(_readable(block[part]), lengths[part])

    _spread(work, len(block), ROWS)
    return lengths


def row_products(
    queries: NDArray[np.float32], database: Descriptors, rows: NDArray[np.integer], normalize: bool
) -> NDArray[np.float32]:
    """Inner products of each query with rows of its own.

    Args:
        queries: [Q, D].
        database: [N, D], in memory or memory-mapped.
        rows: [Q, C] rows of `database`; those below 0 get -inf.
        normalize: scale rows of the database to length one, like `landmarks.retrieval.blocks.gather`.

    Returns:
        float32 [Q, C], summed in float64.
    """
    products = np.empty(rows.shape, np.float32)
    readable = database.dtype == np.float32 and database.flags.c_contiguous and database.flags.aligned
    step = max(1, ROWS // max(1, rows.shape[1]))

    def work(start: int) -> None:
        part = slice(start, start + step)
        picked = rows[part].astype(np.int64)
        matrix: Descriptors = database
        if not readable:
            matrix = database[np.maximum(picked, 0).reshape(-1)]
            picked = np.where(picked < 0, -1, np.arange(picked.size).reshape(picked.shape))
        _products(_readable(queries[part]), _readable(matrix), picked, normalize, UNIT_TOLERANCE, products[part])

    _spread(work, len(queries), step)
    return products


def _readable(rows: Descriptors) -> NDArray[np.float32]:
    """Rows as one type of array, so that each kernel is compiled once: float32 in C order, not to be written to."""
    view = np.ascontiguousarray(rows, np.float32).view()
    view.flags.writeable = False
    return view


def _spread(work: Callable[[int], None], count: int, step: int) -> None:
    starts = range(0, count, step)
    threads = min(len(starts), available_cores())
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
    else:
        for start in starts:
            work(start)


@_compiled
def _lengths(block: NDArray[np.float32], lengths: NDArray[np.float32]) -> None:
    for i in range(len(block)):
        squares = 0.0
        for d in range(block.shape[1]):
            squares += np.float64(block[i, d]) * np.float64(block[i, d])
        lengths[i] = np.sqrt(squares)


@_compiled
def _products(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    rows: NDArray[np.int64],
    normalize: bool,
    tolerance: float,
    products: NDArray[np.float32],
) -> None:
    for i in range(len(rows)):
        query = queries[i]
        for j in range(rows.shape[1]):
            if rows[i, j] < 0:
                products[i, j] = -np.inf
                continue
            row = database[rows[i, j]]
            squares, total = 0.0, 0.0
            for d in range(len(row)):
                squares += np.float64(row[d]) * np.float64(row[d])
                total += np.float64(query[d]) * np.float64(row[d])
            length = np.float32(np.sqrt(squares))
            if normalize and abs(length - np.float32(1)) > tolerance:
                total = 0.0
                for d in range(len(row)):
                    # Rounded to float32 like a row that is scaled before it is searched.
                    total += np.float64(query[d]) * np.float64(np.float32(row[d] / length))
            products[i, j] = total
