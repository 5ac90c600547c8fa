"""Bounded passes over a [N, D] descriptor matrix that may lie on disk.

GLDv2's index is 1.5 GB of float32 and its train set 8.5 GB, so nothing in retrieval may copy a whole matrix. All code
reads it in blocks sized from a memory budget and L2-normalises one block at a time. The cosine similarity of a
descriptor of zeros or with NaN is undefined: it raises an error that names its row and never gets a score.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from landmarks.config import available_cores
from landmarks.errors import LandmarksError

MIB = 1024 * 1024  # bytes

# A row whose length is this close to one counts as normalised, so that float16 copies of unit vectors stay unchanged.
UNIT_TOLERANCE = 2.0**-11

# Rows per thread task; with fewer, the overhead of a task dominates.
ROWS = 8192

# Descriptors that functions accept: float32 or float16, in memory or memory-mapped.
Descriptors = NDArray[np.float32] | NDArray[np.float16]


def rows_in_budget(row_bytes: int, budget_bytes: int) -> int:
    """Return how many rows of `row_bytes` fit into `budget_bytes`, at least one so that work can always proceed."""
    return max(1, budget_bytes // max(1, row_bytes))


def check_matrix(descriptors: Descriptors, name: str, axes: str = "[N, D]") -> None:
    """Raise a LandmarksError unless the array is float32 or float16 with these axes; only the first may be empty.

    Args:
        descriptors: array to check.
        name: what the array is called in the message.
        axes: expected axes, for the number of dimensions and the message.
    """
    if descriptors.ndim != len(axes.split(",")) or 0 in descriptors.shape[1:]:
        raise LandmarksError(f"{name}: expected an array {axes}, got shape {descriptors.shape}")
    if descriptors.dtype not in (np.float32, np.float16):
        raise LandmarksError(f"{name}: expected float32 or float16, got {descriptors.dtype}")


def row_norms(block: Descriptors) -> NDArray[np.float32]:
    """Return the Euclidean length of every row of [B, D], float32 [B]; summed in float64, so independent of B.

    NumPy would copy every row to float64 first, on one core, which makes a search of a few seconds on all cores a third
    slower. The compiled kernels read each row once, in place, on all cores.
    """
    from landmarks.retrieval import kernels

    norms = np.empty(len(block), np.float32)

    def work(start: int) -> None:
        part = slice(start, start + ROWS)
        kernels.lengths(_readable(block[part]), norms[part])

    _spread(work, len(block), ROWS)
    return norms


def scales(norms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the divisors [B] that normalise rows of these lengths [B]; 1 for rows that are normalised already."""
    return np.where(np.abs(norms - 1) <= UNIT_TOLERANCE, np.float32(1), norms)


def check_rows(descriptors: Descriptors, name: str, normalize: bool) -> None:
    """Read all rows and raise one error that counts the invalid ones.

    Args:
        descriptors: [N, D], in memory or memory-mapped.
        name: what the matrix is called in the message.
        normalize: also refuse rows of zeros, which cannot be normalised.

    Raises:
        LandmarksError: rows with NaN or infinity or, with `normalize`, rows of zeros; names their number and the first.
    """
    rows = rows_in_budget(12 * descriptors.shape[1], 64 * MIB)
    broken, empty = [], []
    for start in range(0, len(descriptors), rows):
        norms = row_norms(descriptors[start : start + rows])
        broken.append(start + np.flatnonzero(~np.isfinite(norms)))
        empty.append(start + np.flatnonzero(norms < np.finfo(np.float32).tiny))
    for bad, what in ((broken, "NaN or infinity"), (empty if normalize else [], "only zeros")):
        where = np.concatenate([np.empty(0, np.int64), *bad])
        if len(where):
            raise LandmarksError(
                f"{name}: {len(where)} of {len(descriptors)} rows hold {what}, the first is row {where[0]}; "
                "extract these images again, and check the network that embedded them"
            )


def prepared_blocks(
    descriptors: Descriptors, rows: int, name: str, normalize: bool = True
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield ``(first row, float32 [B, D])`` blocks of `rows` rows, checked and, with `normalize`, L2-normalised.

    A block whose rows are already float32 and of length one is a view of the matrix; all others share one buffer,
    because new memory costs more than the copy. A block is therefore read-only, and valid until the next one. An
    invalid row raises the error of `check_rows`, which counts all invalid rows of the matrix and calls it `name`.
    """
    buffer: NDArray[np.float32] | None = None
    for start in range(0, len(descriptors), rows):
        block = descriptors[start : start + rows]
        norms = row_norms(block)
        # NaN compares false, so this test also catches NaN.
        if not np.all((norms >= (np.finfo(np.float32).tiny if normalize else 0)) & (norms < np.inf)):
            check_rows(descriptors, name, normalize)
        divisors = scales(norms) if normalize else np.ones(1, np.float32)
        if block.dtype == np.float32 and block.flags.c_contiguous and np.all(divisors == 1):
            yield start, np.asarray(block)
            continue
        if buffer is None:
            buffer = np.empty((min(rows, len(descriptors)), descriptors.shape[1]), np.float32)
        copy = buffer[: len(block)]
        np.divide(block, divisors[:, None], out=copy, dtype=np.float32)
        yield start, copy


def gather(descriptors: Descriptors, rows: NDArray[np.integer], normalize: bool = True) -> NDArray[np.float32]:
    """Return rows picked by number as float32, L2-normalised as in `prepared_blocks`.

    Args:
        descriptors: [N, D], in memory or memory-mapped.
        rows: row numbers in [0, N), of any shape.
        normalize: scale rows to length one.

    Returns:
        float32, of the shape of `rows` and D.
    """
    block = np.asarray(descriptors[rows.reshape(-1)]).astype(np.float32, copy=False)
    if normalize:
        block /= scales(row_norms(block))[:, None]
    return block.reshape(*rows.shape, descriptors.shape[1])


def row_products(
    queries: NDArray[np.float32], database: Descriptors, rows: NDArray[np.integer], normalize: bool
) -> NDArray[np.float32]:
    """Compute the inner products of each query with its own selection of database rows.

    Args:
        queries: [Q, D].
        database: [N, D], in memory or memory-mapped.
        rows: [Q, C] rows of `database`; negative ones get -inf.
        normalize: scale rows of the database to length one, as in `gather`.

    Returns:
        float32 [Q, C], summed in float64.
    """
    from landmarks.retrieval import kernels

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
        kernels.products(_readable(queries[part]), _readable(matrix), picked, normalize, UNIT_TOLERANCE, products[part])

    _spread(work, len(queries), step)
    return products


def _readable(rows: Descriptors) -> NDArray[np.float32]:
    """Return rows as read-only float32 in C order, the one array type for which each kernel is compiled."""
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
