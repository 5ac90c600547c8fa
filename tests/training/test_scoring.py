"""From descriptor sets to figures, on descriptors whose answer is known."""

import numpy as np
import pytest

from landmarks.data.source import GroundTruth, ImageSet
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.metrics.solutions import RecognitionSolution, RetrievalSolution
from landmarks.recognition.votes import NeighbourVotes
from landmarks.retrieval.descriptors import DescriptorSet
from landmarks.retrieval.index import ExactIndex
from landmarks.retrieval.pipeline import Pipeline
from landmarks.retrieval.protocol import ExtractionProtocol
from landmarks.retrieval.stages.search import Search
from landmarks.training.scoring import Outcome, evaluate_descriptors, figure

LANDMARKS = 3


class Numbers:
    """A source as far as scoring needs one: landmark i is called 100 + i."""

    name = "numbers"

    def submission_landmark(self, landmark: np.ndarray, landmark_names: np.ndarray | None = None) -> np.ndarray:
        return np.where(landmark >= 0, landmark.astype(np.int64) + 100, -1)


class Anywhere:
    """A store of pictures that nobody reads."""

    def locate(self, ids: np.ndarray) -> np.ndarray:
        return np.zeros(len(ids), np.int32)


def ids(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.uint64)


def described(first: int, landmarks: list[int], seed: int, weights: str = "w") -> DescriptorSet:
    """Descriptors close to the axis of their landmark."""
    noise = np.random.default_rng(seed).normal(0, 0.01, (len(landmarks), LANDMARKS + 1))
    vectors = np.eye(LANDMARKS + 1)[landmarks] + noise
    protocol = ExtractionProtocol(model="m", weights=weights, input_size=64, resize="square")
    return DescriptorSet(ids(first, len(landmarks)), vectors.astype(np.float32), protocol)


def solutions(queries: list[int], index: list[int]) -> GroundTruth:
    """All queries public but the last, which is private."""
    public = np.array([True] * (len(queries) - 1) + [False])
    positives = [np.flatnonzero(np.array(index) == landmark) + 1000 for landmark in queries]
    start = np.concatenate([[0], np.cumsum([len(p) for p in positives])])
    none = np.empty(0, np.uint64)
    query_ids = ids(0, len(queries))
    return GroundTruth(
        RetrievalSolution(query_ids, public, start, np.concatenate(positives).astype(np.uint64), none),
        RecognitionSolution(query_ids, public, np.arange(len(queries) + 1), np.array(queries) + 100, none),
    )


def evaluate(queries: DescriptorSet, index: DescriptorSet, truth: GroundTruth) -> Outcome:
    gallery_landmarks = [2, 1, 0, 0, 1, 2]
    gallery = described(2000, gallery_landmarks, seed=3)
    # the table in another order than the descriptors
    order = np.array([3, 1, 5, 0, 2, 4])
    table = ImageTable(
        gallery.ids[order], np.array(gallery_landmarks, np.int32)[order], np.array([str(i) for i in range(LANDMARKS)])
    )
    pipeline = Pipeline(ExactIndex(k=100, backend="torch"), {"search": Search()})
    pictures = [ImageSet(ImageTable.unlabelled(described.ids), Anywhere()) for described in (queries, index)]
    votes = NeighbourVotes(k=2)
    return evaluate_descriptors(queries, index, gallery, table, Numbers(), truth, pipeline, votes, *pictures)


def test_clean_descriptors_score_one() -> None:
    landmarks, index = [0, 1, 2, 0], [0, 0, 1, 2, 2, 1, 0]
    outcome = evaluate(described(0, landmarks, 1), described(1000, index, 2), solutions(landmarks, index))
    for split in ("public", "private"):
        assert outcome.scores[split]["map@100"] == 1.0
        assert outcome.scores[split]["gap"] == 1.0
    assert outcome.recognition.landmarks.tolist() == [100, 101, 102, 100]
    assert outcome.stages[0].scores == {"public/map@100": 1.0, "private/map@100": 1.0}


def test_a_query_that_could_not_be_read_counts_as_unanswered() -> None:
    landmarks, index = [0, 1, 2, 0], [0, 0, 1, 2, 2, 1, 0]
    truth = solutions(landmarks, index)
    outcome = evaluate(described(0, landmarks[:2], 1), described(1000, index, 2), truth)
    assert outcome.scores["public"]["map@100"] == pytest.approx(2 / 3)
    assert outcome.scores["private"]["map@100"] == 0.0
    assert outcome.scores["public"]["gap"] == pytest.approx(2 / 3)


def test_without_truth_there_are_submissions_and_no_figures() -> None:
    landmarks, index = [0, 1], [0, 1]
    outcome = evaluate(described(0, landmarks, 1), described(1000, index, 2), GroundTruth(None, None))
    assert outcome.scores == {}
    assert figure(outcome.scores, "public/map@100") is None
    assert len(outcome.retrieval.query_ids) == 2


def test_other_protocols_are_refused() -> None:
    landmarks, index = [0, 1], [0, 1]
    with pytest.raises(LandmarksError, match="weights"):
        evaluate(described(0, landmarks, 1, "other"), described(1000, index, 2), solutions(landmarks, index))


def test_an_unknown_figure_is_named_with_the_known_ones() -> None:
    with pytest.raises(LandmarksError, match=r"monitor=public/mAP: .*public/map@100"):
        figure({"public": {"map@100": 0.5}}, "public/mAP")
