"""Finding values in sorted arrays, without Python loops: rows by id, and members of per-query groups."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", np.uint64, np.int64)


def find_rows(ids: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Find the row of each id among `known` (uint64 [M], unique): int64 [N], -1 where there is none."""
    if len(known) == 0:
        return np.full(len(ids), -1, np.int64)
    order = np.argsort(known)
    ordered = known[order]
    place = np.minimum(np.searchsorted(ordered, ids), len(known) - 1)
    return np.where(ordered[place] == ids, order[place], -1)


def first_repeat(values: NDArray[T]) -> int | None:
    """Find the first row that repeats an earlier row's value, or None if all are unique."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    again = order[1:][ordered[1:] == ordered[:-1]]
    return int(again.min()) if len(again) else None


def group_of_each(start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Name the group of every value in CSR layout: [G+1] boundaries -> int64 [start[-1]]."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def sort_in_groups(values: NDArray[T], start: NDArray[np.int64]) -> NDArray[T]:
    """Sort the values of each group in CSR layout; free where they are sorted already."""
    groups = group_of_each(start)
    if ((values[1:] >= values[:-1]) | (groups[1:] != groups[:-1])).all():
        return values
    return values[np.lexsort((values, groups))]


def find_in_groups(
    wanted: NDArray[T], groups: NDArray[np.int64], values: NDArray[T], start: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find each wanted value inside its own group by a binary search in all groups at once.

    Costs log2(longest group) passes over `wanted` and no memory beyond a few arrays of its length.

    Args:
        wanted: [N] values to find.
        groups: int64 [N] the group in which to look; -1 for none.
        values: [V] values, ascending inside each group.
        start: int64 [G+1] group g is `values[start[g]:start[g + 1]]`.

    Returns:
        int64 [N] position in `values`, -1 where the group lacks the value.
    """
    if len(values) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, np.int64)
    low = np.where(groups >= 0, start[groups], 0)
    end = np.where(groups >= 0, start[groups + 1], 0)
    high = end.copy()
    for _ in range(int((end - low).max()).bit_length()):
        middle = (low + high) >> 1
        below = (values[np.minimum(middle, len(values) - 1)] < wanted) & (low < high)
        low = np.where(below, middle + 1, low)
        high = np.where(below, high, middle)
    found = (low < end) & (values[np.minimum(low, len(values) - 1)] == wanted)
    return np.where(found, low, -1)
