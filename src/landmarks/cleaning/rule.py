"""The rule that decides which images are kept: enough others of their landmark agree, in a large enough group.

The rule was developed for this package; the one behind the train set of the published classifier was never published.
It has three steps.

1. A same-class neighbour (another image of the landmark) agrees with an image if it is nearer than the image's
   b-th other-class neighbour (the b-th nearest image of another landmark). If all images are searched, m agreeing
   neighbours mean that m of the first m + b - 1 neighbours have the image's landmark.
2. An image is kept if at least `min_agreeing` neighbours agree, and more than by chance. If its label were wrong, its
   n - 1 same-class neighbours and the S other-class images that it was compared with would come in random order. The
   number of same-class neighbours before the b-th of another class would then be about negative binomial: failures
   before b successes with probability S / (S + n - 1). More than its `1 - chance` quantile is required. The same rule
   thus suits landmarks of 3 and of 10,000 images, and any size of sample.
3. Kept images that agree are linked, and groups smaller than `group_share` of the landmark's largest one are removed,
   because wrongly labelled images of the same other place agree with each other.

Landmarks that end with fewer than `min_images` images are removed completely.
"""

from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from landmarks.cleaning.images import LandmarkImages
from landmarks.cleaning.neighbours import Bars
from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking

BLOCK = 65_536  # images processed together


class Verdict(IntEnum):
    """Whether an image is kept, or why it is removed."""

    KEPT = 0
    DISAGREEING = 1  # too few neighbours of its class agree
    SMALL_GROUP = 2  # agrees only with a small group of images
    UNVERIFIED = 3  # too few agreeing neighbours pass geometric verification
    SMALL_LANDMARK = 4  # its landmark has, or keeps, too few images


