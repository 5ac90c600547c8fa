"""Counts the inliers of many pairs of images on all cores and caches the counts.

Pairs are independent and are sent to processes in small groups; features, matching and estimation are deterministic, so
counts do not depend on the grouping.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landmarks.local_features import Geometry, LocalFeatures, Matches, PairMatcher, Verdict
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.local.workers import Workers
from landmarks.storage import Column

if TYPE_CHECKING:  # this imports torch, which the counting processes do not need
    from landmarks.retrieval.state import Resources

Pairs = NDArray[np.int32]


def verify_pair(
    first: LocalFeatures, second: LocalFeatures, matcher: PairMatcher, geometry: Geometry, seed: int = 0
) -> tuple[Matches, Verdict]:
    """Match the features of two images and verify the pairs: tentative pairs, and their inliers."""
    matches = matcher(first, second)
    points = first.points[matches.first], second.points[matches.second]
    return matches, geometry(*points, (first.size, second.size), seed)


def _count(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    matcher: PairMatcher,
    geometry: Geometry,
    seed: int,
    pairs: Pairs,
) -> NDArray[np.int32]:
    """Count the inliers, int32 [P], of pairs [P, 2] of images; the work of a process."""
    found = (verify_pair(queries.of(a), index.of(b), matcher, geometry, seed)[1] for a, b in pairs.tolist())
    return np.array([verdict.count for verdict in found], np.int32)


CHUNK = 8192  # pairs per chunk of the cache: about ten seconds on two cores, the most that a killed run loses
JOB = 64  # pairs per job of a process


def count_inliers(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    pairs: Pairs,
    matcher: PairMatcher,
    geometry: Geometry,
    resources: "Resources",
) -> NDArray[np.int32]:
    """Count the inliers of every pair, or read them from the cache; counts made before an error are kept.

    Args:
        queries: features of the first images.
        index: features of the second images.
        pairs: int32 [P, 2], images of `queries` and of `index`; fastest if the pairs of a query are adjacent.
        matcher: finds tentative pairs.
        geometry: decides which of them are inliers.
        resources: gives the number of processes, the seed and the cache.

    Returns:
        int32 [P], memory-mapped; 0 if no motion was accepted.
    """
    if len(pairs) == 0:
        return np.empty(0, np.int32)
    work = partial(_count, queries, index, matcher, geometry, resources.seed)
    processes = 1 if matcher.on_gpu else min(resources.workers, -(-len(pairs) // JOB))
    with Workers("spatial verification", work, processes) as workers:

        def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
            jobs = [pairs[first : min(first + JOB, stop)] for first in range(start, stop, JOB)]
            return {"inliers": np.concatenate(list(workers.map(jobs)))}

        return resources.cache.rows(
            "inliers",
            len(pairs),
            {"inliers": Column(np.int32)},
            make,
            CHUNK,
            # The keys are hashes of the encoded images and the extractor.
            [queries.keys, index.keys, pairs],
            {"matching": matcher.signature(), "geometry": geometry.signature(), "seed": resources.seed},
        )["inliers"]
