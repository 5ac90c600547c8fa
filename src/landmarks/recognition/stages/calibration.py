"""Calibration makes the confidences of different queries comparable, which GAP rewards.

A monotonic function of the score has no effect, because GAP depends only on the order of all predictions. Evidence that
the score lacks does help: the distance to the next landmark, the agreement of neighbours, and the density around the
query. Its weights are learned from the gallery alone, see `rehearsal`. No published solution of 2019 describes its
calibration; this one is ours.

The stage belongs directly after the votes, because it uses only the neighbours. Later stages (verification, a
classifier) then add to a probability, and their weights are in its units.
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
        """Compute the probability for rows [N, F], float64 [N]."""
        return _sigmoid(_times((features - self.means) / self.spreads, self.weights) + self.bias)

    @staticmethod
    def fit(
        features: NDArray[np.float64], right: NDArray[np.bool_], regularisation: float = 0.01
    ) -> "LogisticRegression":
        """Fit to rows [N, F] and whether they are right, bool [N]; regularisation keeps the weights finite."""
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


# Without BLAS, whose order of sums may vary, so that the weights are reproducible.
def _times(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rows * weights).sum(axis=1)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0, -logits))


class ConfidenceCalibration:
    """Sets the confidence of every prediction to its probability of being right, learned on gallery images.

    The prediction and the order of a query's other candidates do not change; their scores are scaled with it. If
    nothing can be learned (the sample is always right or always wrong, or the gallery has no landmarks), the state does
    not change and a warning is logged. The notes ``similarity``, ``margin``, ``share`` and ``density`` hold the
    evidence.

    Args:
        sample: gallery images that act as queries; all of a smaller gallery.
        hidden: share of them whose landmark is left out.
        k: neighbours that are used as evidence.
        votes: neighbours that vote for the landmarks of the sample; the k of the preceding votes.
        regularisation: L2 regularisation of the logistic regression.
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
                f"calibration: k is {self.k}, but the search finds {neighbours.depth} neighbours: use a larger k there"
            )
        learnt = self.learn(state, resources)
        if learnt is None:
            return state
        predicted = candidates.first
        features = features_of(neighbours, state.gallery.landmarks, predicted, self.k)
        notes = {name: features[:, column].astype(np.float32) for column, name in enumerate(FEATURES)}
        return state.with_candidates(with_confidence(candidates, learnt.probability(features)), **notes)

    def learn(self, state: RecognitionState, resources: Resources) -> LogisticRegression | None:
        """Learn the regression on the gallery of a state; None, with a warning, if nothing can be learned."""
        cast = choose(state.gallery, self.sample, self.hidden, self.max_images, resources.seed)
        if not len(cast.rows):
            log.warning("Calibration: no gallery image has a landmark; the confidences do not change")
            return None
        rehearsal = rehearse(state.gallery, cast, self.k, self.votes, resources)
        right = float(rehearsal.right.mean())
        if right in (0.0, 1.0):
            found = "right" if right else "wrong"
            log.warning(
                "Calibration: all of %d gallery images are %s; the confidences do not change", len(cast.rows), found
            )
            return None
        learnt = LogisticRegression.fit(rehearsal.features, rehearsal.right, self.regularisation)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(FEATURES, learnt.weights, strict=True))
        log.info("Calibrated on %d gallery images, %.0f %% of them right: %s", len(cast.rows), 100 * right, weights)
        return learnt


def with_confidence(candidates: Ranking, confidence: NDArray[np.float64]) -> Ranking:
    """Set the score of every query's first place to a confidence above 0, [Q], and scale the others with it."""
    if not candidates.indices.shape[1]:
        return candidates
    scores = np.where(candidates.filled, candidates.scores, 0).astype(np.float64)
    # If the first score is not above 0, the others cannot be scaled and keep their differences to it.
    first, wanted = scores[:, :1], confidence[:, None]
    scaled = np.where(first > 0, scores / np.where(first > 0, first, 1) * wanted, wanted + (scores - first))
    scaled = np.maximum(scaled, np.finfo(np.float32).min)  # -inf would empty a place
    return candidates.rescored(np.where(candidates.indices != NO_LANDMARK, scaled, -np.inf))
