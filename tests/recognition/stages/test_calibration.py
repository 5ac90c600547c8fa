import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from landmarks.errors import LandmarksError
from landmarks.metrics import global_average_precision
from landmarks.recognition import FEATURES, NO_LANDMARK, ConfidenceCalibration, NeighbourVotes, RecognitionState
from landmarks.recognition.stages.calibration import LogisticRegression, with_confidence
from landmarks.retrieval import Cache, Gallery, Ranking, Search
from recognised import make_state
from resources import make_resources

LANDMARKS, DIM = 40, 16


def world(queries: int = 300, per_landmark: int = 12) -> tuple[RecognitionState, np.ndarray]:
    """Half the landmarks stand alone and scattered, half crowd in one place where all images look alike.

    Half the queries show no landmark and lie in the crowd, where similarity is high and neighbours do not agree.
    """
    rng = np.random.default_rng(0)
    crowded = np.arange(LANDMARKS) >= LANDMARKS // 2
    centres = rng.normal(0, 1, (LANDMARKS, DIM))
    centres[crowded] = centres[-1] + 0.2 * rng.normal(0, 1, (int(crowded.sum()), DIM))
    spread = np.where(crowded, 0.25, 0.7)[:, None]

    def images(landmarks: np.ndarray) -> np.ndarray:
        return centres[landmarks] + spread[landmarks] * rng.normal(0, 1, (len(landmarks), DIM))

    labels = np.repeat(np.arange(LANDMARKS), per_landmark)
    gallery = images(labels)
    truth = np.where(rng.random(queries) < 0.5, rng.integers(0, LANDMARKS, queries), NO_LANDMARK)
    asked = images(np.where(truth == NO_LANDMARK, rng.integers(LANDMARKS // 2, LANDMARKS, queries), truth))
    state = RecognitionState.begin(
        np.arange(queries, dtype=np.uint64),
        asked.astype(np.float32),
        Gallery(gallery.astype(np.float32), labels.astype(np.int32), LANDMARKS),
        np.array([f"l{number}" for number in range(LANDMARKS)]),
    )
    resources = make_resources()
    return NeighbourVotes(3)(Search(10)(state, resources), resources), truth


def gap(state: RecognitionState, truth: np.ndarray) -> float:
    predicted = state.candidates.first.astype(np.int64)
    right = (predicted == truth) & (truth != NO_LANDMARK)
    return global_average_precision(
        state.candidates.confidence, right, int((truth >= 0).sum()), state.query_ids, predicted
    )


def test_features_besides_the_score_improve_the_order_of_queries() -> None:
    state, truth = world()
    after = ConfidenceCalibration()(state, make_resources())
    assert np.array_equal(after.candidates.indices, state.candidates.indices)
    assert gap(after, truth) > gap(state, truth) + 0.1
    confidence = after.candidates.confidence
    assert confidence.min() > 0 and confidence.max() <= 1
    assert set(after.notes) == set(FEATURES)


def test_the_same_seed_and_the_cache_give_the_same(tmp_path: object) -> None:
    state, _ = world(20)
    cache = Cache(f"{tmp_path}/cache")
    one = ConfidenceCalibration(100)(state, make_resources(cache=cache)).candidates
    two = ConfidenceCalibration(100)(state, make_resources(cache=cache)).candidates
    other = ConfidenceCalibration(100)(state, replace(make_resources(), seed=1)).candidates
    assert np.array_equal(one.scores, two.scores) and not np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, 1, 2], [0, 0, 0]])
def test_where_nothing_can_be_learnt_all_stays(labels: list[int], caplog: pytest.LogCaptureFixture) -> None:
    state = replace(
        make_state([[0], [1]], [[0.9], [0.8]]),
        gallery=Gallery(np.eye(3, 2, dtype=np.float32) + 0.5, np.array(labels, np.int32), 3),
    )
    resources = make_resources()
    state = replace(Search(10)(state, resources), candidates=state.candidates)
    with caplog.at_level(logging.WARNING):
        after = ConfidenceCalibration(hidden=0.0)(state, resources)
    assert after is state
    assert "the confidences do not change" in caplog.text


@given(data=st.data())
def test_a_new_confidence_keeps_the_order_of_a_query(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    queries, places = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    scores = -np.sort(-rng.choice([-1e30, -2.0, 0.0, 1e-30, 0.5, 3.0, -np.inf], (queries, places)), axis=1)
    landmarks = np.where(np.isneginf(scores), -1, np.arange(places)).astype(np.int32)
    before = Ranking(landmarks, scores.astype(np.float32))
    confidence = rng.choice([1e-12, 0.25, 1.0], queries)
    after = with_confidence(before, confidence)
    assert np.array_equal(after.indices, before.indices)
    kept = before.filled.any(axis=1)
    assert np.array_equal(after.confidence[kept], confidence[kept].astype(np.float32))


def test_too_few_neighbours_are_named() -> None:
    state, _ = world(5)
    resources = make_resources()
    with pytest.raises(LandmarksError, match="use a larger k there"):
        ConfidenceCalibration(k=11)(state, resources)


def planted(rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal([5, -2, 0], [2, 0.5, 1], (rows, 3))
    logits = 1.5 * (features[:, 0] - 5) - 2 * (features[:, 1] + 2) + 0.5
    return features, rng.random(rows) < 1 / (1 + np.exp(-logits)), logits


def test_the_fit_recovers_known_coefficients() -> None:
    features, right, logits = planted()
    learnt = LogisticRegression.fit(features, right, regularisation=1e-6)
    raw = learnt.weights / learnt.spreads
    assert raw == pytest.approx([1.5, -2, 0], abs=0.2)
    assert np.abs(learnt.probability(features) - 1 / (1 + np.exp(-logits))).mean() < 0.02


def test_the_fit_minimises_its_loss() -> None:
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
