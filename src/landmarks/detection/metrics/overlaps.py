"""Which true box a detection lies on most, for millions of detections without a loop over them.

Every detection is paired with the true boxes of its own picture and class. The pairs are formed a block at a time, so
that memory does not grow with their number.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

PAIRS = 1 << 20  # of a block; about 100 bytes each

Overlap = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def intersection_over_union(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shared area over joint area of boxes [N, 4] and [N, 4]: float64 [N], 0 where neither has an area."""
    shared = _intersection(found, true)
    return _share(shared, _area(found) + _area(true) - shared)


def intersection_over_detection(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shared area over the area of the found box, boxes [N, 4] and [N, 4]: float64 [N], 0 for a box without area."""
    return _share(_intersection(found, true), _area(found))


def best_overlaps(
    found: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    true: NDArray[np.float64],
    overlap: Overlap,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the true box with which each found box overlaps most.

    Args:
        found: float64 [N, 4], XMin, YMin, XMax, YMax.
        first: int64 [N], where the true boxes of each found box begin in `true`.
        last: int64 [N], where they end; greater than `first`.
        true: float64 [T, 4].
        overlap: how to measure.

    Returns:
        float64 [N], the largest overlap, and int64 [N], the row of `true` that has it, the first of equal ones.
    """
    largest, rows = np.zeros(len(found)), np.zeros(len(found), np.int64)
    for part in _blocks(last - first):
        counts = last[part] - first[part]
        starts = np.cumsum(counts) - counts
        owners = np.repeat(np.arange(len(counts)), counts)
        partners = np.arange(len(owners)) + np.repeat(first[part] - starts, counts)
        overlaps = overlap(found[part][owners], true[partners])
        largest[part] = np.maximum.reduceat(overlaps, starts)
        best = np.flatnonzero(overlaps == largest[part][owners])
        best = best[np.diff(owners[best], prepend=-1) > 0]
        rows[part] = partners[best]
    return largest, rows


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Cut rows into runs whose `counts` add up to `PAIRS` at most, or that are one row."""
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + PAIRS, side="right")))
        yield slice(begin, end)
        begin = end


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _intersection(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(found[:, 2:], true[:, 2:]) - np.maximum(found[:, :2], true[:, :2])
    sides = np.maximum(sides, 0)
    return sides[:, 0] * sides[:, 1]


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