@dataclass(frozen=True)
class AgreementRule:
    """The rule that decides which images are kept.

    A same-class neighbour agrees with an image if it is nearer than the image's `other_class`-th neighbour of another
    landmark. Images with enough agreeing neighbours are kept, except those in small groups and small landmarks.

    The defaults were chosen on the miniature's five places with planted wrong labels, the same that
    `benchmarks/cleaning_planted.py` reports, so that its results for them are optimistic.

    Args:
        same_class: Number of nearest same-class neighbours of an image that are used.
        other_class: b, the rank of the other-class neighbour that sets the bar.
        min_agreeing: Number of neighbours that must agree; in smaller landmarks, all of them.
        chance: Maximal probability that a wrong image is kept by chance; 1 requires no more than `min_agreeing`.
        group_share: Minimal size of groups as a share of the largest one; 1 keeps only the largest, 0 all.
        min_images: Landmarks with fewer images are removed.
        min_similarity: Minimal cosine similarity of agreeing neighbours; -1 leaves it to the bar.

    Raises:
        LandmarksError: A value is out of range.
    """

    same_class: int = 16
    other_class: int = 8
    min_agreeing: int = 2
    chance: float = 0.05
    group_share: float = 0.2
    min_images: int = 2
    min_similarity: float = -1.0

    def __post_init__(self) -> None:
        if self.other_class < 1 or not 1 <= self.min_agreeing <= self.same_class or self.min_images < 1:
            raise LandmarksError(
                f"cleaning: other_class (--other-class, {self.other_class}), min_agreeing ({self.min_agreeing}) and "
                f"min_images ({self.min_images}) must be 1 or more, and min_agreeing at most same_class (--same-class, "
                f"{self.same_class})"
            )
        if not (0 < self.chance <= 1 and 0 <= self.group_share <= 1 and -1 <= self.min_similarity <= 1):
            raise LandmarksError(
                f"cleaning: chance ({self.chance}) must be above 0 and at most 1, group_share ({self.group_share}) "
                f"between 0 and 1, min_similarity ({self.min_similarity}) between -1 and 1"
            )

    def required(self, counts: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compute how many same-class neighbours must agree with an image.

        Args:
            counts: Number of images of each landmark, [C].
            others: Number of images of other landmarks that they were compared with, [C].

        Returns:
            A number for each landmark, at most `same_class`, int64 [C].
        """
        own = np.maximum(counts - 1, 1)
        least = np.full(len(counts), self.min_agreeing)
        if self.chance < 1:
            pairs, places = np.unique(np.stack([own, np.maximum(others, 1)]), axis=1, return_inverse=True)
            beyond = nbinom.isf(self.chance, self.other_class, pairs[1] / (pairs[0] + pairs[1])) + 1
            least = np.maximum(least, beyond.astype(np.int64)[places.reshape(-1)])
        return np.minimum(np.minimum(least, own), self.same_class)

    def agreeing(self, neighbours: Ranking, bars: Bars, rows: slice) -> NDArray[np.bool_]:
        """Return which neighbours of some images agree, bool [B, same_class]."""
        bar = np.maximum(bars.similarities[rows], np.float32(self.min_similarity))
        return (neighbours.indices[rows] >= 0) & (neighbours.scores[rows] >= bar[:, None])

    def verdicts(self, images: LandmarkImages, neighbours: Ranking, bars: Bars) -> NDArray[np.uint8]:
        """Apply the rule, except for `small_landmarks`, which comes after verification.

        Args:
            images: N images.
            neighbours: Their nearest same-class neighbours, [N, same_class].
            bars: Their bars.

        Returns:
            Values of `Verdict`, uint8 [N].
        """
        required = self.required(images.counts, bars.numbers)[images.landmarks]
        stays = np.empty(len(images), np.bool_)
        for start in range(0, len(images), BLOCK):
            rows = slice(start, start + BLOCK)
            stays[rows] = self.agreeing(neighbours, bars, rows).sum(axis=1) >= required[rows]
        verdicts = np.where(stays, Verdict.KEPT, Verdict.DISAGREEING).astype(np.uint8)
        verdicts[stays & self._in_small_group(images, neighbours, bars, stays)] = Verdict.SMALL_GROUP
        return verdicts

    def _in_small_group(
        self, images: LandmarkImages, neighbours: Ranking, bars: Bars, stays: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        roots = np.arange(len(images), dtype=np.int32)
        for start in range(0, len(images), BLOCK):
            rows = slice(start, start + BLOCK)
            linked = self.agreeing(neighbours, bars, rows) & stays[rows, None]
            linked &= stays[neighbours.indices[rows]]
            _join(roots, start, np.ascontiguousarray(neighbours.indices[rows]), linked)
        _flatten(roots)
        sizes = np.bincount(roots[stays], minlength=len(roots))[roots]
        largest = np.zeros(len(images.landmark_names), np.int64)
        np.maximum.at(largest, images.landmarks[stays], sizes[stays])
        return sizes < self.group_share * largest[images.landmarks]

    def small_landmarks(self, images: LandmarkImages, verdicts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `verdicts` with SMALL_LANDMARK for landmarks that are, or have become, too small; uint8 [N]."""
        kept = np.bincount(images.landmarks[verdicts == Verdict.KEPT], minlength=len(images.landmark_names))
        falls = (kept < self.min_images)[images.landmarks] & (verdicts == Verdict.KEPT)
        falls |= (images.counts < max(2, self.min_images))[images.landmarks] & (verdicts != Verdict.KEPT)
        return np.where(falls, np.uint8(Verdict.SMALL_LANDMARK), verdicts)


@numba.njit(cache=True)
def _join(roots: NDArray[np.int32], start: int, neighbours: NDArray[np.int32], linked: NDArray[np.bool_]) -> None:
    """Unite the groups of linked images; the root of a group is its first image, whatever the order of links."""
    for i in range(neighbours.shape[0]):
        for j in range(neighbours.shape[1]):
            if linked[i, j]:
                a, b = start + i, neighbours[i, j]
                while roots[a] != a:
                    roots[a] = roots[roots[a]]
                    a = roots[a]
                while roots[b] != b:
                    roots[b] = roots[roots[b]]
                    b = roots[b]
                if a < b:
                    roots[b] = a
                else:
                    roots[a] = b


@numba.njit(cache=True)
def _flatten(roots: NDArray[np.int32]) -> None:
    for i in range(len(roots)):  # roots come before their images
        roots[i] = roots[roots[i]]
