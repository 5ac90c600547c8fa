"""Makes confidences of different queries comparable, which is what GAP rewards.

Stretching a score changes nothing: GAP looks at the order of all predictions only. What helps is evidence that the
score lacks: how far behind the next landmark is, whether the neighbours agree, how crowded the place is. How it counts
is learnt from the gallery alone, see `rehearsal`. No published solution of 2019 says how it calibrated; this is ours.

A stage for right after the votes: it knows the neighbours only, and what later stages add (verification, a
classifier's probability) then comes on top of a probability, in whose units their weights are.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from landmarks.errors import LandmarksError
from landmarks.recognition.rehearsal import FEATURES, choose, features_of, rehearse
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import NO_LANDMARK
from landmarks.retrieval import Ranking, Resources

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogisticRegression:
    """p = 1 / (1 + exp(-(bias + sum of weight x (feature - mean) / spread))), over F features."""

    weights: NDArray[np.float64]
    bias: float
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of rows [N, F], float64 [N]."""
        return _sigmoid(_times((features - self.means) / self.spreads, self.weights) + self.bias)

    @staticmethod
    def fit(
        features: NDArray[np.float64], right: NDArray[np.bool_], regularisation: float = 0.01
    ) -> "LogisticRegression":
        """Learn from rows [N, F] and which are right; regularisation keeps weights of perfect features finite."""
        means, spreads = features.mean(axis=0), features.std(axis=0)
        spreads = np.where(spreads > 1e-12, spreads, 1.0)
        rows, truth = (features - means) / spreads, right.astype(np.float64)

        def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights, bias = parameters[:-1], parameters[-1]
            logits = _times(rows, weights) + bias
            value = np.mean(np.logaddexp(0, logits) - truth * logits) + regularisation / 2 * np.sum(weights**2)
            error = (_sigmoid(logits) - truth) / len(rows)
            slope = (rows * error[:, None]).sum(axis=0) + regularisation * weights
            return float(value), np.append(slope, error.sum())

        found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
        return LogisticRegression(found.x[:-1], float(found.x[-1]), means, spreads)


# Sums run over rows in one order, without BLAS: the weights do not depend on how a library splits its work.
def _times(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rows * weights).sum(axis=1)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0, -logits))


class ConfidenceCalibration:
    """Gives every prediction the probability of being right as confidence, learnt on gallery images.

    The prediction stays, and so does the order of a query's other candidates, whose scores shrink or grow with it.
    Where nothing can be learnt (a gallery that is always right or always wrong, or has no landmarks) all stays as it
    was, and a warning says so. The notes ``similarity``, ``margin``, ``share`` and ``density`` hold the evidence.

    Args:
        sample: gallery images that play queries; all of a smaller gallery.
        hidden: part of them whose landmark is left out.
        k: neighbours that are looked at.
        votes: neighbours that vote for the landmarks of the sample: the k of the votes before.
        regularisation: of the logistic regression.
        max_images: landmarks with more gallery images are never left out.
    """

    def __init__(
        self,
        sample: int = 5000,
        hidden: float = 0.5,
        k: int = 10,
        votes: int = 3,
        regularisation: float = 0.01,
        max_images: int = 1000,
    ) -> None:
        if sample < 2 or max_images < 1:
            raise LandmarksError(f"calibration: sample must be 2 or more and max_images 1, got {sample}, {max_images}")
        if not 1 <= votes <= k:
            raise LandmarksError(f"calibration: votes must be 1 or more and k no less than it, got {votes} and {k}")
        if not 0 <= hidden <= 1 or not 0 < regularisation < np.inf:
            raise LandmarksError(
                f"calibration: hidden must be between 0 and 1 and regularisation above 0, got {hidden} and "
                f"{regularisation}"
            )
        self.sample = sample
        self.hidden = hidden
        self.k = k
        self.votes = votes
        self.regularisation = regularisation
        self.max_images = max_images

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with calibrated candidates and the notes."""
        neighbours, candidates = state.require_ranking("calibration"), state.require_answer("calibration")
        if neighbours.depth < self.k:
            raise LandmarksError(
                f"calibration: k is {self.k}, but the search gives {neighbours.depth} neighbours: raise the search's k"
            )
        learnt = self.learn(state, resources)
        if learnt is None:
            return state
        predicted = candidates.first
        features = features_of(neighbours, state.gallery.landmarks, predicted, self.k)
        notes = {name: features[:, column].astype(np.float32) for column, name in enumerate(FEATURES)}
        return state.with_candidates(with_confidence(candidates, learnt.probability(features)), **notes)

    def learn(self, state: RecognitionState, resources: Resources) -> LogisticRegression | None:
        """The regression, or None where the sample teaches nothing."""
        cast = choose(state.gallery, self.sample, self.hidden, self.max_images, resources.seed)
        if not len(cast.rows):
            log.warning("Calibration: no gallery image has a landmark; the confidences stay as they are")
            return None
        rehearsal = rehearse(state.gallery, cast, self.k, self.votes, resources)
        right = float(rehearsal.right.mean())
        if right in (0.0, 1.0):
            found = "right" if right else "wrong"
            log.warning(
                "Calibration: all of %d gallery images are %s; the confidences stay as they are", len(cast.rows), found
            )
            return None
        learnt = LogisticRegression.fit(rehearsal.features, rehearsal.right, self.regularisation)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(FEATURES, learnt.weights, strict=True))
        log.info("Calibrated on %d gallery images, %.0f %% of them right: %s", len(cast.rows), 100 * right, weights)
        return learnt


def with_confidence(candidates: Ranking, confidence: NDArray[np.float64]) -> Ranking:
    """Give every query's first place a confidence above 0, [Q]; the other places keep order and proportions."""
    if not candidates.indices.shape[1]:
        return candidates
    scores = np.where(candidates.filled, candidates.scores, 0).astype(np.float64)
    # Where the first score is not above 0 there are no proportions, and they keep their distances.
    first, wanted = scores[:, :1], confidence[:, None]
    scaled = np.where(first > 0, scores / np.where(first > 0, first, 1) * wanted, wanted + (scores - first))
    scaled = np.maximum(scaled, np.finfo(np.float32).min)  # -inf would mean that a place is empty
    return candidates.rescored(np.where(candidates.indices != NO_LANDMARK, scaled, -np.inf))
