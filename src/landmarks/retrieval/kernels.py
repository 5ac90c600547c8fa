"""Compiled lengths and inner products of descriptors in float64; `blocks` spreads them over threads.

Separate from `blocks` because numba takes a while to load.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

# Sums may run in any order, so that they use vector registers: float64 has enough spare bits.
_compiled: Callable[[Any], Any] = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})


@_compiled
def lengths(block: NDArray[np.float32], found: NDArray[np.float32]) -> None:
    """Fill `found` [B] with the length of every row of `block` [B, D]."""
    for i in range(len(block)):
        squares = 0.0
        for d in range(block.shape[1]):
            squares += np.float64(block[i, d]) * np.float64(block[i, d])
        found[i] = np.sqrt(squares)


@_compiled
def products(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    rows: NDArray[np.int64],
    normalize: bool,
    tolerance: float,
    found: NDArray[np.float32],
) -> None:
    """Fill `found` [Q, C] with the products of queries [Q, D] and their `rows` [Q, C]; see `blocks.row_products`."""
    for i in range(len(rows)):
        query = queries[i]
        for j in range(rows.shape[1]):
            if rows[i, j] < 0:
                found[i, j] = -np.inf
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
                    # Rounded to float32, as in a matrix that is normalised before the search.
                    total += np.float64(query[d]) * np.float64(np.float32(row[d] / length))
            found[i, j] = total
