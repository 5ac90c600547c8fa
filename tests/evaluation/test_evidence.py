"""Folders of evidence are opened before any work, and must be about these queries."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from found import write_detections
from landmarks.errors import LandmarksError
from landmarks.evaluation import open_evidence, without_index_landmarks
from landmarks.recognition import Predictions, write_predictions
from landmarks.recognition.detections import DetectionClasses, DetectionProtocol, Detections, FoundObjects
from landmarks.retrieval.descriptors import ExtractionProtocol

IDS = np.array([3, 1, 2], np.uint64)
PREDICTIONS = Predictions(
    IDS,
    np.array([[0, 1, 2], [1, 2, 0], [2, 1, -1]], np.int32),
    np.array([[0.5, 0.25, 0.125], [0.5, 0.25, 0.125], [0.75, 0.125, 0]], np.float32),
    np.array(["7", "index:7", "5"]),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and detections of pictures 1, 2 and 3."""
    made = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
    write_predictions(tmp_path / "predictions", PREDICTIONS, made)
    none = np.empty(0, np.int32)
    boxes = Detections(none.astype(np.uint64), none, none.astype(float), np.empty((0, 4)), np.array(["/m/01"]))
    how = DetectionProtocol("m", "w", 64, 100, 0.1, 0.5, 100)
    classes = DetectionClasses(np.array(["/m/01"]), np.array(["Tower"]))
    write_detections(tmp_path / "detections", FoundObjects(boxes, IDS, classes), how)
    return tmp_path / "predictions", tmp_path / "detections"


def test_both_are_opened(folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    found = open_evidence(*folders, IDS, np.array(["5", "6"]))
    assert found.predictions is not None and found.detections is not None and not caplog.records
    assert found.predictions.ids.tolist() == found.detections.looked_at.tolist() == [3, 1, 2]
    assert open_evidence(None, None, IDS, np.array(["5"])).kinds == []


def test_queries_of_which_nothing_is_said_are_counted(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        open_evidence(*folders, np.array([1, 8, 9], np.uint64), np.array(["5"]))
    assert [record.message.split(": ")[1] for record in caplog.records] == ["says nothing of 2 of the 3 queries"] * 2


def test_evidence_about_others_is_refused(folders: tuple[Path, Path]) -> None:
    others, names = np.array([8, 9], np.uint64), np.array(["5"])
    with pytest.raises(LandmarksError, match=r"^predictions=.*none of them is one of the 2 queries"):
        open_evidence(folders[0], None, others, names)
    with pytest.raises(LandmarksError, match=r"^detections=.*none of them is one of the 2 queries"):
        open_evidence(None, folders[1], others, names)
    with pytest.raises(LandmarksError, match="knows none of the 1 landmarks of the gallery"):
        open_evidence(folders[0], None, IDS, np.array(["6"]))
    with pytest.raises(LandmarksError, match="no such folder of predictions"):
        open_evidence(folders[0] / "x", None, IDS, names)
    with pytest.raises(LandmarksError, match="no such folder of detections"):
        open_evidence(None, folders[1] / "x", IDS, names)


def test_landmarks_of_the_index_set_are_no_answers() -> None:
    found = without_index_landmarks(PREDICTIONS)
    assert found.landmarks.tolist() == [[0, 2, -1], [2, 0, -1], [2, -1, -1]]
    assert found.probabilities.tolist() == [[0.5, 0.125, 0], [0.25, 0.125, 0], [0.75, 0, 0]]
    plain = replace(PREDICTIONS, landmark_names=np.array(["7", "6", "5"]))
    assert without_index_landmarks(plain) is plain
