"""Spatial verification of agreeing images by local features.

Descriptors may agree on something other than the landmark: the style of a church, an evening sky. The winners of the
2019 recognition challenge therefore verified neighbours geometrically before they kept an image. It costs a thousand
times as much as all other steps: a tenth of a second per image to extract features and a few milliseconds per pair. On
the small images of the miniature it removes half a percent more of the wrong images, but also 40 % of the right ones.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from landmarks.cleaning.images import LandmarkImages
from landmarks.cleaning.neighbours import Bars
from landmarks.cleaning.rule import BLOCK, AgreementRule, Verdict
from landmarks.data import ImageSet
from landmarks.errors import LandmarksError
from landmarks.ids import format_id
from landmarks.local_features import RootSift
from landmarks.retrieval import LocalFeatureStore, Pairs, Ranking, Resources, count_inliers


@dataclass(frozen=True)
class Verification:
    """Keeps images that have enough geometric inliers with agreeing neighbours.

    Args:
        partners: Number of nearest agreeing same-class neighbours that each image is compared with.
        min_inliers: Minimal number of inliers of a verified neighbour.
        min_verified: Minimal number of verified neighbours of an image.
        features: Extracts, stores and compares local features.

    Raises:
        LandmarksError: A number is below 1.
    """

    partners: int = 5
    min_inliers: int = 8
    min_verified: int = 1
    features: LocalFeatureStore = field(default_factory=lambda: LocalFeatureStore(RootSift()))

    def __post_init__(self) -> None:
        if min(self.partners, self.min_inliers, self.min_verified) < 1:
            raise LandmarksError("cleaning: partners, min_inliers and min_verified must be 1 or more")

    def verdicts(
        self,
        images: LandmarkImages,
        image_set: ImageSet,
        verdicts: NDArray[np.uint8],
        rule: AgreementRule,
        neighbours: Ranking,
        bars: Bars,
        resources: Resources,
    ) -> NDArray[np.uint8]:
        """Change the verdict of kept images with too few verified neighbours to UNVERIFIED.

        Args:
            images: N images.
            image_set: Reads them.
            verdicts: Verdicts of the rule, uint8 [N].
            rule: The rule.
            neighbours: The same-class neighbours to which it was applied.
            bars: The bars.
            resources: Processes, cache and seed.

        Returns:
            Values of `Verdict`, uint8 [N].

        Raises:
            LandmarksError: Images are missing.
        """
        shown, places = np.unique(self._pairs(verdicts == Verdict.KEPT, rule, neighbours, bars), return_inverse=True)
        pairs = places.reshape(-1, 2).astype(np.int32)
        rows = image_set.table.find(images.ids[shown])
        if (rows < 0).any():
            lost = images.ids[shown][rows < 0]
            raise LandmarksError(
                f"{len(lost)} of {len(shown)} images to verify are missing, first {format_id(int(lost[0]))}; "
                "download them, or clean without --verify"
            )
        verified = np.zeros(len(images), np.int64)
        if len(shown):
            table = self.features.collect(image_set, rows, resources)
            inliers = count_inliers(table, table, pairs, self.features.matcher, self.features.geometry, resources)
            good = pairs[np.asarray(inliers) >= self.min_inliers]
            verified[shown] = np.bincount(good.reshape(-1), minlength=len(shown))
        falls = (verdicts == Verdict.KEPT) & (verified < self.min_verified)
        return np.where(falls, np.uint8(Verdict.UNVERIFIED), verdicts)

    def _pairs(self, kept: NDArray[np.bool_], rule: AgreementRule, neighbours: Ranking, bars: Bars) -> Pairs:
        """Return the pairs to verify, int32 [P, 2], each once and the earlier image first."""
        keys = [np.empty(0, np.int64)]
        for start in range(0, len(kept), BLOCK):
            rows = slice(start, start + BLOCK)
            linked = rule.agreeing(neighbours, bars, rows) & kept[rows, None] & kept[neighbours.indices[rows]]
            linked &= linked.cumsum(axis=1) <= self.partners
            first, place = np.nonzero(linked)
            second = neighbours.indices[rows][first, place].astype(np.int64)
            first = first + start
            keys.append(np.minimum(first, second) * len(kept) + np.maximum(first, second))
        found = np.unique(np.concatenate(keys))
        return np.stack([found // len(kept), found % len(kept)], axis=1).astype(np.int32)
