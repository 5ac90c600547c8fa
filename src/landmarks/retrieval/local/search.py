"""Search by local features: each feature of a query votes for the images of its nearest index features.

The weight of a vote is how much nearer the index feature is than the last of the neighbours searched for: Jégou, Douze,
Schmid, "Exploiting descriptor distances for precise image search", INRIA research report 7656, 2011. Common features
have many neighbours at similar distances and therefore little weight. Repeated structures must not vote many times
(Jégou, Douze, Schmid, "On the burstiness of visual elements", CVPR 2009, section 3): a query feature votes once per
image, and an index feature receives one vote per query.

Dividing the sum by the number of the image's features plus a constant is our addition: an image with many features
collects chance votes in proportion to their number, and without the constant one with ten would score high with one
vote.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local.inverted import CompressedIndex, ExactFeatureIndex, InvertedFile, open_index
from landmarks.retrieval.local.table import LocalFeatureTable
from landmarks.retrieval.ranking import Ranking, fill
from landmarks.retrieval.state import Resources

# Queries per chunk of the cache.
CHUNK = 32


@dataclass(frozen=True)
class Voting:
    """Settings that turn neighbours into votes.

    Attributes:
        neighbours: nearest index features for which a query feature may vote; the distance of the next one is where the
            weight reaches 0.
        max_distance: distance beyond which there is no vote, for descriptors of length one.
        smoothing: constant added to the number of an image's features, by which its votes are divided.
    """

    neighbours: int = 30
    max_distance: float = 0.8
    smoothing: float = 50.0

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise LandmarksError(f"local search: neighbours is {self.neighbours}: it must be 1 or more")
        if not 0 < self.max_distance < np.inf or not 0 <= self.smoothing < np.inf:
            raise LandmarksError(
                "local search: max_distance must be above 0 and smoothing 0 or more, got "
                f"{self.max_distance} and {self.smoothing}"
            )

    def weights(self, distances: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weights of votes [F, n] for ascending distances [F, n + 1]; inf where there is no feature."""
        bound = np.minimum(distances[:, -1:].astype(np.float64), self.max_distance)
        return np.maximum(bound - distances[:, :-1], 0)


def search_by_votes(
    queries: LocalFeatureTable,
    index: LocalFeatureTable,
    voting: Voting,
    inverted: InvertedFile,
    depth: int,
    resources: Resources,
) -> Ranking:
    """Rank index images by votes, [Q, `depth`]."""
    if not len(index.descriptors) or not len(queries):
        return Ranking.empty(len(queries), depth)
    opened: list[ExactFeatureIndex | CompressedIndex] = []  # filled only if the cache lacks rows

    def make(start: int, stop: int) -> Ranking:
        rows = slice(int(queries.starts[start]), int(queries.starts[stop]))
        if rows.stop == rows.start:
            return Ranking.empty(stop - start, depth)
        if not opened:
            opened.append(open_index(index, inverted, resources))
        distances, found = opened[0].search(np.asarray(queries.descriptors[rows]), voting.neighbours + 1)
        of_query = np.repeat(np.arange(stop - start), queries.counts[start:stop])
        weights = voting.weights(distances / np.float32(index.kind.length))
        return count_votes(weights, found[:, :-1], of_query, index, voting.smoothing, stop - start, depth)

    return resources.cache.ranking(
        "local_search",
        (len(queries), depth),
        make,
        CHUNK,
        [queries.keys, queries.counts, index.keys, index.counts],
        {
            "depth": depth,
            "seed": resources.seed,
            **asdict(voting),
            **inverted.signature(),
        },
    )


def count_votes(
    weights: NDArray[np.float64],
    rows: NDArray[np.int64],
    of_query: NDArray[np.int64],
    index: LocalFeatureTable,
    smoothing: float,
    num_queries: int,
    depth: int,
) -> Ranking:
    """Add up votes per query and image without a dense matrix, and rank the best images."""
    feature, place = np.nonzero(weights > 0)
    weight, row, query = weights[feature, place], rows[feature, place], of_query[feature]
    # An index feature receives only the best vote of each query, then a query feature gives only its best one to each
    # image. Among equal votes the stronger query feature and the stronger index feature win.
    best = _first_of_each(np.lexsort((feature, -weight, row, query)), query, row)
    feature, weight, row, query = feature[best], weight[best], row[best], query[best]
    image = index.images(row)
    best = _first_of_each(np.lexsort((row, -weight, image, feature)), feature, image)
    weight, query, image = weight[best], query[best], image[best]

    order = np.lexsort((image, query))
    pair = query[order] * len(index.counts) + image[order]
    pairs, number = np.unique(pair, return_inverse=True)
    query, image = np.divmod(pairs, len(index.counts))
    votes = np.bincount(number, weight[order], minlength=len(pairs)) / (index.counts[image] + smoothing)
    scores = votes.astype(np.float32)
    ranking = Ranking.empty(num_queries, depth)
    fill(ranking.indices, ranking.scores, query, image, scores)
    return Ranking(ranking.indices, ranking.scores)


def _first_of_each(order: NDArray[np.int64], *keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first in `order` of the entries with equal keys, which are adjacent in it."""
    new = np.ones(len(order), np.bool_)
    new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    return order[new]
