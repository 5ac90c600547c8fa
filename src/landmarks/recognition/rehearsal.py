"""A rehearsal of recognition on gallery images, whose landmarks are known, as training data for the calibration.

A sample of gallery images is searched in the gallery like queries, each without itself and identical copies. For part
of the sample all images of its own landmark are left out too: such an image represents a query whose landmark is not in
the gallery, so that any prediction is wrong. The ground truth of the test set is never used.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.recognition.votes import NO_LANDMARK, vote
from landmarks.retrieval import EMPTY, Gallery, Ranking, Resources
from landmarks.storage import Column

FEATURES = ("similarity", "margin", "share", "density")  # names of the features of a vote, in order
COPIES = 10  # additional results of a search, to make up for identical copies
SAME = 1e-5  # relative difference to an image's similarity to itself below which another one counts as a copy
GROUP = 1024  # images searched at once; the gallery is read once per group


class Rehearsal(NamedTuple):
    """Results: features float64 [n, 4] in the order of FEATURES; bool [n], whether the vote was right."""

    features: NDArray[np.float64]
    right: NDArray[np.bool_]


class Cast(NamedTuple):
    """Gallery images that act as queries.

    Attributes:
        rows: int64 [n], rows of the gallery.
        hidden: bool [n], whether the images of its landmark are left out.
    """

    rows: NDArray[np.int64]
    hidden: NDArray[np.bool_]


def features_of(
    neighbours: Ranking, gallery_landmarks: NDArray[np.int32], predicted: NDArray[np.int32], k: int
) -> NDArray[np.float64]:
    """Compute features of the predictions from their k nearest neighbours.

    - similarity: that of the nearest image of the predicted landmark.
    - margin: that minus the similarity of the nearest image of any other or no landmark.
    - share: the predicted landmark's share in the sum of all k similarities.
    - density: similarity of the k-th neighbour.

    Negative similarities, empty places and missing images count as 0.

    Args:
        neighbours: [Q, K], nearest gallery images.
        gallery_landmarks: int32 [N], -1 = none.
        predicted: int32 [Q], -1 = none.
        k: number of neighbours to use, at most K.

    Returns:
        float64 [Q, 4], in the order of FEATURES.
    """
    shown, filled = neighbours.indices[:, :k], neighbours.filled[:, :k]
    scores = np.where(filled, np.maximum(neighbours.scores[:, :k], 0), 0).astype(np.float64)
    landmarks = np.where(filled, gallery_landmarks[shown], NO_LANDMARK)
    own = (landmarks == predicted[:, None]) & (landmarks != NO_LANDMARK)
    similarity = np.where(own, scores, 0).max(axis=1, initial=0)
    other = np.where(own, 0, scores).max(axis=1, initial=0)
    total = scores.sum(axis=1)
    share = np.where(own, scores, 0).sum(axis=1) / np.where(total > 0, total, 1)
    return np.stack([similarity, similarity - other, share, scores[:, -1]], axis=1)


def choose(gallery: Gallery, size: int, hidden: float, max_images: int, seed: int) -> Cast:
    """Draw a random sample of gallery images that have a landmark.

    Args:
        gallery: labelled train images.
        size: size of the sample; all images if there are fewer.
        hidden: share of the sample whose landmark is left out.
        max_images: landmarks with more gallery images are never left out, because the search would be too deep.
        seed: seed of the random choices.
    """
    generator = np.random.default_rng(seed)
    labelled = np.flatnonzero(gallery.landmarks != NO_LANDMARK)
    rows = generator.choice(labelled, min(size, len(labelled)), replace=False)
    images = _images_of_own(gallery, rows)
    chosen = (generator.random(len(rows)) < hidden) & (images <= max_images)
    # Sort by the depth of search, so that only some groups need a deep one.
    order = np.lexsort((rows, np.where(chosen, images, 0)))
    return Cast(rows[order], chosen[order])


def rehearse(gallery: Gallery, cast: Cast, k: int, votes: int, resources: Resources) -> Rehearsal:
    """Recognise the chosen images like queries, or read the results from the cache.

    Args:
        gallery: labelled train images.
        cast: images to recognise.
        k: neighbours used for the features.
        votes: nearest neighbours that vote, by similarity.
        resources: gives the searcher and the cache.
    """

    def make(start: int, stop: int) -> dict[str, NDArray[np.float64] | NDArray[np.bool_]]:
        part = Cast(cast.rows[start:stop], cast.hidden[start:stop])
        neighbours = neighbours_without_own(gallery, part, k, resources)
        predicted = vote(neighbours, gallery.landmarks, gallery.num_landmarks, votes).landmarks
        right = (predicted == gallery.landmarks[part.rows]) & ~part.hidden
        return {"features": features_of(neighbours, gallery.landmarks, predicted, k), "right": right}

    kept = resources.cache.rows(
        "rehearsal",
        len(cast.rows),
        {"features": Column(np.float64, (len(FEATURES),)), "right": Column(np.bool_)},
        make,
        GROUP,
        [gallery.descriptors, gallery.landmarks, cast.rows, cast.hidden],
        {"k": k, "votes": votes, "searcher": resources.index.signature()},
    )
    return Rehearsal(kept["features"], kept["right"])


def neighbours_without_own(gallery: Gallery, cast: Cast, k: int, resources: Resources) -> Ranking:
    """Find the k nearest other gallery images [n, k] of each image, without identical copies and hidden landmarks."""
    own = gallery.landmarks[cast.rows]
    deepest = np.where(cast.hidden, _images_of_own(gallery, cast.rows), 0).max(initial=0)
    depth = int(min(len(gallery.landmarks), k + 1 + COPIES + deepest))
    found = resources.index.search(gallery.descriptors[cast.rows], gallery.descriptors, max(depth, k))
    filled = found.filled
    gone = (found.indices == cast.rows[:, None]) | ~filled
    # An image is nearest to itself, so copies have the similarity of the first place.
    gone |= found.scores >= found.scores[:, :1] - SAME * np.abs(found.scores[:, :1])
    gone |= cast.hidden[:, None] & (np.where(filled, gallery.landmarks[found.indices], NO_LANDMARK) == own[:, None])
    order = np.argsort(gone, axis=1, kind="stable")[:, :k]
    gone = np.take_along_axis(gone, order, axis=1)
    return Ranking(
        np.where(gone, EMPTY, np.take_along_axis(found.indices, order, axis=1)).astype(np.int32),
        np.where(gone, -np.inf, np.take_along_axis(found.scores, order, axis=1)).astype(np.float32),
    )


def _images_of_own(gallery: Gallery, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.bincount(gallery.landmarks + 1, minlength=gallery.num_landmarks + 1)
    return counts[gallery.landmarks[rows] + 1]
