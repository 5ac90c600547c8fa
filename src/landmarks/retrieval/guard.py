"""Keeps what a query is sure of when later stages follow the neighbours of its neighbours.

Expansion, augmentation and diffusion assume that most of the first images are right. Where a query has one right image
in the index they follow wrong ones, and the right one is lost. Nobody published a rule against this for the systems of
2018 and 2019, so this one is ours. It has two parts, whatever the stage:

- Images that geometry has verified lead every later ranking.
- Images that are mutual neighbours of the query lead after a stage that is `guarded`; a query without any keeps its
  ranking and its descriptor.

Mutual neighbours are the k-reciprocal ones of Qin et al., "Hello neighbor: Accurate object retrieval with k-reciprocal
nearest neighbors", CVPR 2011. An image that is near to everything is near to the query, too, but has nearer ones.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors, gather
from landmarks.retrieval.ranking import EMPTY, Ranking, led
from landmarks.retrieval.state import Resources, Stage, StateT

# Queries whose neighbours are searched at once.
CHUNK = 512


class Guard:
    """Limits what a stage may change to what evidence supports.

    After a stage the images that lead the ranking are those of the state's `verified`, by descending number of inliers,
    then, if the class attribute ``guarded`` of the stage is true, the query's mutual neighbours by descending
    similarity. All others follow as the stage ranked them. A query for which there are neither keeps its earlier
    ranking and descriptor after a guarded stage. The stage that verified orders its own ranking.

    Mutual neighbours are found once, with the descriptors before the first guarded stage. This takes a search for the k
    nearest images of every query, for each image once, which the cache keeps.

    Args:
        k: an image is a mutual neighbour if it is among the query's k nearest images, and the query is not farther from
            it than the k-th nearest other index image. Chosen on train images of the miniature, see the documentation.
    """

    def __init__(self, k: int = 20) -> None:
        if k < 1:
            raise LandmarksError(f"guard: k is {k}: it must be 1 or more")
        self.k = k

    def __call__(self, stage: Stage[StateT], before: StateT, after: StateT, resources: Resources) -> StateT:
        """Return the state `after` the stage with what the query is sure of in front."""
        ranking = after.ranking
        if ranking is None or not len(before.index):
            return after
        leaders = [] if after.verified is None or after.verified is not before.verified else [after.verified.indices]
        guarded = getattr(stage, "guarded", False)
        if guarded:
            if after.mutual is None:
                after = replace(after, mutual=self.mutual(before.queries, before.index, resources))
            assert after.mutual is not None
            leaders.append(after.mutual.indices)
        if not leaders:
            return after
        first = np.concatenate(leaders, axis=1)
        after = after.with_ranking(led(ranking, first))
        unsure = (first == EMPTY).all(axis=1)
        return restored(before, after, unsure) if guarded and before.ranking is not None and unsure.any() else after

    def mutual(self, queries: Descriptors, index: Descriptors, resources: Resources) -> Ranking:
        """Find the mutual neighbours of every query, or read them from the cache.

        Args:
            queries: [Q, D].
            index: [N, D].
            resources: gives the searcher and the cache.

        Returns:
            Ranking [Q, k] by descending similarity; places behind the last one are empty.
        """

        def make(start: int, stop: int) -> Ranking:
            near = resources.index.search(queries[start:stop], index, self.k)
            images, place = np.unique(near.indices[near.filled], return_inverse=True)
            scores = np.full(near.indices.shape, -np.inf, np.float32)
            if len(images):
                bounds = kth_similarities(images, index, self.k, resources)
                scores[near.filled] = np.where(
                    near.scores[near.filled] >= bounds[place], near.scores[near.filled], -np.inf
                )
            return near.rescored(scores)

        parameters = {"k": self.k, "searcher": resources.index.signature()}
        return resources.cache.ranking("mutual", (len(queries), self.k), make, CHUNK, [queries, index], parameters)


def kth_similarities(
    images: NDArray[np.int32], index: Descriptors, k: int, resources: Resources
) -> NDArray[np.float32]:
    """Return the similarity of images to their k-th nearest others of the index, float32 [n]; -inf if it has fewer."""
    found = resources.index.search(gather(index, images, normalize=False), index, k + 1)
    itself = (found.indices == images[:, None]).any(axis=1)  # copies may crowd an image out
    return np.where(itself, found.scores[:, k], found.scores[:, k - 1])


def restored(before: StateT, after: StateT, rows: NDArray[np.bool_]) -> StateT:
    """Return the state `after` with ranking and descriptors of some queries, bool [Q], as they were `before`."""
    assert before.ranking is not None and after.ranking is not None
    ranking = Ranking.empty(after.ranking.num_queries, after.ranking.depth)
    depth = min(ranking.depth, before.ranking.depth)
    for name in ("indices", "scores"):
        values = getattr(ranking, name)
        values[~rows] = getattr(after.ranking, name)[~rows]
        values[rows, :depth] = getattr(before.ranking, name)[rows, :depth]
    queries = after.queries
    if queries is not before.queries:
        queries = np.where(rows[:, None], before.queries, queries)
    return replace(after, queries=queries, ranking=ranking)
