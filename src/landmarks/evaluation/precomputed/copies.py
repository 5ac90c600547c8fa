"""Copies precomputed descriptors where a search cannot read them quickly: chunk by chunk, into the cache.

What is in rows of float16 or float32 already is searched where it lies.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval import MIB, Cache, Descriptors, join_rows, rows_in_budget
from landmarks.storage import Column

CHUNK_BYTES = 64 * MIB

log = logging.getLogger(__name__)


def in_search_order(array: NDArray[Any], name: str, cache: Cache) -> Descriptors:
    """Return an array [N, …] as a search reads it, float32 or float16 in rows: itself, or a copy in the cache."""
    wanted = np.dtype(np.float16) if array.dtype.itemsize == 2 else np.dtype(np.float32)
    if array.dtype == wanted and array.flags.c_contiguous:
        return array
    log.info("%s: %s is read as %s, from a copy in the cache", name, _layout(array), wanted)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            return {"descriptors": array[start:stop].astype(wanted)}

    chunk = rows_in_budget(array.nbytes // len(array), CHUNK_BYTES)
    column = Column(wanted, array.shape[1:])
    kept = cache.rows("converted", len(array), {"descriptors": column}, make, chunk, [array], {"dtype": str(wanted)})
    return kept["descriptors"]


def joined_copy(
    parts: Sequence[Descriptors], rows: Sequence[NDArray[np.int64] | None], weights: Sequence[float], cache: Cache
) -> Descriptors:
    """Join several models' descriptors of the same images in the cache: float32 [N, sum of dimensions].

    `rows` says which row of each part every image has, int64 [N]; None where they are all rows in order.
    """
    moved = [found for found in rows if found is not None]
    count = len(moved[0] if moved else parts[0])
    dim = sum(part.shape[1] for part in parts)

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        taken = [slice(start, stop) if found is None else found[start:stop] for found in rows]
        return {"descriptors": join_rows([part[found] for part, found in zip(parts, taken, strict=True)], weights)}

    parameters = {"weights": list(weights), "moved": [found is not None for found in rows]}
    chunk = rows_in_budget(8 * dim, CHUNK_BYTES)
    column = Column(np.float32, (dim,))
    kept = cache.rows("joined", count, {"descriptors": column}, make, chunk, [*parts, *moved], parameters)
    return kept["descriptors"]


def _layout(array: NDArray[Any]) -> str:
    return f"{array.dtype}{'' if array.flags.c_contiguous else ' in Fortran order'}"
