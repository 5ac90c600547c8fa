"""Which pictures stay: those that enough others of their landmark agree with, in a group that is large enough.

The rule is ours; that of the tidied set of the released classifier was never published. It has three steps.

1. A fellow (another picture of the landmark) agrees with a picture if it is nearer than the picture's b-th nearest
   picture of another landmark. With all pictures searched, m agreeing fellows mean that m of the first m + b - 1
   neighbours have the picture's landmark.
2. A picture stays if at least `min_agreeing` fellows agree, and more than chance explains. If its label were wrong, its
   n - 1 fellows and the S outsiders that it was compared with would be alike, each order of them as likely as any
   other, and the number of fellows before the b-th outsider about negative binomial, the number of failures before b
   successes of probability S / (S + n - 1). More than its `1 - chance` quantile is asked for. So one rule suits
   landmarks of 3 and of 10,000 pictures, and any sample of outsiders.
3. Pictures that stay and agree are linked, and groups smaller than `group_share` of the landmark's largest one fall:
   wrong pictures of one other place agree with each other.

Landmarks that end with fewer than `min_images` pictures fall as a whole.
"""

from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.stats import nbinom

from landmarks.cleaning.outsiders import Outsiders
from landmarks.cleaning.pictures import LandmarkPictures
from landmarks.errors import LandmarksError
from landmarks.retrieval.ranking import Ranking

BLOCK = 65_536  # pictures looked at together


class Fate(IntEnum):
    """What became of a picture."""

    KEPT = 0
    DISAGREEING = 1  # too few fellows agree
    SMALL_GROUP = 2  # agrees with a few that the rest do not agree with
    UNVERIFIED = 3  # no agreeing fellow shows the same points
    SMALL_LANDMARK = 4  # its landmark has, or keeps, too few pictures


