"""Images with identical descriptors, treated as the published code of offline diffusion treats them.

That code takes the first of an image's nearest images for the image itself, and its search (faiss) puts the last row
first among equal similarities. So the last of several copies stands for all of them: diffusion from any copy starts
there, and the edge from another copy to it becomes one to itself. Published figures contain this, and photographs
that were uploaded twice are common enough to show: on our oracle a third of the scores depends on it.
"""

import numpy as np
from numpy.typing import NDArray

from landmarks.retrieval.blocks import MIB, Descriptors, rows_in_budget
from landmarks.retrieval.ranking import Ranking


def last_copies(descriptors: Descriptors, budget_bytes: int = 64 * MIB) -> NDArray[np.int32]:
    """For each row the last row that holds the same bits; mostly itself.

    Args:
        descriptors: [N, D], may be memory-mapped; read in blocks.
        budget_bytes: for a block.

    Returns:
        int32 [N].
    """
    num_rows, dim = descriptors.shape
    words = np.uint32 if descriptors.dtype == np.float32 else np.uint16
    factors = np.random.default_rng(0).integers(0, 2**64, dim, dtype=np.uint64)
    sums = np.empty(num_rows, np.uint64)
    rows = rows_in_budget(16 * dim, budget_bytes)
    for start in range(0, num_rows, rows):
        block = np.ascontiguousarray(descriptors[start : start + rows])
        sums[start : start + rows] = block.view(words).astype(np.uint64) @ factors
    # Rows with one sum stand together, in order.
    order = np.argsort(sums, kind="stable")
    ends = np.append(sums[order][1:] != sums[order][:-1], np.ones(min(1, num_rows), bool))
    last = np.arange(num_rows, dtype=np.int32)
    last[order] = order[ends][np.cumsum(ends) - ends]
    alike = np.flatnonzero(last != np.arange(num_rows))
    for start in range(0, len(alike), rows):
        part = alike[start : start + rows]
        different = (descriptors[part] != descriptors[last[part]]).any(axis=1)
        last[part[different]] = part[different]
    return last


def stand_in(columns: NDArray[np.int32], last: NDArray[np.int32]) -> NDArray[np.int32]:
    """Put the last copy of each row's first image into the first place.

    Args:
        columns: int32 [B, T] distinct images of each row; changed.
        last: int32 [B] the first images' last copies.

    Returns:
        `columns`; the first image moves to where its copy was, or to the last place where that was not among them.
    """
    rows = np.flatnonzero(columns[:, 0] != last)
    found = columns[rows] == last[rows, None]
    where = np.where(found.any(axis=1), found.argmax(axis=1), columns.shape[1] - 1)
    columns[rows, where] = columns[rows, 0]
    columns[rows, 0] = last[rows]
    return columns


def later_first(ranking: Ranking) -> Ranking:
    """The same ranking with the later row first among equal scores; a row without such scores is not touched."""
    indices, scores = ranking.indices.copy(), ranking.scores.copy()
    rows = np.flatnonzero((scores[:, 1:] == scores[:, :-1]).any(axis=1))
    order = np.lexsort((-indices[rows], -scores[rows]), axis=1)
    indices[rows] = np.take_along_axis(indices[rows], order, axis=1)
    return Ranking(indices, scores)
