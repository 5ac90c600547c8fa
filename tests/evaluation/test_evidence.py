"""Evidence is opened before any work and must be about these queries; a network's own head may judge them."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from found import write_detections
from landmarks.errors import LandmarksError
from landmarks.evaluation import EvidenceToCome, open_evidence, without_index_landmarks
from landmarks.extraction import Extraction
from landmarks.losses import ArcMargin, NPairs, Softmax
from landmarks.recognition import NO_EVIDENCE, Predictions, write_predictions
from landmarks.recognition.detections import DetectionClasses, DetectionProtocol, Detections, FoundObjects
from landmarks.retrieval import Pipeline, Search
from landmarks.retrieval.descriptors import DescriptorSet, ExtractionProtocol
from landmarks.retrieval.search import ExactIndex

IDS = np.array([3, 1, 2], np.uint64)
PREDICTIONS = Predictions(
    IDS,
    np.array([[0, 1, 2], [1, 2, 0], [2, 1, -1]], np.int32),
    np.array([[0.5, 0.25, 0.125], [0.5, 0.25, 0.125], [0.75, 0.125, 0]], np.float32),
    np.array(["7", "index:7", "5"]),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and detections of images 1, 2 and 3."""
    made = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
    write_predictions(tmp_path / "predictions", PREDICTIONS, made)
    none = np.empty(0, np.int32)
    boxes = Detections(none.astype(np.uint64), none, none.astype(float), np.empty((0, 4)), np.array(["/m/01"]))
    how = DetectionProtocol("m", "w", 64, 100, 0.1, 0.5, 100)
    classes = DetectionClasses(np.array(["/m/01"]), np.array(["Tower"]))
    write_detections(tmp_path / "detections", FoundObjects(boxes, IDS, classes), how)
    return tmp_path / "predictions", tmp_path / "detections"


def test_predictions_and_detections_are_opened(folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    found = open_evidence(*folders, IDS, np.array(["5", "6"]))
    assert found.predictions is not None and found.detections is not None and not caplog.records
    assert found.predictions.ids.tolist() == found.detections.looked_at.tolist() == [3, 1, 2]
    assert open_evidence(None, None, IDS, np.array(["5"])).kinds == []


def test_queries_of_which_nothing_is_said_are_counted(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        open_evidence(*folders, np.array([1, 8, 9], np.uint64), np.array(["5"]))
    assert [record.message.split(": ")[1] for record in caplog.records] == ["2 of the 3 queries are missing there"] * 2


def test_evidence_about_others_is_refused(folders: tuple[Path, Path]) -> None:
    others, names = np.array([8, 9], np.uint64), np.array(["5"])
    with pytest.raises(LandmarksError, match=r"^predictions=.*none of them is one of the 2 queries"):
        open_evidence(folders[0], None, others, names)
    with pytest.raises(LandmarksError, match=r"^detections=.*none of them is one of the 2 queries"):
        open_evidence(None, folders[1], others, names)
    with pytest.raises(LandmarksError, match="knows none of the 1 landmarks of the gallery"):
        open_evidence(folders[0], None, IDS, np.array(["6"]))
    with pytest.raises(LandmarksError, match="there is no folder of predictions"):
        open_evidence(folders[0] / "x", None, IDS, names)
    with pytest.raises(LandmarksError, match="there is no folder of detections"):
        open_evidence(None, folders[1] / "x", IDS, names)


def test_landmarks_of_the_index_set_are_no_answers() -> None:
    found = without_index_landmarks(PREDICTIONS)
    assert found.landmarks.tolist() == [[0, 2, -1], [2, 0, -1], [2, -1, -1]]
    assert found.probabilities.tolist() == [[0.5, 0.125, 0], [0.25, 0.125, 0], [0.75, 0, 0]]
    plain = replace(PREDICTIONS, landmark_names=np.array(["7", "6", "5"]))
    assert without_index_landmarks(plain) is plain


NAMES = ["7", "5", "9"]
ONE_VIEW, VIEWS = Extraction(), Extraction(flip=True)


class AsksTheClassifier(Search):
    needs = frozenset({"predictions"})


def opened(loss: object, extraction: Extraction = ONE_VIEW, names: list[str] = NAMES) -> EvidenceToCome:
    return EvidenceToCome.open(NO_EVIDENCE, loss, names, extraction, np.array(["5", "1"]))


def pipeline(stage: Search) -> Pipeline:
    return Pipeline(ExactIndex(), {"first": stage})


def test_a_head_judges_the_queries() -> None:
    head = Softmax(3, 3)
    head.weight.data = 10 * torch.eye(3)
    made = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
    queries = DescriptorSet(np.arange(3, dtype=np.uint64), np.eye(3, dtype=np.float32), made)
    evidence = opened(head)
    evidence.require(pipeline(AsksTheClassifier()), "public/classifier_gap")
    found = evidence.complete(queries).predictions
    assert found is not None and found.landmark_names[found.landmarks[:, 0]].tolist() == NAMES


@pytest.mark.parametrize(
    ("loss", "extraction", "names", "words"),
    [
        (NPairs(3, 3), ONE_VIEW, NAMES, ""),
        (None, ONE_VIEW, NAMES, ""),
        (Softmax(3, 3), VIEWS, NAMES, "sums of several normalised views"),
        (ArcMargin(3, 3), ONE_VIEW, ["index:5", "index:1", "8"], "trained on other landmarks"),
    ],
)
def test_without_a_head_that_fits_there_are_no_predictions(
    loss: nn.Module | None, extraction: Extraction, names: list[str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        evidence = opened(loss, extraction, names)
    assert evidence.head is None and [words in record.message for record in caplog.records] == [True] * bool(words)
    evidence.require(pipeline(Search()), "public/gap")  # an evaluation that does not ask goes on
    with pytest.raises(LandmarksError, match="stage first needs predictions of a classifier"):
        evidence.require(pipeline(AsksTheClassifier()), "public/gap")
    with pytest.raises(LandmarksError, match="monitor=private/classifier_top1"):
        evidence.require(pipeline(Search()), "private/classifier_top1")


def test_directions_fit_sums_of_views() -> None:
    assert opened(ArcMargin(3, 3), VIEWS).head is not None
