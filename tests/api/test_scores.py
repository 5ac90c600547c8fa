"""Metrics from plain arrays, labels and ids equal the official ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import landmarks
from landmarks.ids import format_ids
from landmarks.metrics import (
    RecognitionSolution,
    RecognitionSubmission,
    RetrievalSolution,
    RetrievalSubmission,
    score_recognition,
    score_retrieval,
)


@given(st.integers(0, 2**32 - 1))
def test_map_is_the_official_one_by_rows_labels_and_ids(seed: int) -> None:
    random = np.random.default_rng(seed)
    num_index = int(random.integers(5, 40))
    labels, asked = random.integers(0, 4, num_index), random.integers(-1, 5, 6)
    rows = np.array([random.permutation(num_index)[:5] for _ in range(6)], np.int32)
    scores = np.sort(random.random((6, 5)).astype(np.float32), axis=1)[:, ::-1].copy()
    right = [np.flatnonzero(labels == label) for label in asked]
    scored = [number for number in range(6) if len(right[number])]
    ids = random.permutation(num_index).astype(np.uint64)
    by_labels = landmarks.mean_average_precision(rows, query_labels=asked, index_labels=labels)
    if not scored:
        assert math.isnan(by_labels)
        return
    query_ids = np.arange(100, 106, dtype=np.uint64)
    solution = RetrievalSolution(
        query_ids[scored],
        np.ones(len(scored), bool),
        np.cumsum([0, *(len(right[q]) for q in scored)]).astype(np.int64),
        np.concatenate([ids[right[q]] for q in scored]),
        np.delete(query_ids, scored),
    )
    submission = RetrievalSubmission.from_ranking(query_ids, ids, rows)
    expected = score_retrieval(solution, submission)["public"]["map@100"]
    assert by_labels == pytest.approx(expected)
    ranking = landmarks.Ranking(rows, scores)
    names = [str(label) if label >= 0 else None for label in asked.tolist()]
    assert landmarks.mean_average_precision(
        ranking, query_labels=names, index_labels=[str(label) for label in labels]
    ) == pytest.approx(expected)
    assert landmarks.mean_average_precision(ranking, right) == pytest.approx(expected)
    answers = {f"q{q}": format_ids(ids[rows[q]]) for q in range(6)}
    truth = {f"q{q}": set(format_ids(ids[right[q]])) for q in range(6)}
    assert landmarks.mean_average_precision(answers, truth) == pytest.approx(expected)


def test_an_example_by_hand() -> None:
    assert landmarks.mean_average_precision([["a", "a", "b"]], [{"a", "b"}]) == pytest.approx((1 + 2 / 3) / 2)
    assert landmarks.mean_average_precision({}, {"q": ["a"]}) == 0
    assert landmarks.mean_average_precision([[0, 1, -1]], [[1]], k=1) == 0
    assert landmarks.mean_average_precision(np.array([[0, 0, 1]]), query_labels=[7], index_labels=[7, 7]) == (
        pytest.approx((1 + 2 / 3) / 2)
    )


@given(st.integers(0, 2**32 - 1))
def test_gap_is_the_official_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    predicted, true = random.integers(-1, 3, 12), random.integers(-1, 3, 12)
    confidence = random.integers(0, 5, 12) / 4
    ids, named = np.arange(12, dtype=np.uint64), true >= 0
    solution = RecognitionSolution(
        ids,
        np.ones(12, bool),
        np.concatenate([[0], np.cumsum(named)]).astype(np.int64),
        true[named].astype(np.int64),
        np.empty(0, np.uint64),
    )
    submission = RecognitionSubmission(ids, predicted.astype(np.int64), confidence.astype(np.float64))
    expected = score_recognition(solution, submission)["public"]["gap"]
    found = landmarks.global_average_precision(predicted, confidence, true)
    assert found == pytest.approx(expected, nan_ok=True)
    answers = {f"i{i}": (str(predicted[i]), confidence[i]) for i in range(12) if predicted[i] >= 0}
    truth = {f"i{i}": str(true[i]) if named[i] else None for i in range(12)}
    assert landmarks.global_average_precision(answers, true=truth) == pytest.approx(expected, nan_ok=True)


def test_mistakes_are_named() -> None:
    with pytest.raises(landmarks.LandmarksError, match="the ground truth is missing"):
        landmarks.mean_average_precision([[0]])
    with pytest.raises(landmarks.LandmarksError, match="2 query labels for a ranking of 1"):
        landmarks.mean_average_precision([[0]], query_labels=[1, 2], index_labels=[1])
    with pytest.raises(landmarks.LandmarksError, match="row 4 of an index of 1"):
        landmarks.mean_average_precision([[4]], query_labels=[1], index_labels=[1])
    with pytest.raises(landmarks.LandmarksError, match="the first is 'x'"):
        landmarks.global_average_precision({"x": ("a", 1.0)}, true={"y": "a"})
    with pytest.raises(landmarks.LandmarksError, match="row 1 is NaN"):
        landmarks.global_average_precision(["a", "b"], [0.1, math.nan], ["a", "b"])
    with pytest.raises(landmarks.LandmarksError, match="2 true labels"):
        landmarks.global_average_precision(["a"], [0.1], ["a", "b"])
