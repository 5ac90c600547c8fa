"""Finds the nearest images of the same landmark for every image, and the similarity of images of other landmarks.

Same-class neighbours may support an image's label. All products within landmarks are computed, which are the sum of
squared landmark sizes and not N x N. Most landmarks are small: images of many landmarks are compared at once, each with
a window of rows, because a library call for each of 203,094 landmarks would cost more than its work. Large landmarks
are searched exactly, piece by piece.

Same-class neighbours must be nearer than other-class neighbours to count as agreeing. A fixed threshold would not do:
similarity depends on the network, and on whether many other images show the same thing. Each image therefore has its
own bar: the similarity of its b-th nearest image of another landmark. Searched among all N images, the agreeing
neighbours are its nearest neighbours up to the b-th of another landmark, similar to how the winners of 2019 cleaned the
train set. That takes N² products; with a random sample of S images it takes N x S, and the bar is the b-th nearest in
the sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.cleaning.images import LandmarkImages
from landmarks.errors import LandmarksError
from landmarks.retrieval import (
    MIB,
    Descriptors,
    ExactIndex,
    Ranking,
    Resources,
    best,
    row_products,
    rows_in_budget,
    without_self,
)
from landmarks.storage import Column

# Sizes of blocks, which do not affect results.
CHUNK = 16_384  # images searched and cached together
WINDOWS = (4, 8, 16, 32, 64, 128)  # sizes of windows; landmarks with up to so many images are compared in one
WINDOW_BYTES = 64 * MIB  # for the windows of many images
PIECE = 65_536  # images of a large landmark in memory at once


def same_class_neighbours(images: LandmarkImages, k: int, resources: Resources) -> Ranking:
    """Find the k nearest other images of the same landmark, by cosine similarity.

    Args:
        images: The N images.
        k: Number of neighbours.
        resources: Memory budget and cache.

    Returns:
        A Ranking [N, k] of indices into `images`, memory-mapped from the cache; empty entries if a landmark has fewer
        other images.
    """
    work = _SameClass(images, k, resources)
    kept = resources.cache.rows(
        "cleaning-same-class",
        len(images),
        {"indices": Column(np.int32, (k,)), "scores": Column(np.float32, (k,))},
        work,
        CHUNK,
        [images.descriptors, images.rows, images.landmarks],
        {"k": k},
    )
    return Ranking(kept["indices"], kept["scores"])


class _SameClass:
    def __init__(self, images: LandmarkImages, k: int, resources: Resources) -> None:
        self.images = images
        self.k = k
        self.search = ExactIndex(k + 1, memory_budget_mb=resources.memory_budget_mb)

    def __call__(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return the neighbours of the images from `start` to before `stop`."""
        indices = np.full((stop - start, self.k), -1, np.int32)
        scores = np.full((stop - start, self.k), -np.inf, np.float32)
        for rows, found in (*self._of_small(start, stop), *self._of_large(start, stop)):
            indices[rows - start], scores[rows - start] = found.indices, found.scores
        return {"indices": indices, "scores": scores}

    def _of_small(self, start: int, stop: int) -> Iterator[tuple[NDArray[np.int64], Ranking]]:
        rows = np.arange(start, stop)
        landmarks = self.images.landmarks[start:stop]
        firsts = self.images.starts[landmarks]
        sizes = self.images.counts[landmarks]
        small = (sizes > 1) & (sizes <= WINDOWS[-1])
        if not small.any():
            return
        # A chunk may begin and end in the middle of a landmark.
        begin = int(firsts[small].min())
        block = self.images.read(slice(begin, int((firsts + sizes)[small].max())))
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
        landmarks = np.unique(self.images.landmarks[start:stop])
        for landmark in landmarks[self.images.counts[landmarks] > WINDOWS[-1]].tolist():
            begin, end = self.images.starts[landmark : landmark + 2].tolist()
            rows = np.arange(max(start, begin), min(stop, end))
            queries = self.images.read(rows)
            merged = Ranking.empty(len(rows), 0)
            for first in range(begin, end, PIECE):
                part = slice(first, min(first + PIECE, end))
                found = self.search.search(queries, self.images.read(part))
                places = np.where(found.filled, found.indices + first, -1)
                merged = best(
                    np.concatenate([merged.indices, places], axis=1),
                    np.concatenate([merged.scores, found.scores], axis=1),
                    self.k + 1,
                )
            yield rows, without_self(merged, int(rows[0]))


@dataclass(frozen=True, eq=False)
class Bars:
    """The bar of each image: the similarity of its `rank`-th nearest image of another landmark.

    Attributes:
        similarities: Cosine similarities, float32 [N].
        numbers: Number of images of other landmarks that each landmark was compared with, int64 [C].
        rank: The rank.
    """

    similarities: NDArray[np.float32]
    numbers: NDArray[np.int64]
    rank: int


def other_class_bars(
    images: LandmarkImages, rank: int, sample: int | None, same_class: int, resources: Resources
) -> Bars:
    """Find each image's `rank`-th nearest image of another landmark.

    If images of its own landmark fill the search results before `rank` others are found, the bar is the similarity of
    the last result. At least `same_class` neighbours are then above the bar, so that a rule that uses no more of them
    gives the same verdict.

    Args:
        images: The N images.
        rank: Rank of the image of another landmark.
        sample: Number of images to search, chosen at random; None searches all.
        same_class: Number of same-class neighbours that the rule uses.
        resources: Searches, cache and seed.

    Raises:
        LandmarksError: A landmark is compared with fewer than `rank` images of other landmarks.
    """
    everything = sample is None or sample >= len(images)
    if everything or sample is None:
        drawn = np.arange(len(images))
    else:
        drawn = np.sort(np.random.default_rng(resources.seed).choice(len(images), sample, replace=False))
    numbers = len(drawn) - np.bincount(images.landmarks[drawn], minlength=len(images.landmark_names))
    embedded = images.counts > 0
    if numbers[embedded].min() < rank:
        name = images.landmark_names[embedded][numbers[embedded].argmin()]
        raise LandmarksError(
            f"landmark {name} can be compared with only {numbers[embedded].min()} images of other landmarks, but "
            f"the bar is the {rank}-th nearest of them: lower --other-class or raise --sample"
        )
    searcher = resources.neighbours if everything else resources.index
    database: Descriptors
    if everything:
        database = images.descriptors
        landmarks = np.full(len(database), -1, np.int32)
        landmarks[images.rows] = images.landmarks
    else:
        database, landmarks = images.read(drawn), images.landmarks[drawn]
    depth = min(len(database), same_class + rank + 1)  # one more for the image itself

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        found = searcher.search(images.read(slice(start, stop)), database, depth)
        foreign = found.filled & (landmarks[found.indices] != images.landmarks[start:stop, None])
        place = ((foreign.cumsum(axis=1) < rank) & found.filled).sum(axis=1)
        last = found.filled.sum(axis=1) - 1  # an approximate search may return fewer results
        return {"similarities": found.scores[np.arange(stop - start), np.minimum(place, last)]}

    kept = resources.cache.rows(
        "cleaning-other-class",
        len(images),
        {"similarities": Column(np.float32)},
        make,
        CHUNK,
        [images.descriptors, images.rows, images.landmarks, np.empty(0) if everything else drawn],
        {"rank": rank, "depth": depth, "searcher": searcher.signature()},
    )
    return Bars(kept["similarities"], numbers, rank)
