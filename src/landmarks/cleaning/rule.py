"""Which images stay: those that enough others of their landmark agree with, in a group that is large enough.

The rule is ours; that of the cleaned set of the published classifier was never published. It has three steps.

1. A same-class neighbour (another image of the landmark) agrees with an image if it is nearer than the image's
   b-th other-class neighbour (the b-th nearest image of another landmark). With all images searched, m that agree
   mean that m of the first m + b - 1 neighbours have the image's landmark.
2. An image stays if at least `min_agreeing` neighbours agree, and more than chance explains. If its label were wrong,
   its n - 1 same-class and the S other-class neighbours that it was compared with would be alike, each order of them as
   likely as any other, and the number before the b-th of another class about negative binomial, of failures before b
   successes of probability S / (S + n - 1). More than its `1 - chance` quantile is asked for. So one rule suits
   landmarks of 3 and of 10,000 images, and any sample of others.
3. Images that stay and agree are linked, and groups smaller than `group_share` of the landmark's largest one fall:
   wrong images of one other place agree with each other.

Landmarks that end with fewer than `min_images` images fall as a whole.
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

BLOCK = 65_536  # images looked at together


class Verdict(IntEnum):
    """What became of an image."""

    KEPT = 0
    DISAGREEING = 1  # too few neighbours of its class agree
    SMALL_GROUP = 2  # agrees with a few that the rest do not agree with
    UNVERIFIED = 3  # no agreeing neighbour shows the same points
    SMALL_LANDMARK = 4  # its landmark has, or keeps, too few images


@dataclass(frozen=True)
class AgreementRule:
    """The rule above.

    The defaults were chosen on the miniature's five places with planted wrong labels, those that
    `benchmarks/cleaning_planted.py` reports, so that its figures of them are optimistic.

    Args:
        same_class: how many same-class neighbours of an image are looked at, the nearest.
        other_class: b, the other-class neighbours of which the last is the bar.
        min_agreeing: neighbours that must agree; all of them in smaller landmarks.
        chance: how likely a wrong image may find enough by chance; 1 asks for no more than `min_agreeing`.
        group_share: of the largest group, the least size of others; 1 keeps the largest alone, 0 all.
        min_images: landmarks with fewer images fall.
        min_similarity: a neighbour with a lower cosine similarity never agrees; -1 leaves it to the bar.
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
        """Tell how many same-class neighbours must agree with an image, int64 [C], at most `same_class`.

        It depends on the images of each landmark, [C], and on those of other landmarks that they were compared with,
        [C].
        """
        own = np.maximum(counts - 1, 1)
        least = np.full(len(counts), self.min_agreeing)
        if self.chance < 1:
            pairs, places = np.unique(np.stack([own, np.maximum(others, 1)]), axis=1, return_inverse=True)
            beyond = nbinom.isf(self.chance, self.other_class, pairs[1] / (pairs[0] + pairs[1])) + 1
            least = np.maximum(least, beyond.astype(np.int64)[places.reshape(-1)])
        return np.minimum(np.minimum(least, own), self.same_class)

    def agreeing(self, neighbours: Ranking, bars: Bars, rows: slice) -> NDArray[np.bool_]:
        """Which of the listed neighbours of some images agree, bool [B, same_class]."""
        bar = np.maximum(bars.similarities[rows], np.float32(self.min_similarity))
        return (neighbours.indices[rows] >= 0) & (neighbours.scores[rows] >= bar[:, None])

    def verdicts(self, images: LandmarkImages, neighbours: Ranking, bars: Bars) -> NDArray[np.uint8]:
        """Apply the rule to N images and their nearest neighbours [N, same_class].

        Returns uint8 [N] of `Verdict`, before `small_landmarks`, which verification may still precede.
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
        """`verdicts` with landmarks that are, or have become, too small."""
        kept = np.bincount(images.landmarks[verdicts == Verdict.KEPT], minlength=len(images.landmark_names))
        falls = (kept < self.min_images)[images.landmarks] & (verdicts == Verdict.KEPT)
        falls |= (images.counts < max(2, self.min_images))[images.landmarks] & (verdicts != Verdict.KEPT)
        return np.where(falls, np.uint8(Verdict.SMALL_LANDMARK), verdicts)


@numba.njit(cache=True)
def _join(roots: NDArray[np.int32], start: int, neighbours: NDArray[np.int32], linked: NDArray[np.bool_]) -> None:
    """Unite the groups of linked images; a group's root is its first image, in whatever order links come."""
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
