import numpy as np
import pytest
from scipy.optimize import approx_fprime

from landmarks.recognition.stages import LogisticRegression


def planted(rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal([5, -2, 0], [2, 0.5, 1], (rows, 3))
    logits = 1.5 * (features[:, 0] - 5) - 2 * (features[:, 1] + 2) + 0.5
    return features, rng.random(rows) < 1 / (1 + np.exp(-logits)), logits


def test_finds_what_was_planted() -> None:
    features, right, logits = planted()
    learnt = LogisticRegression.fit(features, right, regularisation=1e-6)
    raw = learnt.weights / learnt.spreads
    assert raw == pytest.approx([1.5, -2, 0], abs=0.2)
    assert np.abs(learnt.probability(features) - 1 / (1 + np.exp(-logits))).mean() < 0.02


def test_probabilities_are_calibrated_on_what_it_learnt_from() -> None:
    features, right, _ = planted()
    probability = LogisticRegression.fit(features, right, regularisation=1e-6).probability(features)
    assert probability.mean() == pytest.approx(right.mean(), abs=1e-4)
    sure = probability > 0.8
    assert right[sure].mean() == pytest.approx(probability[sure].mean(), abs=0.03)


def test_stands_at_the_minimum_of_its_loss() -> None:
    features, right, _ = planted(200)
    learnt = LogisticRegression.fit(features, right, regularisation=0.1)
    rows = (features - features.mean(0)) / features.std(0)

    def loss(parameters: np.ndarray) -> float:
        logits = rows @ parameters[:3] + parameters[3]
        return float(np.mean(np.log1p(np.exp(logits)) - right * logits) + 0.05 * (parameters[:3] ** 2).sum())

    assert np.abs(approx_fprime(np.append(learnt.weights, learnt.bias), loss, 1e-6)).max() < 1e-4


def test_perfect_separation_and_a_feature_that_never_varies_stay_finite() -> None:
    features = np.stack([np.arange(10.0), np.full(10, 3.0)], axis=1)
    learnt = LogisticRegression.fit(features, np.arange(10) >= 5)
    assert np.isfinite(learnt.weights).all() and learnt.weights[1] == 0
    probability = learnt.probability(features)
    assert (np.diff(probability) > 0).all() and probability[4] < 0.5 < probability[5]
