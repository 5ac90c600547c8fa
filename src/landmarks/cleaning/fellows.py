"""The nearest pictures of the same landmark, for every picture: who might vouch for it.

All products within a landmark are taken, the sum of the squared sizes of the landmarks and nothing N x N. Most
landmarks are small: pictures of many are compared at once, each with a window of rows, for a call of a library for
each of 203,094 landmarks would cost more than its work. Large landmarks go to the exact search, piece by piece.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.cleaning.pictures import LandmarkPictures
from landmarks.retrieval.blocks import MIB, row_products, rows_in_budget
from landmarks.retrieval.cache import Column
from landmarks.retrieval.ranking import Ranking, best
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.search.index import ExactIndex
from landmarks.retrieval.search.neighbours import without_self

CHUNK = 16_384  # pictures that are kept together
# Landmarks of up to so many pictures are compared in windows of that many.
WINDOWS = (4, 8, 16, 32, 64, 128)
WINDOW_BYTES = 64 * MIB
PIECE = 65_536  # pictures of a large landmark that are in memory at once


def nearest_fellows(pictures: LandmarkPictures, k: int, resources: Resources) -> Ranking:
    """The k nearest other pictures of the same landmark, memory-mapped out of the cache.

    Args:
        pictures: N of them.
        k: places; empty ones where a landmark has fewer others.
        resources: the cache, and the budget of memory.

    Returns:
        Ranking [N, k] of places in `pictures`, scored by cosine similarity.

    Raises:
        LandmarksError: no room for the cache; what was found so far is kept.
    """
    work = _Fellows(pictures, k, resources)
    kept = resources.cache.rows(
        "tidying-fellows",
        len(pictures),
        {"indices": Column(np.int32, (k,)), "scores": Column(np.float32, (k,))},
        work,
        CHUNK,
        [pictures.descriptors, pictures.rows, pictures.landmarks],
        {"k": k},
    )
    return Ranking(kept["indices"], kept["scores"])


class _Fellows:
    def __init__(self, pictures: LandmarkPictures, k: int, resources: Resources) -> None:
        self.pictures = pictures
        self.k = k
        self.search = ExactIndex(k + 1, memory_budget_mb=resources.memory_budget_mb)

    def __call__(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """The lists of the pictures from `start` to before `stop`."""
        indices = np.full((stop - start, self.k), -1, np.int32)
        scores = np.full((stop - start, self.k), -np.inf, np.float32)
        for rows, found in (*self._of_small(start, stop), *self._of_large(start, stop)):
            indices[rows - start], scores[rows - start] = found.indices, found.scores
        return {"indices": indices, "scores": scores}

    def _of_small(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], Ranking]]:
        rows = np.arange(start, stop)
        landmarks = self.pictures.landmarks[start:stop]
        firsts = self.pictures.starts[landmarks]
        sizes = self.pictures.counts[landmarks]
        small = (sizes > 1) & (sizes <= WINDOWS[-1])
        if not small.any():
            return
        # A chunk may begin and end within a landmark.
        begin = int(firsts[small].min())
        block = self.pictures.read(slice(begin, int((firsts + sizes)[small].max())))
        for narrower, width in zip((1, *WINDOWS), WINDOWS, strict=False):
            chosen = np.flatnonzero((sizes > narrower) & (sizes <= width))
            step = rows_in_budget(24 * width + 4 * block.shape[1], WINDOW_BYTES)
            for first in range(0, len(chosen), step):
                part = chosen[first : first + step]
                window = firsts[part, None] + np.arange(width)
                window[(window >= (firsts + sizes)[part, None]) | (window == rows[part, None])] = -1
                seen = np.where(window >= 0, window - begin, -1)
                products = row_products(block[rows[part] - begin], block, seen, normalize=False)
                yield rows[part], best(window, products, self.k)

    def _of_large(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], Ranking]]:
        landmarks = np.unique(self.pictures.landmarks[start:stop])
        for landmark in landmarks[self.pictures.counts[landmarks] > WINDOWS[-1]].tolist():
            begin, end = self.pictures.starts[landmark : landmark + 2].tolist()
            rows = np.arange(max(start, begin), min(stop, end))
            queries = self.pictures.read(rows)
            merged = Ranking.empty(len(rows), 0)
            for first in range(begin, end, PIECE):
                found = self.search.search(queries, self.pictures.read(slice(first, min(first + PIECE, end))))
                places = np.where(found.filled, found.indices + first, -1)
                merged = best(
                    np.concatenate([merged.indices, places], axis=1),
                    np.concatenate([merged.scores, found.scores], axis=1),
                    self.k + 1,
                )
            yield rows, without_self(merged, int(rows[0]))
