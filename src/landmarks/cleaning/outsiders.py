"""How near pictures of other landmarks come to every picture: what its fellows must beat to count as agreeing.

A similarity means nothing by itself: it depends on the network, and on whether a picture shows something that many
others show too. So each picture brings its own measure: the similarity of its b-th nearest picture of another
landmark. Searched in all N pictures this is its list of nearest neighbours, cut at the b-th foreign one, as the
winners of 2019 cleaned the train set by neighbours in it. That is N² products; against a random sample of S pictures it
is N x S, and the measure is the b-th nearest of a sample instead.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarks.cleaning.pictures import LandmarkPictures
from landmarks.errors import LandmarksError
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.cache import Column
from landmarks.retrieval.resources import Resources

CHUNK = 16_384  # pictures that are searched for, and kept, together


@dataclass(frozen=True, eq=False)
class Outsiders:
    """The bar for each picture.

    Attributes:
        similarities: float32 [N], of its `rank`-th nearest picture of another landmark.
        numbers: int64 [C], how many pictures of other landmarks each landmark was compared with.
        rank: b.
    """

    similarities: NDArray[np.float32]
    numbers: NDArray[np.int64]
    rank: int


def nearest_outsiders(
    pictures: LandmarkPictures, rank: int, sample: int | None, fellows: int, resources: Resources
) -> Outsiders:
    """Find each picture's `rank`-th nearest picture of another landmark.

    A picture whose landmark fills the first places of the search before `rank` others have come gets the similarity of
    the last of these places. That leaves at least `fellows` fellows above its bar, so that nothing changes for a rule
    that looks at no more of them.

    Args:
        pictures: N of them.
        rank: b, at least 1.
        sample: so many pictures, drawn at random, are searched; None or at least N searches all.
        fellows: how many fellows of a picture are looked at.
        resources: `index` searches a sample, `neighbours` all; the cache and the seed of the sample.

    Raises:
        LandmarksError: fewer than `rank` pictures of other landmarks, or no room for the cache.
    """
    everything = sample is None or sample >= len(pictures)
    if everything or sample is None:
        drawn = np.arange(len(pictures))
    else:
        drawn = np.sort(np.random.default_rng(resources.seed).choice(len(pictures), sample, replace=False))
    numbers = len(drawn) - np.bincount(pictures.landmarks[drawn], minlength=len(pictures.landmark_names))
    described = pictures.counts > 0
    if numbers[described].min() < rank:
        name = pictures.landmark_names[described][numbers[described].argmin()]
        raise LandmarksError(
            f"landmark {name} can be compared with {numbers[described].min()} pictures of other landmarks only, but "
            f"the bar is the {rank}-th nearest of them: lower --outsiders or compare with more pictures (--sample)"
        )
    searcher = resources.neighbours if everything else resources.index
    database: Descriptors
    if everything:
        database = pictures.descriptors
        landmarks = np.full(len(database), -1, np.int32)
        landmarks[pictures.rows] = pictures.landmarks
    else:
        database, landmarks = pictures.read(drawn), pictures.landmarks[drawn]
    depth = min(len(database), fellows + rank + 1)  # one more for the picture itself

    def make(start: int, stop: int) -> dict[str, NDArray[Any]]:
        found = searcher.search(pictures.read(slice(start, stop)), database, depth)
        foreign = found.filled & (landmarks[found.indices] != pictures.landmarks[start:stop, None])
        place = ((foreign.cumsum(axis=1) < rank) & found.filled).sum(axis=1)
        last = found.filled.sum(axis=1) - 1  # an approximate search may leave places empty
        return {"similarities": found.scores[np.arange(stop - start), np.minimum(place, last)]}

    kept = resources.cache.rows(
        "tidying-outsiders",
        len(pictures),
        {"similarities": Column(np.float32)},
        make,
        CHUNK,
        [pictures.descriptors, pictures.rows, pictures.landmarks, np.empty(0) if everything else drawn],
        {"rank": rank, "depth": depth, "searcher": searcher.signature()},
    )
    return Outsiders(kept["similarities"], numbers, rank)
