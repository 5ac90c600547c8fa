"""A rehearsal of recognition on gallery images, whose landmarks are known: what does being right look like?

A sample of the gallery asks the gallery as queries would. Of each image itself and identical copies of it are left out.
For a part of the sample all images of its own landmark are left out too: such an image stands for a query whose
landmark the gallery does not know, so whatever is predicted is wrong. The test's truth is never touched.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.recognition.votes import NO_LANDMARK, vote
from landmarks.retrieval import EMPTY, Gallery, Ranking, Resources
from landmarks.storage import Column

FEATURES = ("similarity", "margin", "share", "density")
COPIES = 10  # identical copies of an image that a search may find besides what it is asked for
SAME = 1e-5  # as similar to an image as it is to itself, but for rounding
GROUP = 1024  # images that ask together; the gallery is read once for each such group


class Rehearsal(NamedTuple):
    """What came of it: features float64 [n, 4] in the order of FEATURES; bool [n], whether the vote was right."""

    features: NDArray[np.float64]
    right: NDArray[np.bool_]


class Cast(NamedTuple):
    """Who plays the queries: rows of the gallery, int64 [n], and whose landmark is left out, bool [n]."""

    rows: NDArray[np.int64]
    hidden: NDArray[np.bool_]


def features_of(
    neighbours: Ranking, gallery_landmarks: NDArray[np.int32], predicted: NDArray[np.int32], k: int
) -> NDArray[np.float64]:
    """Tell what the k nearest of neighbours [Q, K] say about the predicted landmarks [Q]: float64 [Q, 4].

    - similarity: of the nearest one that shows the predicted landmark.
    - margin: that minus the similarity of the nearest one that does not.
    - share: of the predicted landmark in the sum of all k similarities.
    - density: similarity of the k-th.

    Negative similarities, empty places and what is not there count as 0.
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
    """Draw images that have a landmark, all of them where there are fewer than `size`.

    A part of them, `hidden`, is to have its landmark left out, but not those of landmarks with more than `max_images`
    gallery images, which would need too deep a search.
    """
    generator = np.random.default_rng(seed)
    labelled = np.flatnonzero(gallery.landmarks != NO_LANDMARK)
    rows = generator.choice(labelled, min(size, len(labelled)), replace=False)
    images = _images_of_own(gallery, rows)
    chosen = (generator.random(len(rows)) < hidden) & (images <= max_images)
    # Those that need deep searches together.
    order = np.lexsort((rows, np.where(chosen, images, 0)))
    return Cast(rows[order], chosen[order])


def rehearse(gallery: Gallery, cast: Cast, k: int, votes: int, resources: Resources) -> Rehearsal:
    """Let the chosen images vote as queries do; out of the cache if it has been done.

    The features look at k neighbours, of which the first `votes` vote, by similarity.
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
    """The k nearest other gallery images [n, k] of each, without identical copies and what is hidden."""
    own = gallery.landmarks[cast.rows]
    deepest = np.where(cast.hidden, _images_of_own(gallery, cast.rows), 0).max(initial=0)
    depth = int(min(len(gallery.landmarks), k + 1 + COPIES + deepest))
    found = resources.index.search(gallery.descriptors[cast.rows], gallery.descriptors, max(depth, k))
    filled = found.filled
    gone = (found.indices == cast.rows[:, None]) | ~filled
    # An image is nearest to itself, so the first place has the similarity of copies.
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
