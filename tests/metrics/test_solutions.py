"""Checks of the arrays themselves."""

from typing import Any

import numpy as np
import pytest

from landmarks.errors import FormatError
from landmarks.metrics import RecognitionSolution, RetrievalSolution

RETRIEVAL: dict[str, Any] = {
    "query_ids": np.array([1, 2], np.uint64),
    "public": np.array([True, False]),
    "positives_start": np.array([0, 2, 3], np.int64),
    "positives": np.array([9, 8, 9], np.uint64),
    "ignored_ids": np.array([3], np.uint64),
}
RECOGNITION: dict[str, Any] = {
    "image_ids": np.array([1, 2], np.uint64),
    "public": np.array([True, False]),
    "landmarks_start": np.array([0, 0, 2], np.int64),
    "landmarks": np.array([5, 0], np.int64),
    "ignored_ids": np.array([3], np.uint64),
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("query_ids", np.array([1, 1], np.uint64), "query 0000000000000001 occurs twice"),
        ("query_ids", np.array([1, 2]), r"query_ids is int64 \[2\]; give uint64 \[N\]"),
        ("public", np.array([1, 0]), "public is int64"),
        ("public", np.array([True]), "public has 1 values for 2 ids"),
        ("ignored_ids", np.array([3, 3], np.uint64), "ignored 0000000000000003 occurs twice"),
        ("ignored_ids", np.array([2], np.uint64), "query 0000000000000002 is both scored and ignored"),
        ("positives_start", np.array([0, 3], np.int64), "positives_start must be 3 numbers that ascend from 0 to 3"),
        ("positives_start", np.array([0, 4, 3], np.int64), "must be 3 numbers that ascend"),
        ("positives_start", np.array([0, 2, 2], np.int64), "must be 3 numbers that ascend"),
        ("positives_start", np.array([0, 3, 3], np.int64), "query 0000000000000002 has no correct image"),
        ("positives", np.array([9, 9, 9], np.uint64), "query 0000000000000001 names the correct image 0{15}9 twice"),
        ("positives", np.array([9, 8, 9]), "positives is int64"),
    ],
)
def test_retrieval_solution_refuses(field: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        RetrievalSolution(**(RETRIEVAL | {field: value}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_ids", np.array([1, 1], np.uint64), "image 0000000000000001 occurs twice"),
        ("ignored_ids", np.array([1], np.uint64), "image 0000000000000001 is both scored and ignored"),
        ("landmarks", np.array([5, -1], np.int64), "image 0000000000000002 has landmark -1"),
        ("landmarks", np.array([5, 1], np.int32), "landmarks is int32"),
        ("landmarks_start", np.array([0, 1, 1], np.int64), "landmarks_start must be 3 numbers that ascend"),
    ],
)
def test_recognition_solution_refuses(field: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        RecognitionSolution(**(RECOGNITION | {field: value}))


def test_counts_of_a_solution() -> None:
    retrieval, recognition = RetrievalSolution(**RETRIEVAL), RecognitionSolution(**RECOGNITION)
    assert retrieval.num_positives.tolist() == [2, 1]
    assert recognition.has_landmark.tolist() == [False, True]
    assert recognition.shows(np.array([1, 1, 0, -1]), np.array([5, 4, 5, 5])).tolist() == [True, False, False, False]
    rows = np.array([0, 1, 1, -1, 0])
    found = retrieval.find_positives(rows, np.array([9, 9, 8, 9, 8], np.uint64))
    assert (found >= 0).tolist() == [True, True, False, False, True]
    assert len(set(found[found >= 0].tolist())) == 3


def test_nothing_to_score_is_allowed() -> None:
    none = np.empty(0, np.uint64)
    solution = RetrievalSolution(none, np.empty(0, np.bool_), np.zeros(1, np.int64), none, none)
    assert solution.num_positives.tolist() == []
