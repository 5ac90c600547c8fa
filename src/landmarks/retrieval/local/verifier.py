"""Looks at the first images of every ranking with local features and geometry, and says what its counts are worth.

Shared by the verification of retrieval and of recognition. What a count is worth has the form that the first place of
the 2019 recognition challenge published, min(70, inliers) / 70, with a floor of ours below which a count is chance.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError
from landmarks.retrieval.local.geometry import Geometry
from landmarks.retrieval.local.matching import Matcher
from landmarks.retrieval.local.store import LocalFeatureStore
from landmarks.retrieval.local.verify import count_inliers
from landmarks.retrieval.ranking import EMPTY, Ranking
from landmarks.retrieval.resources import Resources


@dataclass(frozen=True)
class Verifier:
    """Counts inliers between every query and the first images of its ranking.

    Attributes:
        features: store of the local features.
        matcher: finds tentative pairs.
        geometry: says which of them agree.
        depth: images of each ranking that are looked at.
        min_inliers: fewer are no evidence. What chance gives depends on the model, see `Geometry`.
        saturation: more inliers than this are no more evidence.

    Raises:
        LandmarksError: a number out of range.
    """

    features: LocalFeatureStore
    matcher: Matcher = field(default_factory=Matcher)
    geometry: Geometry = field(default_factory=Geometry)
    depth: int = 100
    min_inliers: int = 8
    saturation: int = 70

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise LandmarksError(f"verification: depth is {self.depth}: it must be 1 or more")
        if not 1 <= self.min_inliers <= self.saturation:
            raise LandmarksError(
                "verification: min_inliers must be 1 or more and saturation no less than it, got "
                f"{self.min_inliers} and {self.saturation}"
            )

    def inliers(
        self, query_pictures: ImageSet, image_pictures: ImageSet, ranking: Ranking, resources: Resources
    ) -> NDArray[np.int32]:
        """Count, or find in the cache.

        Args:
            query_pictures: [Q].
            image_pictures: [N] of the set that `ranking` points into.
            ranking: [Q, K].
            resources: processes, seed and cache.

        Returns:
            int32 [Q, min(depth, K)]; 0 in empty places.

        Raises:
            LandmarksError: pictures that cannot be read, or no room for features or counts.
        """
        shown = ranking.indices[:, : self.depth]
        inliers = np.zeros(shown.shape, np.int32)
        queries, places = np.nonzero(shown != EMPTY)
        asked, query_rows = np.unique(queries, return_inverse=True)
        images, image_rows = np.unique(shown[queries, places], return_inverse=True)
        if len(asked):
            query_features = self.features.collect(query_pictures, asked, resources)
            image_features = self.features.collect(image_pictures, images, resources)
            pairs = np.stack([query_rows, image_rows], axis=1).astype(np.int32)
            inliers[queries, places] = count_inliers(
                query_features, image_features, pairs, self.matcher, self.geometry, resources
            )
        return inliers

    def evidence(self, inliers: NDArray[np.int32]) -> NDArray[np.float32]:
        """What counts of any shape are worth: 0 below `min_inliers`, 1 from `saturation` on."""
        worth = np.minimum(inliers / self.saturation, 1)
        return np.where(inliers >= self.min_inliers, worth, 0).astype(np.float32)