@dataclass(frozen=True)
class AgreementRule:
    """The rule above.

    The defaults were chosen on the miniature's five places with planted wrong labels, those that
    `benchmarks/tidying_planted.py` reports, so that its figures of them are optimistic.

    Args:
        fellows: how many fellows of a picture are looked at, the nearest.
        outsiders: b, the pictures of other landmarks of which the last is the bar.
        min_agreeing: fellows that must agree; all of them in smaller landmarks.
        chance: how likely a wrong picture may find enough by chance; 1 asks for no more than `min_agreeing`.
        group_share: of the largest group, the least size of others; 1 keeps the largest alone, 0 all.
        min_images: landmarks with fewer pictures fall.
        min_similarity: a fellow with a lower cosine similarity never agrees; -1 leaves it to the outsiders.

    Raises:
        LandmarksError: a parameter out of range.
    """

    fellows: int = 16
    outsiders: int = 8
    min_agreeing: int = 2
    chance: float = 0.05
    group_share: float = 0.2
    min_images: int = 2
    min_similarity: float = -1.0

    def __post_init__(self) -> None:
        if self.outsiders < 1 or not 1 <= self.min_agreeing <= self.fellows or self.min_images < 1:
            raise LandmarksError(
                f"tidying: outsiders ({self.outsiders}), min_agreeing ({self.min_agreeing}) and min_images "
                f"({self.min_images}) must be 1 or more, and min_agreeing at most fellows ({self.fellows})"
            )
        if not (0 < self.chance <= 1 and 0 <= self.group_share <= 1 and -1 <= self.min_similarity <= 1):
            raise LandmarksError(
                f"tidying: chance ({self.chance}) must be above 0 and at most 1, group_share ({self.group_share}) "
                f"between 0 and 1, min_similarity ({self.min_similarity}) between -1 and 1"
            )

    def required(self, counts: NDArray[np.int64], outsiders: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many fellows must agree with a picture.

        Args:
            counts: int64 [C], pictures of each landmark.
            outsiders: int64 [C], pictures of other landmarks that its pictures were compared with.

        Returns:
            int64 [C], at most `fellows`.
        """
        fellows = np.maximum(counts - 1, 1)
        least = np.full(len(counts), self.min_agreeing)
        if self.chance < 1:
            pairs, places = np.unique(np.stack([fellows, np.maximum(outsiders, 1)]), axis=1, return_inverse=True)
            beyond = nbinom.isf(self.chance, self.outsiders, pairs[1] / (pairs[0] + pairs[1])) + 1
            least = np.maximum(least, beyond.astype(np.int64)[places.reshape(-1)])
        return np.minimum(np.minimum(least, fellows), self.fellows)

    def agreeing(self, fellows: Ranking, outsiders: Outsiders, rows: slice) -> NDArray[np.bool_]:
        """Which of the listed fellows of some pictures agree, bool [B, fellows]."""
        bar = np.maximum(outsiders.similarities[rows], np.float32(self.min_similarity))
        return (fellows.indices[rows] >= 0) & (fellows.scores[rows] >= bar[:, None])

    def fates(self, pictures: LandmarkPictures, fellows: Ranking, outsiders: Outsiders) -> NDArray[np.uint8]:
        """Apply the rule.

        Args:
            pictures: N of them.
            fellows: Ranking [N, fellows], the nearest of each.
            outsiders: their bars.

        Returns:
            uint8 [N] of `Fate`; before `small_landmarks`, which verification may still precede.
        """
        required = self.required(pictures.counts, outsiders.numbers)[pictures.landmarks]
        stays = np.empty(len(pictures), np.bool_)
        for start in range(0, len(pictures), BLOCK):
            rows = slice(start, start + BLOCK)
            stays[rows] = self.agreeing(fellows, outsiders, rows).sum(axis=1) >= required[rows]
        fates = np.where(stays, Fate.KEPT, Fate.DISAGREEING).astype(np.uint8)
        fates[stays & self._in_small_group(pictures, fellows, outsiders, stays)] = Fate.SMALL_GROUP
        return fates

    def _in_small_group(
        self, pictures: LandmarkPictures, fellows: Ranking, outsiders: Outsiders, stays: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        roots = np.arange(len(pictures), dtype=np.int32)
        for start in range(0, len(pictures), BLOCK):
            rows = slice(start, start + BLOCK)
            linked = self.agreeing(fellows, outsiders, rows) & stays[rows, None]
            linked &= stays[fellows.indices[rows]]
            _join(roots, start, np.ascontiguousarray(fellows.indices[rows]), linked)
        _flatten(roots)
        sizes = np.bincount(roots[stays], minlength=len(roots))[roots]
        largest = np.zeros(len(pictures.landmark_names), np.int64)
        np.maximum.at(largest, pictures.landmarks[stays], sizes[stays])
        return sizes < self.group_share * largest[pictures.landmarks]

    def small_landmarks(self, pictures: LandmarkPictures, fates: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`fates` with landmarks that are, or have become, too small."""
        kept = np.bincount(pictures.landmarks[fates == Fate.KEPT], minlength=len(pictures.landmark_names))
        falls = (kept < self.min_images)[pictures.landmarks] & (fates == Fate.KEPT)
        falls |= (pictures.counts < max(2, self.min_images))[pictures.landmarks] & (fates != Fate.KEPT)
        return np.where(falls, np.uint8(Fate.SMALL_LANDMARK), fates)


@numba.njit(cache=True)
def _join(roots: NDArray[np.int32], start: int, fellows: NDArray[np.int32], linked: NDArray[np.bool_]) -> None:
    """Unite the groups of linked pictures; a group's root is its first picture, in whatever order links come."""
    for i in range(fellows.shape[0]):
        for j in range(fellows.shape[1]):
            if linked[i, j]:
                a, b = start + i, fellows[i, j]
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
    for i in range(len(roots)):  # roots come before their pictures
        roots[i] = roots[roots[i]]
