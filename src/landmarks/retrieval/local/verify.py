"""Counts inliers of many pairs of images, on all cores, once.

What one pair costs does not depend on the others, so pairs go to processes in small groups; and since features,
matching and estimation are all determined, counts are the same however they are grouped.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landmarks.models import LocalFeatures
from landmarks.retrieval.local.geometry import Geometry, Verdict
from landmarks.retrieval.local.matching import Matcher, Matches
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.local.workers import Workers
from landmarks.storage import Column

if TYPE_CHECKING:  # it brings torch, which the processes that count have no use for
    from landmarks.retrieval.state import Resources

Pairs = NDArray[np.int32]


def verify_pair(
    first: LocalFeatures, second: LocalFeatures, matcher: Matcher, geometry: Geometry, seed: int = 0
) -> tuple[Matches, Verdict]:
    """The tentative pairs of two images, and which of them one motion explains."""
    matches = matcher(first.descriptors, second.descriptors)
    points = first.points[matches.first], second.points[matches.second]
    return matches, geometry(*points, (first.size, second.size), seed)


def _count(
    queries: LocalFeatureTable, index: LocalFeatureTable, matcher: Matcher, geometry: Geometry, seed: int, pairs: Pairs
) -> NDArray[np.int32]:
    """The work of a process: int32 [P] inliers of pairs [P, 2] of images."""
    found = (verify_pair(queries.of(a), index.of(b), matcher, geometry, seed)[1] for a, b in pairs.tolist())
    return np.array([verdict.count for verdict in found], np.int32)


CHUNK = 8192  # pairs that are kept together: about ten seconds of two cores, the most that a kill loses
JOB = 64  # pairs handed to a process at once


def count_inliers(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    pairs: Pairs,
    matcher: Matcher,
    geometry: Geometry,
    resources: "Resources",
) -> NDArray[np.int32]:
    """Inliers of every pair, from the cache or counted now; what was counted before an error is kept.

    Args:
        queries: features of the first images.
        index: features of the second images.
        pairs: int32 [P, 2], images of `queries` and of `index`; quickest where those of one query stand together.
        matcher: finds tentative pairs.
        geometry: says which of them agree.
        resources: `workers` processes, `seed` and cache.

    Returns:
        int32 [P], memory-mapped; 0 where nothing convinces.
    """
    if len(pairs) == 0:
        return np.empty(0, np.int32)
    work = partial(_count, queries, index, matcher, geometry, resources.seed)
    with Workers("spatial verification", work, min(resources.workers, -(-len(pairs) // JOB))) as workers:

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            jobs = [pairs[first : min(first + JOB, stop)] for first in range(start, stop, JOB)]
            return {"inliers": np.concatenate(list(workers.map(jobs)))}

        return resources.cache.rows(
            "inliers",
            len(pairs),
            {"inliers": Column(np.int32)},
            make,
            CHUNK,
            # The keys stand for the images' bytes and the extractor.
            [queries.keys, index.keys, pairs],
            {"matching": matcher.signature(), "geometry": geometry.signature(), "seed": resources.seed},
        )["inliers"]
