"""A classifier is scored by the same code as recognition, whatever it calls its classes."""

import numpy as np

from landmarks.evaluation import classifier_metrics, with_classifiers
from landmarks.metrics import RecognitionSolution, RecognitionSubmission, score_recognition
from landmarks.recognition import Predictions, RecognitionState
from landmarks.retrieval import Gallery

IDS = np.arange(10, 15, dtype=np.uint64)
GALLERY_NAMES = np.array(["7", "5"])
# Query 10 shows landmark 5, 11 landmark 9, 12 none, 13 landmark 7; nobody asks about 14, which is ignored.
SOLUTION = RecognitionSolution(
    IDS[:4],
    np.array([True, True, False, False]),
    np.array([0, 1, 2, 2, 3]),
    np.array([5, 9, 7]),
    IDS[4:],
)


def official(landmarks: np.ndarray, names: np.ndarray) -> np.ndarray:
    return np.append(names.astype(np.int64), -1)[landmarks]


def state(predictions: Predictions | None) -> RecognitionState:
    gallery = Gallery(np.ones((2, 3), np.float32), np.array([0, 1], np.int32), 2)
    return RecognitionState.begin(IDS, np.ones((5, 3), np.float32), gallery, GALLERY_NAMES, predictions=predictions)


def test_the_first_landmark_and_its_probability_are_scored() -> None:
    # in another order than the queries, of 13 nothing is said, and 9 is no landmark of the gallery
    predictions = Predictions(
        IDS[[4, 1, 0, 2]],
        np.array([[0, 1], [2, 0], [1, 0], [-1, -1]], np.int32),
        np.array([[0.5, 0.25], [0.75, 0.125], [0.5, 0.5], [0, 0]], np.float32),
        np.array(["3", "5", "9"]),
    )
    found = classifier_metrics(state(predictions), official, SOLUTION)
    expected = score_recognition(
        SOLUTION,
        RecognitionSubmission(IDS, np.array([5, 9, -1, -1, 3]), np.array([0.5, 0.75, 0, 0, 0.5])),
    )
    assert found == {split: {f"classifier_{key}": value for key, value in of.items()} for split, of in expected.items()}
    assert found["public"]["classifier_gap"] == found["public"]["classifier_top1"] == 1
    assert found["private"]["classifier_top1"] == 0
    assert classifier_metrics(state(predictions), official, None) == {}
    assert classifier_metrics(state(None), official, SOLUTION) == {}


def test_it_stands_in_a_line_of_its_own() -> None:
    results = {"a": {"public": {"gap": 0.5, "classifier_gap": 0.25}}, "b": {"public": {"gap": 0.5}}}
    rows = with_classifiers(results)
    assert list(rows) == ["a", "a, classifier alone", "b"]
    assert rows["a, classifier alone"] == {"public": {"gap": 0.25}}
