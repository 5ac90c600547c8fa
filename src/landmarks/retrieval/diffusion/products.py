"""Finds the largest entries of a product of sparse matrices without storing the product.

At query time diffusion is such a product: of the queries' weights and the stored rows of the index, or of diffused
queries and diffused index images. A row of it may have an entry for every image, of which only the K largest are
needed.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from landmarks.retrieval.ranking import EMPTY, Ranking, best


class SparseRows(NamedTuple):
    """A sparse matrix whose arrays may be memory-mapped; zeros may be stored, with any column."""

    starts: NDArray[np.int64]  # int64 [R], where each row begins
    ends: NDArray[np.int64]  # int64 [R], one past the end of each row
    columns: NDArray[np.int32]  # int32, column of each entry
    values: NDArray[np.float32]  # float32, value of each entry
    width: int  # number of columns


class LargestEntries:
    """Collects the `depth` largest positive entries of each row of a matrix that is given in parts.

    Entries are rounded to float32; among equal ones the lower column wins, so the result does not depend on the parts.
    """

    def __init__(self, num_rows: int, depth: int, workers: int) -> None:
        # Heaps with the smallest entry on top.
        self._indices = np.full((num_rows, depth), EMPTY, np.int32)
        self._scores = np.full((num_rows, depth), -np.inf, np.float32)
        self._workers = workers

    def add_product(self, left: sparse.csr_array, right: SparseRows, first_row: int = 0, first_column: int = 0) -> None:
        """Add ``left @ right``, [B, R] and [R, W], the part of the matrix that begins at this row and column."""
        starts = left.indptr.astype(np.int64, copy=False)
        columns, values = left.indices.astype(np.int32, copy=False), left.data.astype(np.float32, copy=False)
        # Kernels are compiled per type of array; memory-mapped ones are read-only, so all are passed as such.
        right_starts, right_ends, right_columns, right_values = (_read_only(array) for array in right[:4])

        def part(bounds: tuple[int, int]) -> None:
            heaps = slice(first_row + bounds[0], first_row + bounds[1])
            _add_product(
                starts[bounds[0] : bounds[1] + 1],
                columns,
                values,
                right_starts,
                right_ends,
                right_columns,
                right_values,
                right.width,
                first_column,
                self._scores[heaps],
                self._indices[heaps],
            )

        self._spread(left.shape[0], part)

    def add_dense(self, matrix: NDArray[np.float32], first_row: int) -> None:
        """Add whole rows of the matrix, float32 [B, W]."""

        def part(bounds: tuple[int, int]) -> None:
            heaps = slice(first_row + bounds[0], first_row + bounds[1])
            _add_dense(matrix[bounds[0] : bounds[1]], self._scores[heaps], self._indices[heaps])

        self._spread(len(matrix), part)

    def ranking(self) -> Ranking:
        """Return the entries found so far, [num_rows, depth]; places without a positive entry are empty."""
        return best(self._indices, self._scores, self._indices.shape[1])

    def _spread(self, num_rows: int, part: Callable[[tuple[int, int]], None]) -> None:
        edges = np.linspace(0, num_rows, self._workers + 1).astype(int).tolist()
        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(part, [bounds for bounds in pairwise(edges) if bounds[0] < bounds[1]]))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


@numba.njit(nogil=True, cache=True)
def _offer(scores: NDArray[np.float32], indices: NDArray[np.int32], score: np.float32, index: int) -> None:
    """Replace the worst entry of a heap by this one, if it is better."""
    size = len(scores)
    if score < scores[0] or (score == scores[0] and index > indices[0]):
        return
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        other = child + 1
        if other < size and (
            scores[other] < scores[child] or (scores[other] == scores[child] and indices[other] > indices[child])
        ):
            child = other
        if score < scores[child] or (score == scores[child] and index > indices[child]):
            break
        scores[place], indices[place] = scores[child], indices[child]
        place = child
    scores[place], indices[place] = score, index


@numba.njit(nogil=True, cache=True)
def _add_product(
    left_starts: NDArray[np.int64],
    left_columns: NDArray[np.int32],
    left_values: NDArray[np.float32],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    width: int,
    first_column: int,
    scores: NDArray[np.float32],
    indices: NDArray[np.int32],
) -> None:
    """Offer the positive entries of each row of a product to the row's heap."""
    sums = np.zeros(width)
    seen = np.zeros(width, np.bool_)
    touched = np.empty(width, np.int32)
    for row in range(len(left_starts) - 1):
        count = 0
        for inner in range(left_starts[row], left_starts[row + 1]):
            weight = np.float64(left_values[inner])
            for entry in range(starts[left_columns[inner]], ends[left_columns[inner]]):
                if values[entry] != 0:
                    column = columns[entry]
                    sums[column] += weight * values[entry]
                    if not seen[column]:
                        seen[column] = True
                        touched[count] = column
                        count += 1
        for place in range(count):
            column = touched[place]
            score = np.float32(sums[column])
            sums[column], seen[column] = 0.0, False
            if score > 0:
                _offer(scores[row], indices[row], score, column + first_column)


@numba.njit(nogil=True, cache=True)
def _add_dense(matrix: NDArray[np.float32], scores: NDArray[np.float32], indices: NDArray[np.int32]) -> None:
    """Offer the positive entries of each row to the row's heap."""
    for row in range(len(matrix)):
        for column in range(matrix.shape[1]):
            if matrix[row, column] > 0:
                _offer(scores[row], indices[row], matrix[row, column], column)
