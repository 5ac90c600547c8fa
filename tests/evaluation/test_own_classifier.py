"""When a network's own head judges the queries, and what is refused before any work."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from landmarks.errors import LandmarksError
from landmarks.evaluation import EvidenceToCome
from landmarks.extraction import Extraction
from landmarks.losses import ArcMargin, NPairs, Softmax
from landmarks.recognition import NO_EVIDENCE
from landmarks.retrieval import Pipeline
from landmarks.retrieval.descriptors import DescriptorSet, ExtractionProtocol
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import Search

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
    with pytest.raises(LandmarksError, match="stage first needs what a classifier says"):
        evidence.require(pipeline(AsksTheClassifier()), "public/gap")
    with pytest.raises(LandmarksError, match="monitor=private/classifier_top1"):
        evidence.require(pipeline(Search()), "private/classifier_top1")


def test_directions_fit_sums_of_views() -> None:
    assert opened(ArcMargin(3, 3), VIEWS).head is not None
