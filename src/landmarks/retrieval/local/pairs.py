"""The verification of one pair of pictures, and the work of a process that verifies many."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.models.local_features.extractor import LocalFeatures
from landmarks.retrieval.local.geometry import Geometry, Verdict
from landmarks.retrieval.local.matching import Matcher, Matches
from landmarks.retrieval.local.table import LocalFeatureTable

Pairs = NDArray[np.int32]


def verify_pair(
    first: LocalFeatures, second: LocalFeatures, matcher: Matcher, geometry: Geometry, seed: int = 0
) -> tuple[Matches, Verdict]:
    """Match two pictures and look for one motion that explains the pairs.

    Args:
        first: features of one picture.
        second: features of the other.
        matcher: finds pairs.
        geometry: says which of them agree.
        seed: of the estimation.

    Returns:
        The tentative pairs, and which of them are inliers.
    """
    matches = matcher(first.descriptors, second.descriptors)
    points = first.points[matches.first], second.points[matches.second]
    return matches, geometry(*points, (first.size, second.size), seed)


@dataclass(frozen=True)
class Verification:
    """Counts the inliers of pairs.

    Attributes:
        queries: features of the first pictures.
        index: features of the second ones.
        matcher: finds tentative pairs.
        geometry: says which of them agree.
        seed: of the estimation.
    """

    queries: LocalFeatureTable
    index: LocalFeatureTable
    matcher: Matcher
    geometry: Geometry
    seed: int

    def __call__(self, pairs: Pairs) -> NDArray[np.int32]:
        """int32 [P] inliers of pairs [P, 2] of pictures."""
        counts = np.zeros(len(pairs), np.int32)
        for place, (query, image) in enumerate(pairs.tolist()):
            first, second = self.queries.of(query), self.index.of(image)
            counts[place] = verify_pair(first, second, self.matcher, self.geometry, self.seed)[1].count
        return counts
