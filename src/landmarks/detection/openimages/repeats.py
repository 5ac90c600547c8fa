"""Finds rows that say again what a row before them says, among millions, without sorting the rows themselves."""

import numpy as np
from numpy.typing import NDArray


def repeated_rows(ids: NDArray[np.uint64], labels: NDArray[np.int32], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which boxes have the picture, the class and the corners of a box before them.

    Rows are compared by a hash of eight bytes, and in full only where two share one.

    Args:
        ids: uint64 [B].
        labels: int32 [B].
        boxes: float [B, 4].

    Returns:
        bool [B].
    """
    digest = ids.copy()
    for column in (labels, *boxes.T):
        word = column.astype(np.float64).view(np.uint64)
        word ^= digest
        word *= np.uint64(0xBF58476D1CE4E5B9)  # multiply and fold, as in SplitMix64; uint64 wraps around
        digest = word >> np.uint64(31)
        digest ^= word
    ordered = np.sort(digest)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    again = np.zeros(len(ids), np.bool_)
    if len(shared):
        again[np.isin(digest, shared)] = True
        rows = np.flatnonzero(again)
        whole = np.empty(len(rows), [("id", np.uint64), ("label", np.int32), ("box", boxes.dtype, 4)])
        whole["id"], whole["label"], whole["box"] = ids[rows], labels[rows], boxes[rows]
        seen = np.unique(whole.view(f"V{whole.itemsize}"), return_index=True)[1]  # of equal rows the first
        again[rows[seen]] = False
    return again
