"""Counts inliers of many pairs of pictures, on all cores, once.

What one pair costs does not depend on the others, so pairs go to processes in small groups; and since features,
matching and estimation are all determined, counts are the same however they are grouped.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.models import LocalFeatures
from landmarks.retrieval.local.geometry import Geometry, Verdict
from landmarks.retrieval.local.matching import Matcher, Matches
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.local.workers import Workers
from landmarks.retrieval.resources import Resources
from landmarks.storage import Column

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


CHUNK = 8192  # pairs that are kept together: about ten seconds of two cores, the most that a kill loses
JOB = 64  # pairs handed to a process at once


def count_inliers(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    pairs: Pairs,
    matcher: Matcher,
    geometry: Geometry,
    resources: Resources,
    chunk: int = CHUNK,
    job: int = JOB,
) -> NDArray[np.int32]:
    """Inliers of every pair, from the cache or counted now.

    Args:
        queries: features of the first pictures.
        index: features of the second pictures.
        pairs: int32 [P, 2], pictures of `queries` and of `index`; quickest where those of one query stand together.
        matcher: finds tentative pairs.
        geometry: says which of them agree.
        resources: `workers` processes, `seed` and cache.
        chunk: pairs that are kept together.
        job: pairs handed to a process at once.

    Returns:
        int32 [P], memory-mapped; 0 where nothing convinces.

    Raises:
        LandmarksError: a process ended abruptly, or no room for the cache; what was counted is kept.
    """
    if len(pairs) == 0:
        return np.empty(0, np.int32)
    work = Verification(queries, index, matcher, geometry, resources.seed)
    with Workers("spatial verification", work, min(resources.workers, -(-len(pairs) // job))) as workers:

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            jobs = [pairs[first : min(first + job, stop)] for first in range(start, stop, job)]
            return {"inliers": np.concatenate(list(workers.map(jobs)))}

        return resources.cache.rows(
            "inliers",
            len(pairs),
            {"inliers": Column(np.int32)},
            make,
            chunk,
            # The keys stand for the pictures' bytes and the extractor.
            [queries.keys, index.keys, pairs],
            {"matching": matcher.signature(), "geometry": geometry.signature(), "seed": resources.seed},
        )["inliers"]
