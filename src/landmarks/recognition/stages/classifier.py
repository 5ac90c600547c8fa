"""Joins the predictions of a classifier with the votes of neighbours: joins recognition and retrieval.

The second place of 2019 did so; its weights were not published, so the two formulas here are ours.
"""

import logging
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_rows, first_repeat, format_id
from landmarks.recognition.predictions import Predictions, join_label_spaces
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import NO_LANDMARK, add_votes
from landmarks.retrieval import MISSING, Need, Ranking, Resources

log = logging.getLogger(__name__)


class ClassifierJoin:
    """Raises scores by the classifier's probability p: score + factor x max(score, 0) x p + weight x p.

    Landmarks that the classifier does not predict, and queries without predictions, keep their scores. Landmarks that
    only the classifier knows are added to the label space. The note ``probability`` holds the classifier's probability
    of the finally predicted landmark; NaN for a query without predictions.

    Args:
        weight: weight of the added probability, in units of the candidates' scores.
        factor: weight of the product; 1 doubles the score of a landmark with probability 1.
        min_probability: lower probabilities are ignored as chance.
        new_candidates: also add landmarks for which no neighbour voted, with the score weight x p.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"predictions"})

    def __init__(
        self,
        weight: float = 1.0,
        factor: float = 0.0,
        min_probability: float = 0.0,
        new_candidates: bool = True,
    ) -> None:
        if not (0 <= weight < np.inf and 0 <= factor < np.inf):
            raise LandmarksError(f"classifier: weight and factor must be 0 or more, got {weight} and {factor}")
        if not 0 <= min_probability <= 1:
            raise LandmarksError(f"classifier: min_probability is {min_probability}: it must be between 0 and 1")
        self.weight = weight
        self.factor = factor
        self.min_probability = min_probability
        self.new_candidates = new_candidates

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with joined candidates and label space, and the note ``probability``."""
        candidates, predictions = state.require_answer("classifier"), state.predictions
        if predictions is None:
            raise LandmarksError(f"stage classifier needs {MISSING['predictions']}")
        _check(predictions)
        names, number = join_label_spaces(state.landmark_names, predictions.landmark_names)
        rows = find_rows(state.query_ids, predictions.ids)
        silent = int((rows < 0).sum())
        if silent:
            log.info("%s: no prediction for %d of %d queries, which do not change", predictions.name, silent, len(rows))

        said = rows >= 0
        landmarks = np.full((len(rows), predictions.landmarks.shape[1]), NO_LANDMARK, np.int32)
        probabilities = np.zeros(landmarks.shape, np.float64)
        landmarks[said] = np.append(number, np.int32(NO_LANDMARK))[predictions.landmarks[rows[said]]]  # -1 stays -1
        probabilities[said] = predictions.probabilities[rows[said]]
        heard = (landmarks != NO_LANDMARK) & (probabilities >= self.min_probability) & (probabilities > 0)

        scores = _scores_of(candidates, landmarks, len(names))
        heard &= self.new_candidates | (scores > -np.inf)
        gain = (self.weight + self.factor * np.maximum(scores, 0)) * probabilities
        queries, places = np.nonzero(heard & (gain > 0))
        found = add_votes(candidates, queries, landmarks[queries, places], gain[queries, places], len(names))

        own = (landmarks == found.first[:, None]) & (landmarks != NO_LANDMARK)
        probability = np.where(said, np.where(own, probabilities, 0).max(axis=1, initial=0), np.nan)
        return replace(state, landmark_names=names).with_candidates(found, probability=probability.astype(np.float32))


def _check(predictions: Predictions) -> None:
    again = first_repeat(predictions.ids)
    if again is not None:
        raise LandmarksError(f"{predictions.name}: image {format_id(predictions.ids[again])} occurs twice")
    unique, counts = np.unique(predictions.landmark_names, return_counts=True)
    if (counts > 1).any():
        raise LandmarksError(f"{predictions.name}: landmark name {unique[np.argmax(counts > 1)]} occurs twice")
    ordered = np.sort(predictions.landmarks, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_LANDMARK)).any(axis=1)
    if twice.any():
        image = format_id(predictions.ids[np.argmax(twice)])
        raise LandmarksError(f"{predictions.name}: image {image} has the same landmark twice; predict again")


def _scores_of(candidates: Ranking, landmarks: NDArray[np.int32], num_landmarks: int) -> NDArray[np.float64]:
    """Return the scores [Q, k] of landmarks [Q, k] among the candidates of their queries; -inf for others."""
    base = np.arange(candidates.num_queries, dtype=np.int64)[:, None] * num_landmarks
    filled = candidates.filled
    pairs = (candidates.indices + base)[filled]
    order = np.argsort(pairs)
    pairs, scores = pairs[order], candidates.scores[filled][order].astype(np.float64)
    if not len(pairs):
        return np.full(landmarks.shape, -np.inf)
    wanted = landmarks + base
    place = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where((pairs[place] == wanted) & (landmarks != NO_LANDMARK), scores[place], -np.inf)
