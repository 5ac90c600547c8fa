"""Compute mAP and GAP from plain arrays, labels or ids, as the Google Landmarks competitions define them."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from landmarks.api.ranking import is_none, label_numbers
from landmarks.errors import LandmarksError
from landmarks.metrics import average_precision
from landmarks.metrics import global_average_precision as exact_gap
from landmarks.retrieval import EMPTY, Ranking

Results = Ranking | ArrayLike | Sequence[Sequence[Hashable]] | Mapping[Hashable, Sequence[Hashable]]
Relevant = Sequence[Collection[Hashable]] | Mapping[Hashable, Collection[Hashable]]


def mean_average_precision(
    ranking: Results,
    relevant: Relevant | None = None,
    *,
    query_labels: Sequence[Hashable] | ArrayLike | None = None,
    index_labels: Sequence[Hashable] | ArrayLike | None = None,
    k: int = 100,
) -> float:
    """Compute the mean average precision at k of a ranking.

        landmarks.mean_average_precision(ranking, query_labels=["tower"], index_labels=["gate", "tower"])
        landmarks.mean_average_precision({"q1": ["a", "b"]}, {"q1": ["b", "c"]})

    The average precision of a query is AP = Σ (relevant images up to rank i) / i over the ranks i <= k with a relevant
    image, divided by min(number of relevant images, k). A repeated image counts as not relevant, but keeps its rank.
    Queries without relevant images are left out; queries without results count 0.

    Args:
        ranking: A `Ranking`; rows of the index, int [Q, K], -1 for empty places; or for each query a list of ids of any
            kind, best first, also as a dictionary by query.
        relevant: The relevant images of each of the Q queries: rows or ids, as in the ranking; a dictionary if the
            ranking is one.
        query_labels: Instead of `relevant`, Q labels of any kind; None or -1 for none. Index images with the label of
            the query are relevant.
        index_labels: N labels, one for each row of the index.
        k: Number of ranks to score.

    Returns:
        A value in [0, 1]; NaN if no query has a relevant image.

    Raises:
        LandmarksError: Lengths differ, or neither `relevant` nor both labels are given.
    """
    if k < 1:
        raise LandmarksError(f"k is {k}: it must be 1 or more")
    if (relevant is None) == (query_labels is None or index_labels is None):
        raise LandmarksError("the ground truth is missing: give either relevant=, or query_labels= and index_labels=")
    if relevant is None:
        hits, positives = _by_labels(ranking, query_labels, index_labels, k)
    else:
        hits, positives = _by_ids(ranking, relevant, k)
    scored = positives > 0
    return float(average_precision(hits[scored], positives[scored], k).mean()) if scored.any() else float("nan")


def global_average_precision(
    predicted: Sequence[Hashable] | ArrayLike | Mapping[Hashable, tuple[Hashable, float]],
    confidence: ArrayLike | None = None,
    true: Sequence[Any] | ArrayLike | Mapping[Hashable, Any] | None = None,
) -> float:
    """Compute the global average precision (GAP, μAP) of predicted landmarks.

        landmarks.global_average_precision(["tower", "gate"], [0.9, 0.4], ["tower", None])
        landmarks.global_average_precision({"q1": ("tower", 0.9)}, true={"q1": "tower", "q2": None})

    GAP = Σ P(i)·rel(i) / M over all predictions in order of decreasing confidence, where P(i) is the precision of the
    first i, rel(i) is 1 for a correct prediction and 0 otherwise, and M is the number of images that show a landmark,
    with or without a prediction. Equal confidences are in order of the images.

    Args:
        predicted: A label for each of the N images; None or -1 for no prediction. Or a dictionary from images to pairs
            of label and confidence.
        confidence: float [N], on any scale, larger is surer. Left out with a dictionary.
        true: The landmark of each image: a label, None or -1 for no landmark, or a collection of several; a dictionary
            if `predicted` is one, with all images, also those without a prediction.

    Returns:
        A value in [0, 1]; NaN if no image shows a landmark.

    Raises:
        LandmarksError: Lengths differ, a confidence is NaN, or a predicted image is not among the true ones.
    """
    if true is None:
        raise LandmarksError("the ground truth is missing: give true=, a label for each image")
    if isinstance(predicted, Mapping):
        if not isinstance(true, Mapping) or confidence is not None:
            raise LandmarksError(
                "predicted= is a dictionary: leave out confidence=, and give true= as a dictionary as well"
            )
        if strange := [image for image in predicted if image not in true]:
            raise LandmarksError(
                f"{len(strange)} predicted images are not among the true ones, the first is {strange[0]!r}"
            )
        images = list(true)
        labels: list[Any] = [predicted[image][0] if image in predicted else None for image in images]
        scores = np.array([predicted[image][1] if image in predicted else 0.0 for image in images], np.float64)
        shown = [_shown(true[image]) for image in images]
    else:
        if confidence is None or isinstance(true, Mapping):
            raise LandmarksError("give predicted=, confidence= and true= for the same N images, in the same order")
        labels = _listed(predicted)
        scores = np.asarray(confidence, np.float64)
        shown = [_shown(one) for one in _listed(true)]
    if scores.shape != (len(labels),) or len(shown) != len(labels):
        raise LandmarksError(
            f"{len(labels)} predictions, confidences of shape {list(scores.shape)} and {len(shown)} true labels: there "
            "must be one of each for every image"
        )
    answered = np.array([not is_none(label) for label in labels], bool)
    if np.isnan(scores[answered]).any():
        raise LandmarksError(f"confidence: row {int(np.flatnonzero(answered & np.isnan(scores))[0])} is NaN")
    right = np.array([label in landmarks for label, landmarks in zip(labels, shown, strict=True)], bool)
    rows = np.flatnonzero(answered)
    order = rows.astype(np.uint64)
    return exact_gap(scores[rows], right[rows], sum(map(bool, shown)), order, np.zeros(len(rows), np.int64))


def _by_labels(ranking: Results, queries: Any, index: Any, k: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    rows = _rows(ranking)
    of_query, of_index, count = label_numbers(queries, index)
    if len(of_query) != len(rows):
        raise LandmarksError(f"{len(of_query)} query labels for a ranking of {len(rows)} queries")
    if rows.size and rows.max() >= len(of_index):
        raise LandmarksError(f"the ranking names row {int(rows.max())} of an index of {len(of_index)} labels")
    positives = np.bincount(of_index[of_index >= 0], minlength=count)
    places = rows[:, :k]
    hits = (places != EMPTY) & (of_index[places] == of_query[:, None]) & (of_query[:, None] >= 0) & _new(places)
    return hits, np.where(of_query >= 0, positives[of_query] if count else 0, 0).astype(np.int64)


def _by_ids(ranking: Results, relevant: Relevant, k: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    if isinstance(ranking, Mapping) != isinstance(relevant, Mapping):
        raise LandmarksError("ranking and relevant must both be dictionaries by query, or neither")
    if isinstance(ranking, Mapping) and isinstance(relevant, Mapping):
        if strange := [query for query in ranking if query not in relevant]:
            raise LandmarksError(f"{len(strange)} queries are not in relevant, the first is {strange[0]!r}")
        found: list[Any] = [ranking.get(query, ()) for query in relevant]
        right = [set(one) for one in relevant.values()]
    else:
        found = _rows(ranking).tolist() if isinstance(ranking, (Ranking, np.ndarray)) else list(ranking)  # type: ignore[arg-type]
        right = [set(one) for one in _listed(relevant)]
    if len(found) != len(right):
        raise LandmarksError(f"relevant has {len(right)} queries, and the ranking {len(found)}")
    hits = np.zeros((len(found), k), bool)
    for row, (places, wanted) in enumerate(zip(found, right, strict=True)):
        seen: set[Hashable] = set()
        for rank, one in enumerate(list(places)[:k]):
            hits[row, rank] = one in wanted and one not in seen
            seen.add(one)
    return hits, np.array([len(one) for one in right], np.int64)


def _rows(ranking: Any) -> NDArray[np.integer]:
    rows = ranking.indices if isinstance(ranking, Ranking) else np.asarray(ranking)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.integer):
        raise LandmarksError(f"ranking: expected rows of the index, int [Q, K], not {rows.dtype} {list(rows.shape)}")
    return rows


def _new(places: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Mark the first occurrence of each row in a ranking, bool [Q, K]."""
    order = np.argsort(places, axis=1, kind="stable")
    ordered = np.take_along_axis(places, order, axis=1)
    again = np.zeros(places.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return ~again


def _listed(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _shown(truth: Any) -> set[Hashable]:
    if isinstance(truth, (set, frozenset, list, tuple)):
        return {one for one in truth if not is_none(one)}
    return set() if is_none(truth) else {truth}
