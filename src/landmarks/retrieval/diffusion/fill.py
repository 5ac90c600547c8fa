"""Completes a ranking that diffusion has left with empty places: an image that it does not reach has no score."""

import numpy as np

from landmarks.retrieval.ranking import EMPTY, Ranking


def filled(found: Ranking, earlier: Ranking) -> Ranking:
    """Put images of an earlier ranking, in their order, behind those found.

    Args:
        found: [Q, K] with scores above 0.
        earlier: [Q, K]. An image from it gets its earlier score less that of the query's first place: 0 or below.

    Returns:
        Ranking [Q, K], as full as `earlier` or `found` was.
    """
    behind = earlier.scores - np.where(earlier.filled[:, :1], earlier.scores[:, :1], 0)
    indices = np.concatenate([found.indices, earlier.indices], axis=1)
    scores = np.concatenate([found.scores, behind], axis=1)
    # Of an image in both the first place counts; a stable sort brings its two places together in order.
    order = np.argsort(indices, axis=1, kind="stable")
    ordered = np.take_along_axis(indices, order, axis=1)
    again = np.zeros(indices.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    places = np.argsort(again | (indices == EMPTY), axis=1, kind="stable")[:, : earlier.depth]
    indices, scores = (np.take_along_axis(values, places, axis=1) for values in (indices, scores))
    # Places for which nothing was left hold a repeated image or none.
    left = np.take_along_axis(again, places, axis=1) | (indices == EMPTY)
    return Ranking(np.where(left, np.int32(EMPTY), indices), np.where(left, np.float32(-np.inf), scores))
